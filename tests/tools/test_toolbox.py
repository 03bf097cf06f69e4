"""Toolboxes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.tools import Tool, Toolbox, tool
from tests.tools.samples import add, call, get_weather

LOOK_UP: dict[str, Any] = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


def test_functions_tools_and_definitions_mixed() -> None:
    box = Toolbox([get_weather, LOOK_UP, tool(add, name="plus")])
    assert box.names == ("get_weather", "look_up", "plus")
    assert [definition["function"]["name"] for definition in box.definitions] == ["get_weather", "look_up", "plus"]
    assert box.definitions[1] == LOOK_UP
    assert list(box.functions) == ["get_weather", "plus"]
    assert isinstance(box.functions["get_weather"], Tool)
    assert (bool(box), len(box)) == (True, 3)


def test_definitions_are_copies() -> None:
    given = {"type": "function", "function": {"name": "f"}}
    box = Toolbox([given])
    given["function"] = {"name": "other"}
    box.definitions[0]["function"]["name"] = "third"
    assert box.definitions == [{"type": "function", "function": {"name": "f"}}]


def test_calls_of_definitions_are_left_to_the_program() -> None:
    box = Toolbox([add, LOOK_UP])
    assert box.can_run([call("add")])
    assert not box.can_run([call("look_up")])
    assert not box.can_run([call("add"), call("look_up")])
    assert box.can_run([call("nothing")]), "the model is told what there is"
    assert box.can_run([{"id": "1"}])
    assert not box.can_run([])
    assert not Toolbox([LOOK_UP]).can_run([call("nothing")])
    assert not Toolbox([LOOK_UP])
    assert not Toolbox([])


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ([add, add], "tools[1] is a second tool named 'add'"),
        ([add, {"type": "function", "function": {"name": "add"}}], "second tool"),
        ([7], "tools[0] must be a function"),
        ([{"type": "other", "function": {"name": "f"}}], "tools[0] must be of the form"),
        ([{"name": "f"}], "tools[0] must be of the form"),
        ({"type": "function"}, "tools must be a list"),
        ("add", "tools must be a list"),
        (add, "tools must be a list"),
    ],
)
def test_refused(tools: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Toolbox(tools)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    "options", [*({"parallel": value} for value in (0, -1, "yes", 1.5)), {"raise_errors": 1}, {"before": 7}, {"after": "f"}]
)
def test_refused_options(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Toolbox([add], **options)


def test_pickles() -> None:
    box = pickle.loads(pickle.dumps(Toolbox([add, LOOK_UP], parallel=3)))
    assert (box.names, list(box.functions), box.parallel) == (("add", "look_up"), ["add"], 3)
    assert repr(box) == "<Toolbox of add, look_up>"
