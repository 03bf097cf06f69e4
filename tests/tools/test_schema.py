"""JSON Schema of parameters: what values of a type look like, and that they come back."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from typing import Any, Literal, Optional, Union

import jsonschema
import msgspec
import pytest
from hypothesis import given, strategies as st

from animus.tools import Tool
from tests.tools.samples import Circle, Place, Range, Shape, Square, Tree, Unit


def tool_of(annotation: Any, default: Any = ...) -> Tool[..., Any]:
    """Give a tool with one parameter, ``x``."""
    if default is ...:

        def take(x: Any) -> Any:
            return x
    else:

        def take(x: Any = default) -> Any:  # type: ignore[misc]
            return x

    take.__annotations__ = {"x": annotation}
    return Tool.of(take)


def schema_of(annotation: Any, default: Any = ...) -> Any:
    return tool_of(annotation, default).parameters["properties"]["x"]


_PLACE = {
    "title": "Place",
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "country": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "unit": {"title": "Unit", "type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
    },
    "required": ["city"],
}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict[str, float], {"type": "object", "additionalProperties": {"type": "number"}}),
        (Literal["b", "a"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[2, 1], {"type": "integer", "enum": [1, 2]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Place, _PLACE),
        (list[Place], {"type": "array", "items": _PLACE}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.date | None, {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}),
        (Any, {}),
    ],
)
def test_schema_of(annotation: Any, schema: dict[str, Any]) -> None:
    assert schema_of(annotation) == schema


def test_times_have_a_format_in_unions_too() -> None:
    member = {"type": "string", "format": "date-time"}
    assert schema_of(datetime.datetime | None) == {"anyOf": [member, {"type": "null"}]}


def test_classes_are_inlined() -> None:
    schema = tool_of(Shape).parameters
    assert "$ref" not in str(schema)
    assert "discriminator" not in str(schema)
    shape = schema["properties"]["x"]
    assert [member["title"] for member in shape["properties"]["outline"]["anyOf"]] == ["Circle", "Square"]
    assert shape["description"] == "A shape on the sheet."


def test_class_that_contains_itself_stays_under_defs() -> None:
    schema = tool_of(dict[str, Tree]).parameters
    assert schema["properties"]["x"]["additionalProperties"] == {"$ref": "#/$defs/Tree"}
    assert schema["$defs"]["Tree"]["properties"]["branches"]["items"] == {"$ref": "#/$defs/Tree"}
    jsonschema.validate({"x": {"a": {"label": "1", "branches": [{"label": "2"}]}}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"x": {"a": {"label": "1", "branches": [{"label": 2}]}}}, schema)


def test_property_that_is_named_like_a_keyword() -> None:
    class Odd(msgspec.Struct):
        enum: Place
        items: Place = msgspec.field(name="$ref")
        default: list[Place] = []

    odd = schema_of(Odd)
    assert odd["properties"]["enum"] == odd["properties"]["$ref"] == odd["properties"]["default"]["items"] == _PLACE


@pytest.mark.parametrize(
    ("annotation", "default", "written"),
    [
        (int, 3, 3),
        (Unit, Unit.CELSIUS, "celsius"),
        (Place, Place("Oslo"), {"city": "Oslo", "country": None, "unit": "celsius"}),
        (set[int], {1}, [1]),
        (datetime.date, datetime.date(2024, 2, 29), "2024-02-29"),
        (int, None, None),
        (str | None, None, None),
    ],
)
def test_default_is_written(annotation: Any, default: Any, written: Any) -> None:
    schema = tool_of(annotation, default).parameters
    assert schema["properties"]["x"]["default"] == written
    assert "required" not in schema
    jsonschema.validate({"x": written}, schema)


@pytest.mark.parametrize(("annotation", "default"), [(str, object()), (float, math.nan), (int, "three"), (str, "\ud83d")])
def test_default_that_json_cannot_say_is_left_out(annotation: Any, default: Any) -> None:
    assert schema_of(annotation, default) == schema_of(annotation)
    assert tool_of(annotation, default).call({}) is default


# ---- round trips: a type, and values of it -------------------------------------------------------------

_TEXT = st.text(max_size=8)
_DATES = st.dates()
_PLACES = st.builds(Place, _TEXT, st.none() | _TEXT, st.sampled_from(Unit))
_TREES = st.recursive(st.builds(Tree, _TEXT), lambda trees: st.builds(Tree, _TEXT, st.lists(trees, max_size=2)), max_leaves=4)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_RANGES = st.fixed_dictionaries({}, optional={"low": st.integers(), "high": st.integers()})
_OUTLINES = st.builds(Circle, _FLOATS) | st.builds(Square, _FLOATS)
_LEAVES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, st.integers()),
    (str, _TEXT),
    (float, _FLOATS),
    (bool, st.booleans()),
    (Unit, st.sampled_from(Unit)),
    (Literal["a", "b"], st.sampled_from("ab")),
    (Place, _PLACES),
    (Tree, _TREES),
    (Range, _RANGES),
    (Shape, st.builds(Shape, _OUTLINES, st.lists(_TEXT, max_size=2))),
    (Union[Circle, Square], _OUTLINES),
    (datetime.date, _DATES),
    (datetime.datetime, st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc))),
    (uuid.UUID, st.uuids()),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (bytes, st.binary(max_size=8)),
]


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        inner.map(lambda one: (list[one[0]], st.lists(one[1], max_size=3))),
        inner.map(lambda one: (dict[str, one[0]], st.dictionaries(_TEXT, one[1], max_size=3))),
        inner.map(lambda one: (Optional[one[0]], st.none() | one[1])),
        inner.map(lambda one: (tuple[one[0], ...], st.lists(one[1], max_size=3).map(tuple))),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
    )


_KINDS = st.recursive(st.sampled_from(_LEAVES), _grown, max_leaves=4)


@given(st.data())
def test_values_fit_the_schema_and_come_back(data: st.DataObject) -> None:
    annotation, values = data.draw(_KINDS)
    value = data.draw(values)
    found = tool_of(annotation)
    text = msgspec.json.encode({"x": value})
    schema = found.parameters
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(msgspec.json.decode(text), schema)
    assert found.read_arguments(text.decode()) == {"x": value}




@given(st.data())
def test_several_parameters(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(_KINDS, min_size=2, max_size=4))

    def take(a: Any, b: Any = None, *, c: Any = None, d: Any = None) -> None: ...

    names = "abcd"[: len(kinds)]
    for name in "abcd":
        take.__annotations__[name] = kinds[names.index(name)][0] if name in names else int
    take.__annotations__.pop("return", None)
    values = {name: data.draw(kind[1]) for name, kind in zip(names, kinds, strict=True)}
    found = Tool.of(take)
    text = msgspec.json.encode(values)
    jsonschema.validate(msgspec.json.decode(text), found.parameters)
    assert found.read_arguments(text.decode()) == values
