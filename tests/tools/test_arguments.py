"""Arguments as models write them."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from animus.errors import ToolError
from animus.tools import Tool
from animus.tools.arguments import canonical
from tests.tools.samples import Place, Unit, add, get_weather


def book(
    name: str,
    nights: int,
    price: Decimal = Decimal(0),
    breakfast: bool = False,
    place: Place | None = None,
    units: list[Unit] | None = None,
    when: datetime.date | None = None,
    codes: dict[int, str] | None = None,
) -> None: ...


BOOK = Tool.of(book)


def _problem(text: str, tool: Tool[..., object] = BOOK) -> str:
    with pytest.raises(ToolError) as raised:
        tool.read_arguments(text)
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"name":"Ada","nights":"3"}', {"name": "Ada", "nights": 3}),
        ('{"name":"Ada","nights":3.0,"breakfast":"true"}', {"name": "Ada", "nights": 3, "breakfast": True}),
        ('{"name":"Ada","nights":1,"price":1.10}', {"name": "Ada", "nights": 1, "price": Decimal("1.10")}),
        ('{"name":"Ada","nights":1,"place":{"city":"Oslo"}}', {"name": "Ada", "nights": 1, "place": Place("Oslo")}),
        ('{"name":"Ada","nights":1,"codes":{"7":"a"}}', {"name": "Ada", "nights": 1, "codes": {7: "a"}}),
        ('{"name":"Ada","nights":1,"when":"2024-02-29"}', {"name": "Ada", "nights": 1, "when": datetime.date(2024, 2, 29)}),
        ('{"name":"Ada","nights":1,"place":null}', {"name": "Ada", "nights": 1, "place": None}),
        (' \n{"name":"Ada","nights":1}\n', {"name": "Ada", "nights": 1}),
    ],
)
def test_lenient_conversion(text: str, values: dict[str, object]) -> None:
    assert BOOK.read_arguments(text) == values


def test_null_for_a_default_that_is_not_none_means_not_given() -> None:
    assert BOOK.read_arguments('{"name":"Ada","nights":1,"price":null,"breakfast":null}') == {"name": "Ada", "nights": 1}


@pytest.mark.parametrize("text", ["", "  ", "null", "{}"])
def test_no_arguments(text: str) -> None:
    def ping(loud: bool = False) -> None: ...

    assert Tool.of(ping).read_arguments(text) == {}


def test_half_a_character_is_replaced() -> None:
    assert BOOK.read_arguments('{"name":"a\\ud83d","nights":1}')["name"] == "a\ufffd"
    assert BOOK.read_arguments('{"name":"a\ud83d","nights":1}')["name"] == "a\ufffd"
    assert BOOK.read_arguments('{"name":"\\ud83d\\ude00","nights":1}')["name"] == "\U0001f600"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", ["must be a JSON object"]),
        ('"{}"', ["must be a JSON object"]),
        ('{"name":"Ada","nights"', ["no JSON", "character 23"]),
        ('{"name":"Ada","nights":NaN}', ["malformed"]),
        ("{'name':'Ada'}", ["no JSON"]),
        ("{}", ["name is missing", "nights is missing"]),
        ('{"name":7,"nights":"many"}', ["name: Expected `str`, got `int`", "nights: Expected `int`, got `str`"]),
        ('{"name":null,"nights":1}', ["name: Expected `str`, got `null`"]),
        ('{"name":"Ada","nights":1,"place":{"city":7}}', ["place.city: Expected `str`, got `int`"]),
        ('{"name":"Ada","nights":1,"place":{}}', ["place: Object missing required field `city`"]),
        ('{"name":"Ada","nights":1,"units":["celsius","kelvin"]}', ["units[1]: Invalid enum value 'kelvin'"]),
        ('{"name":"Ada","night":1}', ["nights is missing", "no argument 'night', did you mean 'nights'?"]),
        ('{"name":"Ada","nights":1,"zzz":1}', ["no argument 'zzz', there are name, nights"]),
        ('{"name":' + "[" * 20_000 + "]" * 20_000 + "}", ["nested too deeply"]),
    ],
)
def test_error_says_what_is_wrong_and_where(text: str, words: list[str]) -> None:
    problem = _problem(text)
    assert problem.startswith("the arguments of book are not valid: ")
    assert [word for word in words if word not in problem] == []


def test_unknown_argument_of_a_function_that_takes_none() -> None:
    def ping() -> None: ...

    assert "there are none" in _problem('{"x": 1}', Tool.of(ping))


def test_error_shows_no_token_and_stays_short() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
    assert token not in _problem(json.dumps({"city": "x", "unit": token}), Tool.of(get_weather))
    assert token not in _problem(json.dumps({"city": "x", token: 1}), Tool.of(get_weather))
    assert len(_problem(json.dumps({"city": "x", "unit": "y" * 10_000}), Tool.of(get_weather))) < 400


@given(st.text() | st.text(alphabet='{}[]":,ab1\\ud83tr. '))
def test_any_text_is_values_or_a_tool_error(text: str) -> None:
    try:
        values = Tool.of(add).read_arguments(text)
    except ToolError:
        return
    assert set(values) <= {"a", "b"}


_LEAVES = st.none() | st.booleans() | st.integers() | st.text()
_JSON = st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.dictionaries(st.text(), _JSON), st.integers(0, 4), st.randoms(use_true_random=False))
def test_canonical_text_ignores_spacing_and_order(value: dict[str, object], indent: int, random: object) -> None:
    shuffled = dict(sorted(value.items(), key=lambda _: random.random()))  # type: ignore[attr-defined]
    assert canonical(json.dumps(shuffled, indent=indent)) == canonical(json.dumps(value, ensure_ascii=False))


def test_canonical_text_of_what_is_no_json() -> None:
    assert canonical(" {a ") == "{a"
    assert canonical("") == canonical(" {} ") == "{}"
    assert canonical("[" * 20_000) == "[" * 20_000
