"""What an import loads: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import animus

_HEAVY = {"requests", "urllib3", "tenacity", "jose", "msgspec", "blinker", "cryptography", "flask", "click", "rich", "asyncio", "typing"}
_PARENT = str(Path(animus.__file__).parent.parent)


def _loaded_by(statement: str) -> set[str]:
    """Give the modules (top level, and our own) that ``statement`` loads in a new interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    # -S: a .pth file of the machine may load anything; our own parent and site-packages are named instead
    path = os.pathsep.join([_PARENT, *(p for p in sys.path if p.endswith("-packages"))])
    result = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert result.returncode == 0, result.stderr
    return {name if name.startswith("animus") else name.partition(".")[0] for name in result.stdout.split()}


def test_import_animus_loads_nothing() -> None:
    loaded = _loaded_by("import animus")
    assert not loaded & _HEAVY
    assert {name for name in loaded if name.startswith("animus")} == {"animus", "animus._version"}


def test_client_loads_neither_retry_nor_token_reader_nor_edges() -> None:
    loaded = _loaded_by("from animus import AnimusClient")
    assert not loaded & {"tenacity", "jose", "cryptography", "click", "rich", "flask", "werkzeug", "asyncio"}
    assert not {".".join(name.split(".")[:2]) for name in loaded} & {"animus.cli", "animus.emulator", "animus.testing"}


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("from animus import ChatConfig, AuthenticationError", {"requests", "urllib3", "msgspec", "tenacity", "jose", "blinker"}),
        ("from animus import events", {"requests", "urllib3", "msgspec", "tenacity", "jose"}),
        ("from animus import TokenSource", {"requests", "urllib3", "msgspec", "tenacity", "jose"}),
        ("import animus.testing.plugin", {"requests", "urllib3", "msgspec", "tenacity", "jose", "blinker", "flask"}),
        ("import animus.cli.main", {"requests", "urllib3", "msgspec", "tenacity", "jose", "click", "rich", "flask"}),
    ],
)
def test_import_does_not_load(statement: str, forbidden: set[str]) -> None:
    assert not _loaded_by(statement) & forbidden
