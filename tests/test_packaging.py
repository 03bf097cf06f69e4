"""What the package says about itself holds."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

import animus

_ROOT = Path(__file__).parent.parent
_PACKAGE = Path(animus.__file__).parent
_DISTRIBUTIONS = {"jose": "python-jose"}  # import name -> name on the index, where they differ
_EXTRAS_OF = {  # room -> extras whose packages it may import
    "batch": ("batch", "distributed"),
    "cli": ("cli", "token-server"),
    "emulator": ("emulator",),
    "server": ("django", "flask", "server"),
    "stores": ("file", "keyring", "redis"),
    "webhooks": ("webhooks",),
}
# by flask; by whoever runs the plugin; by python-jose[cryptography]
_BROUGHT = {("emulator", "werkzeug"), ("server", "werkzeug"), ("testing", "pytest"), ("_jwk", "cryptography")}


def _config(name: str) -> ConfigParser:
    config = ConfigParser()
    assert config.read(_ROOT / name)
    return config


def _requirements(text: str) -> dict[str, str]:
    """Give lines such as ``name[extra]>=1.0`` as name -> rest."""
    split = (re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?(.*)", line.strip()) for line in text.splitlines() if line.strip())
    return {match[1]: match[2] for match in split if match}


SETUP = _config("setup.cfg")
CORE = _requirements(SETUP["options"]["install_requires"])
EXTRAS = {name: _requirements(text) for name, text in SETUP["options.extras_require"].items()}


def test_oldest_dependencies_are_the_floors() -> None:
    floors = {**CORE, **EXTRAS["emulator"], **EXTRAS["cli"]}
    pinned = _requirements((_ROOT / ".ci" / "oldest.txt").read_text())
    assert pinned == {name: floor.replace(">=", "==") for name, floor in floors.items()}


class _WithoutTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        return node.orelse if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def _third_party() -> dict[str, set[str]]:
    """Give the packages that ours import at run time: name on the index -> rooms that import it."""
    found: dict[str, set[str]] = {}
    for path in _PACKAGE.rglob("*.py"):
        room = path.relative_to(_PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(_WithoutTypeChecking().visit(ast.parse(path.read_text(encoding="utf-8")))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [str(node.module)]
            for name in {name.partition(".")[0] for name in names} - {"animus"} - sys.stdlib_module_names:
                found.setdefault(_DISTRIBUTIONS.get(name, name), set()).add(room)
    return found


def test_every_import_is_declared() -> None:
    for name, rooms in _third_party().items():
        for room in rooms:
            allowed = {*CORE, *(dependency for extra in _EXTRAS_OF.get(room, ()) for dependency in EXTRAS.get(extra, ()))}
            assert name in allowed or (room, name) in _BROUGHT, f"{room} imports {name}, which nothing declares"


def test_every_core_dependency_is_used() -> None:
    assert set(CORE) <= set(_third_party())


def test_entry_points_lead_somewhere() -> None:
    for group in SETUP["options.entry_points"].values():
        for line in group.split("\n"):
            if line:
                module, _, name = line.partition("=")[2].strip().partition(":")
                assert not name or callable(getattr(importlib.import_module(module), name))
                assert importlib.import_module(module)


def test_package_is_typed() -> None:
    assert (_PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize(
    "command", ["python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox -q -e demo\n", "\n.venv/bin/tox\n"]
)
def test_readme_begins_with_the_two_commands(command: str) -> None:
    first_block = (_ROOT / "README.md").read_text(encoding="utf-8").partition("```sh")[2].partition("```")[0]
    assert command in first_block


def test_every_python_has_an_environment() -> None:
    versions = re.findall(r"Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    environments = _config("tox.ini")["tox"]["env_list"].split(", ")
    assert environments == [*(f"py{version.replace('.', '')}" for version in versions), "lint", "types"]


def test_changelog_has_the_version() -> None:
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in changelog or f"## [{animus.__version__}]" in changelog
