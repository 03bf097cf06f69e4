"""Every example of the README and the documentation runs, against the emulator in place of the platform."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import animus
from animus.emulator import Emulator

_ROOT = Path(__file__).parent.parent
_PAGES = [_ROOT / "README.md", *sorted((_ROOT / "docs").glob("*.md"))]
_PROVIDER = "https://your-backend.com/api/get-animus-token"
_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as emulator:
        monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", emulator.token_url)
        monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url)
        monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
        yield emulator


def _close(namespace: dict[str, Any]) -> None:
    for value in namespace.values():
        if isinstance(value, animus.AnimusClient):
            value.close()


def _examples(page: Path) -> Iterator[str]:
    """Give the examples of a page, each preceded by so many blank lines that line numbers are those of the page."""
    text = page.read_text(encoding="utf-8")
    for match in _EXAMPLE.finditer(text):
        yield "\n" * text.count("\n", 0, match.start(1)) + textwrap.dedent(match[1])


@pytest.mark.parametrize("page", [page for page in _PAGES if list(_examples(page))], ids=lambda page: page.stem)
def test_examples_of_a_page_run(page: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType(f"example_{page.stem}")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look there for the names of annotations
    namespace = module.__dict__
    try:
        for example in _examples(page):
            exec(compile(example.replace(_PROVIDER, emulator.token_url), str(page), "exec"), namespace)
    finally:
        _close(namespace)


def test_there_are_examples() -> None:
    assert sum(len(list(_examples(page))) for page in _PAGES) > 10


def _modules() -> list[str]:
    found = (module.name for module in pkgutil.walk_packages(animus.__path__, "animus."))
    return sorted(name for name in found if name != "animus.__main__")


@pytest.mark.parametrize("name", _modules())
def test_examples_in_docstrings_run(name: str) -> None:
    assert not doctest.testmod(importlib.import_module(name)).failed
