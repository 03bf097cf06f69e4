"""JSON without Python's extensions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from animus import _strict_json


@pytest.mark.parametrize("text", ["", "NaN", "[Infinity]", "-Infinity", "{'a': 1}", "[" * 100000, "undefined", "\ufeff{}"])
def test_what_is_no_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        _strict_json.loads(text)


def test_numbers_too_large_are_infinite() -> None:
    assert _strict_json.loads("9" * 5000) == math.inf
    assert _strict_json.loads("-" + "9" * 5000) == -math.inf
    assert _strict_json.loads("1e999") == math.inf


def test_usual_values_are_what_they_are() -> None:
    assert _strict_json.loads('{"a": [1, 1.5, "x", true, null, 1795600900123]}') == {"a": [1, 1.5, "x", True, None, 1795600900123]}


@given(st.text(max_size=60))
def test_any_text_raises_nothing_else(text: str) -> None:
    try:
        _strict_json.loads(text)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("value", "number"),
    [(7, 7.0), (1.5, 1.5), (10**400, math.inf), (-(10**400), -math.inf), (True, None), ("7", None), (None, None), ([], None)],
)
def test_a_number_is_one_that_floats_can_be_compared_with(value: object, number: float | None) -> None:
    assert _strict_json.number(value) == number


@pytest.mark.parametrize("text", ["{}", "\ufeff{}", " {}\r\n", "\n\ufeff\ufeff {}\n"])
def test_what_may_stand_around_an_answer_is_taken_off(text: str) -> None:
    assert _strict_json.bare(text) == "{}"
