"""The public names: the lazy table, what type checkers see, and what can be imported are one."""

from __future__ import annotations

import ast
import importlib
import inspect
import pickle
from pathlib import Path

import pytest

import animus
from animus import errors

_SOURCE = Path(inspect.getfile(animus))


def _seen_by_checkers() -> dict[str, str]:
    """Give the imports of the TYPE_CHECKING block: name -> module."""
    [block] = [n for n in ast.parse(_SOURCE.read_text()).body if isinstance(n, ast.If)]
    seen = {}
    for statement in block.body:
        assert isinstance(statement, ast.ImportFrom)
        for alias in statement.names:
            assert alias.asname == alias.name, f"{alias.name} needs 'as {alias.name}' to be re-exported"
            seen[alias.name] = str(statement.module)
    return seen


def test_checkers_see_what_runs() -> None:
    assert _seen_by_checkers() == {**animus._PLACES, "events": "animus"}


def test_all_is_sorted_and_complete() -> None:
    assert animus.__all__ == sorted({*animus._PLACES, "events", "__version__"})
    assert dir(animus) == animus.__all__


def test_table_is_sorted() -> None:
    assert list(animus._MODULES) == sorted(animus._MODULES)
    for names in animus._MODULES.values():
        assert list(names) == sorted(names)


@pytest.mark.parametrize("name", animus.__all__)
def test_public_name_can_be_imported(name: str) -> None:
    value = getattr(animus, name)
    if name in animus._PLACES:
        assert value is getattr(importlib.import_module(animus._PLACES[name]), name)
        assert animus._PLACES[name] == value.__module__, "the table names the module that defines it"


@pytest.mark.parametrize("name", sorted(animus._PLACES))
def test_public_object_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(animus, name)), f"{name} has no docstring"


def test_every_error_is_public() -> None:
    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, BaseException)]
    defined = {c.__name__ for c in classes if c.__module__ == errors.__name__}
    assert defined == {name for name, module in animus._PLACES.items() if module == "animus.errors"}


def test_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'animus' has no attribute 'AnimusClint'"):
        _ = animus.AnimusClint  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from animus import AnimusClint")


def test_public_classes_pickle_by_reference() -> None:
    for name in animus._PLACES:
        value = getattr(animus, name)
        assert pickle.loads(pickle.dumps(value)) is value


def test_version_is_the_installed_one() -> None:
    from importlib import metadata

    try:
        installed = metadata.version("animus-client")
    except metadata.PackageNotFoundError:
        pytest.skip("animus-client is not installed here, it runs from its source tree")
    assert animus.__version__ == installed
