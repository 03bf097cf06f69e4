"""How long a server asks to wait, beyond the vectors."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st
from requests.structures import CaseInsensitiveDict

from animus.http.retry_after import retry_after

NOW = 1795600000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "0"}, 0),
        ({"retry-after": " 120\t"}, 120),
        ({"RETRY-AFTER": "007"}, 7),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "+5"}, None),
        ({"Retry-After": "1e3"}, None),
        ({"Retry-After": "1_000"}, None),
        ({"Retry-After": "0x10"}, None),
        ({"Retry-After": "١٢٠"}, None),
        ({"Retry-After": "120\xa0"}, None),
        ({"Retry-After": "120\n"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"Retry-After": "Wed, 25 Nov 2026 09:47:40 GMT"}, 60),
        ({"Retry-After": "Wed, 25 Nov 2026 09:45:40 GMT"}, 0),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({"retry-after-ms": "250.5"}, 0.2505),
        ({"retry-after-ms": "nan", "Retry-After": "9"}, 9),
        ({"retry-after-ms": "9" * 400, "Retry-After": "9"}, 9),
        ({"x-ms-retry-after-ms": "500"}, 0.5),
        ({"X-Retry-After": "7"}, None),
        ({}, None),
    ],
)
def test_values(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
    assert retry_after(CaseInsensitiveDict(headers), NOW) == seconds


def test_a_date_is_compared_with_the_answers_own_date() -> None:
    headers = {"Date": "Wed, 25 Nov 2026 09:46:40 GMT", "Retry-After": "Wed, 25 Nov 2026 09:47:10 GMT"}
    assert retry_after(headers, NOW - 3600) == 30
    assert retry_after({**headers, "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, NOW) == 30
    assert retry_after({**headers, "Date": "nonsense"}, NOW) == 30


@given(st.text(max_size=60), st.text(max_size=20), st.floats(), st.text(max_size=40))
def test_nothing_raises_and_nothing_is_infinite(text: str, milliseconds: str, now: float, date: str) -> None:
    seconds = retry_after({"Retry-After": text, "retry-after-ms": milliseconds, "Date": date}, now)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
