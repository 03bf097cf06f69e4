"""What all typed answers share."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from animus.models.answer import HttpInfo, ShapeError, loads, mend, short


def test_request_id_is_found_whatever_the_spelling() -> None:
    assert HttpInfo(status=200, headers={"X-Request-ID": "r1"}).request_id == "r1"
    assert HttpInfo(status=200, headers={"cf-ray": "c", "Request-Id": "r2"}).request_id == "r2"
    assert HttpInfo(status=200, headers={"x-request-id": ""}).request_id is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        ('"\\ud83d"', "\ud83d"),
        (b'"a\xff"', "a�"),
        ("9" * 5000, math.inf),
        ("1e999", math.inf),
        ("-" + "1" * 300, int("-" + "1" * 300)),
    ],
)
def test_json_is_read_whatever_a_server_does_to_it(text: bytes | str, value: object) -> None:
    assert loads(text) == value


def test_nan_is_read() -> None:
    assert math.isnan(loads("NaN"))


@pytest.mark.parametrize("text", ["", "{", "oops", '{"secret": "abc"', "[" * 100_000, b"\xff", '\ufeff{"a":1}'])
def test_what_is_no_json_is_told_without_its_values(text: bytes | str) -> None:
    with pytest.raises(ShapeError) as caught:
        loads(text)
    assert caught.value.__cause__ is None
    assert "abc" not in str(caught.value)


@given(st.text(st.characters(exclude_categories=())))
def test_mended_text_can_be_written_and_keeps_what_was_whole(text: str) -> None:
    mended = mend(text)
    mended.encode()
    assert mended == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@given(st.text(), st.lists(st.integers(0, 1000)))
def test_mending_joins_what_was_split_into_halves(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    halves = "".join(units[start : start + 2].decode("utf-16-le", "surrogatepass") for start in range(0, len(units), 2))
    assert mend(halves) == text


def test_short_cuts_texts_and_lists() -> None:
    assert short("x" * 61) == repr("x" * 59 + "…")
    assert short([1, 2, 3, 4]) == "[1, 2, 3, …]"
