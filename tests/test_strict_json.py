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
