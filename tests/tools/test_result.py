"""What functions give, as text for the model."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pickle
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus._secret import Secret
from animus.errors import ToolError
from animus.tools import ToolResult
from animus.tools.result import error_text, result_text
from tests.tools.samples import Circle, Place, Unit


class _Word(str, enum.Enum):
    YES = "yes"


class _Unshowable:
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (3.5, "3.5"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Place("Köln"), '{"city":"Köln","country":null,"unit":"celsius"}'),
        (Circle(1.0), '{"type":"circle","radius":1.0}'),
        (Unit.CELSIUS, '"celsius"'),
        (_Word.YES, "yes"),
        (datetime.date(2024, 2, 29), '"2024-02-29"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        ({1, 2}, "[1,2]"),
        (b"ab", '"YWI="'),
        ({1: "a"}, '{"1":"a"}'),
        (Counter("aab"), '{"a":2,"b":1}'),
        (PurePosixPath("/x"), '"/x"'),
        ({"p": PurePosixPath("/x")}, '{"p":"/x"}'),
        (float("nan"), "null"),
        ("half \ud83d", "half \ufffd"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"a\ud83d": ["b\ud83d", ("\ud83d\ude00",)]}, '{"a\ufffd":["b\ufffd",["\U0001f600"]]}'),
    ],
)
def test_text_of(value: Any, text: str) -> None:
    assert result_text(value) == text


def test_what_contains_itself_is_shown() -> None:
    value: list[Any] = []
    value.append(value)
    assert result_text(value) == "[[...]]"


_ANY_TEXT = st.text(alphabet=st.characters())  # half characters too
_LEAVES = st.none() | st.booleans() | st.integers() | _ANY_TEXT


@given(st.recursive(_LEAVES, lambda inner: st.lists(inner) | st.dictionaries(_ANY_TEXT, inner)))
def test_json_values_can_be_read_back(value: Any) -> None:
    text = result_text(value)
    text.encode()
    if not isinstance(value, str) and "\\ud" not in ascii(value):
        assert json.loads(text) == value


def test_error_text() -> None:
    assert error_text(ValueError("no\nsuch  city")) == "ValueError: no such city"
    assert error_text(ValueError()) == "ValueError"
    assert error_text(ToolError("vetoed")) == "vetoed"
    assert error_text(ValueError(_Unshowable())) == "ValueError"
    assert len(error_text(ValueError("x" * 10_000))) <= 2100
    assert "c2lnbmF0dXJl" not in error_text(ValueError("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"))
    error_text(ValueError("half \ud83d")).encode()


def test_secret_result_is_a_plain_string() -> None:
    assert type(result_text(Secret("abcdefgh"))) is str


def test_result_as_message() -> None:
    result = ToolResult(call_id="call_1", name="add", content="3")
    assert result.to_message() == {"role": "tool", "tool_call_id": "call_1", "content": "3"}
    assert not result.is_error


def test_result_pickles_whatever_the_error_was() -> None:
    class Local(Exception):
        pass

    result = pickle.loads(pickle.dumps(ToolResult(call_id="1", name="f", content="Error", error=Local("gone"))))
    assert isinstance(result.error, ToolError)
    assert str(result.error) == "Local: gone"
    whole = ToolResult(call_id="1", name="f", content="3")
    assert pickle.loads(pickle.dumps(whole)) == whole
    error = pickle.loads(pickle.dumps(ToolError("over", limit="rounds", results=(result,), partial=whole)))
    assert (error.limit, error.partial, error.results[0].content) == ("rounds", whole, "Error")
