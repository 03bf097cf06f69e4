"""Functions as tools: what is found out about them, and what is refused."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import pytest

from animus.errors import ConfigurationError
from animus.tools import Tool, tool
from tests.tools.samples import Place, add, get_weather

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]


@tool
def decorated(city: str, *, days: Annotated[int, "how many"] = 1) -> str:
    """Give the weather."""
    return f"{city} {days}"


class Station:
    """A weather station."""

    def __init__(self, name: str) -> None:
        self.name = name

    def measure(self, place: Place, /, precise: bool = False) -> str:
        """Measure there."""
        return f"{self.name} {place.city} {precise}"

    def __call__(self, hours: int) -> str:
        """Wait for hours."""
        return f"{self.name} {hours}"

    @staticmethod
    def reset(hard: bool = False) -> None:
        """Begin anew."""

    @classmethod
    def make(cls, name: str) -> str:
        """Make one."""
        return cls(name).name


def test_definition_is_what_the_api_takes() -> None:
    assert Tool.of(get_weather).definition == {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Give the weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "Its name."},
                    "unit": {"title": "Unit", "type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_decorated_function_is_called_as_before() -> None:
    assert decorated("Paris", days=2) == "Paris 2"
    assert (decorated.__name__, decorated.__doc__, decorated.__module__) == ("decorated", "Give the weather.", __name__)
    assert list(inspect.signature(decorated).parameters) == ["city", "days"]
    assert inspect.unwrap(decorated) is decorated.function
    assert repr(decorated) == "<Tool decorated(city, days)>"
    with pytest.raises(AttributeError):
        decorated.name = "other"  # type: ignore[misc]


def test_decorator_with_arguments() -> None:
    @tool(name="plus", description="Sum up.")
    def add_up(a: int, b: int) -> int:
        """Add."""
        return a + b

    assert (add_up.name, add_up.description, add_up(1, 2)) == ("plus", "Sum up.", 3)
    again = tool(add_up, name="again")
    assert (again.name, again.description, again(1, 2)) == ("again", "Sum up.", 3)
    assert Tool.of(again) is again


def test_what_is_given_out_is_a_copy() -> None:
    one = Tool.of(add)
    one.parameters["properties"].clear()
    one.definition["function"]["parameters"].clear()
    assert set(one.parameters["properties"]) == {"a", "b"}


def test_tool_without_docstring_or_parameters() -> None:
    def ping() -> str:
        return "pong"

    assert Tool.of(ping).definition == {
        "type": "function",
        "function": {"name": "ping", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}},
    }
    assert Tool.of(ping).call(Tool.of(ping).read_arguments("")) == "pong"


@pytest.mark.parametrize(
    ("function", "name", "description", "arguments", "result"),
    [
        (Station("North").measure, "measure", "Measure there.", '{"place": {"city": "Oslo"}}', "North Oslo False"),
        (Station("North"), "Station", "Wait for hours.", '{"hours": 3}', "North 3"),
        (Station.reset, "reset", "Begin anew.", "{}", None),
        (Station.make, "make", "Make one.", '{"name": "x"}', "x"),
        (functools.partial(add, 3), "add", "Add two numbers.", '{"b": 4}', 7),
        (functools.partial(add, b=4), "add", "Add two numbers.", '{"a": 3}', 7),
        (functools.partial(decorated, days=5), "decorated", "Give the weather.", '{"city": "Rome"}', "Rome 5"),
        (functools.partial(Station("S").measure, precise=True), "measure", "Measure there.", '{"place": {"city": "Rome"}}', "S Rome True"),
    ],
)
def test_many_kinds_of_functions(function: Callable[..., Any], name: str, description: str, arguments: str, result: object) -> None:
    found = Tool.of(function)
    assert (found.name, found.description) == (name, description)
    assert found.call(found.read_arguments(arguments)) == result


def test_what_a_partial_binds_is_hidden_from_the_model() -> None:
    assert list(Tool.of(functools.partial(add, b=4)).parameters["properties"]) == ["a"]
    assert list(Tool.of(functools.partial(add, 3)).parameters["properties"]) == ["b"]


def test_wrapped_function_shows_what_it_wraps() -> None:
    @functools.wraps(get_weather)
    def wrapper(*args: Any, **kwargs: Any) -> str:
        return get_weather(*args, **kwargs).upper()

    found = Tool.of(wrapper)
    assert found.parameters == Tool.of(get_weather).parameters
    assert found.call({"city": "Bonn"}).startswith("BONN")
    assert Tool.of(functools.lru_cache(add)).call({"a": 1}) == 2


def test_positional_parameters_are_passed_by_position() -> None:
    def power(base: float, exponent: int = 2, /, *, digits: int = 1) -> float:
        return float(round(base**exponent, digits))

    found = Tool.of(power)
    assert found.call(found.read_arguments('{"base": 3}')) == 9
    assert found.call(found.read_arguments('{"digits": 0, "exponent": 3, "base": 1.5}')) == 3


def test_return_annotation_need_not_be_resolvable() -> None:
    def look(where: str) -> Nothing:
        return where

    assert Tool.of(look).call({"where": "here"}) == "here"


def _no_annotation(city, days: int = 1):  # type: ignore[no-untyped-def]
    pass


def _any_number(*cities: str) -> None:
    pass


def _any_name(**cities: str) -> None:
    pass


def _path(where: Path) -> None:
    pass


def _callable(what: Callable[[], None]) -> None:
    pass


def _unknown(where: Nothing) -> None:
    pass


def _two_classes(what: Place | dict[str, int]) -> None:
    pass


def _deep(places: dict[str, list[Path]]) -> None:
    pass


class _Broken:
    part: Nothing


def _broken(what: list[_Broken]) -> None:
    pass


async def _async(city: str) -> None:
    pass


async def _async_generator(city: str) -> AsyncIterator[int]:
    yield 1


def _generator(city: str) -> Iterator[int]:
    yield 1


class _Unreadable:
    __signature__ = "none"

    def __call__(self) -> None: ...


class _AsyncObject:
    async def __call__(self, city: str) -> None:
        pass


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_no_annotation, ["'_no_annotation'", "'city'", "no annotation"]),
        (_any_number, ["'_any_number'", "'*cities'"]),
        (_any_name, ["'_any_name'", "'**cities'"]),
        (_path, ["'_path'", "'where'", "Path", "Supported are"]),
        (_callable, ["'_callable'", "'what'"]),
        (_unknown, ["'_unknown'", "'where'", "Nothing"]),
        (_two_classes, ["'_two_classes'", "'what'", "unions"]),
        (_deep, ["'_deep'", "'places'", "Path"]),
        (_broken, ["'_broken'", "'what'"]),
        (_async, ["'_async'", "async", "asyncio.run"]),
        (functools.partial(_async, "x"), ["'_async'", "async"]),
        (_async_generator, ["'_async_generator'", "async"]),
        (_AsyncObject(), ["'_AsyncObject'", "async"]),
        (_generator, ["'_generator'", "generator", "list"]),
        (Station, ["'Station'", "class"]),
        (Station.measure, ["'measure'", "'self'", "bound method"]),
        (lambda: None, ["'<lambda>'", "name="]),
        (7, ["'int'", "must be a function"]),
        (print, ["'print'"]),
        (dict.fromkeys, ["'fromkeys'"]),
        (_Unreadable(), ["'_Unreadable'", "no signature"]),
    ],
)
def test_refused_by_name(function: Any, words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Tool.of(function)
    assert [word for word in words if word not in str(raised.value)] == []


@pytest.mark.parametrize("name", ["", "a b", "ü", "a.b", "a" * 65, "x\n"])
def test_refused_names(name: str) -> None:
    if name:
        with pytest.raises(ConfigurationError, match="tool name"):
            tool(add, name=name)
    else:
        assert tool(add, name=name).name == "add"


def test_async_function_in_disguise_is_an_error_when_it_is_called() -> None:
    @functools.wraps(_async)
    def sync(city: str) -> str:
        return asyncio.run(_answer(city))

    async def _answer(city: str) -> str:
        return city

    assert Tool.of(sync).call({"city": "x"}) == "x"


def test_pickles_by_reference() -> None:
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    assert copy.deepcopy(decorated) is decorated
    renamed = pickle.loads(pickle.dumps(tool(get_weather, name="w", description="d")))
    assert (renamed.name, renamed.description, renamed.function) == ("w", "d", get_weather)


def test_text_in_the_annotation_goes_before_the_docstring() -> None:
    def measure(
        a: Annotated[int, "text"],
        b: Annotated[int, msgspec.Meta(description="meta", ge=1)],
        c: Annotated[int, "union"] | None = None,
        d: int = 0,
    ) -> None:
        """Measure.

        Args:
            a: docstring
            b: docstring
            c: docstring
            d: docstring
        """

    found = Tool.of(measure).parameters["properties"]
    assert {name: schema["description"] for name, schema in found.items()} == {"a": "text", "b": "meta", "c": "union", "d": "docstring"}
    assert found["b"]["minimum"] == 1
