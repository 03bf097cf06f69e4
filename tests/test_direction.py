"""The order of rooms: a module imports from rows above its own, never from below, never sideways; no circle anywhere."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import animus

_ROOT = Path(inspect.getfile(animus)).parent

# A room is a module or a folder; the names of a set are rooms of one row. The first row holds values that build on each other
# (checks on errors, configuration on checks), and with it all modules with a leading underscore: it is one room.
_ROWS: list[set[str]] = [
    {"errors", "config", "models"},
    {"events"},
    {"http", "tokens"},
    {"sources", "stores", "streaming", "webhooks"},
    {"refresh"},
    {"transport"},
    {"resources"},
    {"tools"},
    {"conversation"},
    {"client"},
    {"batch", "doctor", "server", "emulator"},
    {"testing", "cli"},
    {"main"},
]
_ROW_OF = {room: number for number, row in enumerate(_ROWS) for room in row}

# packages that only some rooms may touch: the others would make everybody pay for them, or use them unguarded
_OWNERS = {
    "jose": {"_jwt"},
    "cryptography": {"_jwk"},
    "tenacity": {"http", "refresh", "transport"},
    "django": {"server"},
    "flask": {"emulator", "server"},
    "werkzeug": {"emulator", "server"},
    "limits": {"server"},
    "waitress": {"cli"},
    "filelock": {"stores"},
    "platformdirs": {"stores"},
    "redis": {"stores"},
    "keyring": {"stores"},
    "click": {"cli"},
    "rich": {"cli"},
    "pytest": {"testing"},
}


def _modules() -> dict[str, ast.Module]:
    """Give all modules of the package but its root: name below ``animus.`` -> syntax tree."""
    found = {}
    for path in sorted(_ROOT.rglob("*.py")):
        parts = list(path.relative_to(_ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts:
            found[".".join(parts)] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


_MODULES = _modules()


def _absolute(statement: ast.ImportFrom, module: str) -> str:
    if not statement.level:
        return statement.module or ""
    is_folder = (_ROOT / module.replace(".", "/")).is_dir()
    base = f"animus.{module}".split(".")
    base = base[: len(base) - statement.level + is_folder]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _imported(module: str) -> Iterator[str]:
    """Give the full names of all that ``module`` imports: at its top, in functions, for type checkers, by text."""
    for node in ast.walk(_MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _absolute(node, module)
            yield from (f"{origin}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func):
            yield from (str(a.value) for a in node.args if isinstance(a, ast.Constant))


def _own(name: str) -> str | None:
    """Give the module of ours that ``name`` (perhaps of an object in it) means, without the leading ``animus.``."""
    if name.partition(".")[0] != "animus":
        return None
    below = name.partition(".")[2]
    while below and below not in _MODULES:
        below = below.rpartition(".")[0]
    return below


def _room(module: str) -> str:
    room = module.partition(".")[0]
    if room == "__main__":
        return "main"
    return "values" if room in _ROWS[0] or room.startswith("_") else room


def _row(module: str) -> int:
    return _ROW_OF.get(_room(module), 0)


@pytest.mark.parametrize("module", sorted(_MODULES))
def test_imports_point_up(module: str) -> None:
    assert _room(module) in {"values", *_ROW_OF}, "a new room needs a row in the table"
    for name in _imported(module):
        target = _own(name)
        if target is None or name == "animus.__version__":
            continue
        assert target, f"{module} imports {name}: import it from the module that defines it, not from the package"
        allowed = _room(target) == _room(module) or _row(target) < _row(module)
        assert allowed, f"{module} (row {_row(module)}) imports {name} (row {_row(target)})"


@pytest.mark.parametrize("module", sorted(_MODULES))
def test_guarded_packages_stay_in_their_rooms(module: str) -> None:
    for name in _imported(module):
        owners = _OWNERS.get(name.partition(".")[0])
        assert owners is None or module.partition(".")[0] in owners, f"{module} imports {name}, which is for {owners}"


def test_no_circles() -> None:
    graph = {module: {t for n in _imported(module) if (t := _own(n)) and t != module} for module in _MODULES}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")
