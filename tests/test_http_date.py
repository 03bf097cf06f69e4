"""Dates in headers."""

from __future__ import annotations

import datetime
import time

import pytest
from hypothesis import given, strategies as st

from animus._http_date import date_of, header, parse

NOW = 1795600000.0  # Wed, 25 Nov 2026 09:46:40 GMT


@pytest.mark.parametrize(
    "text",
    [
        "Wed, 25 Nov 2026 09:46:40 GMT",
        "Wednesday, 25-Nov-26 09:46:40 GMT",
        "Wed Nov 25 09:46:40 2026",
        "wed, 25 nov 2026 09:46:40 gmt",
        "Wed, 25 Nov 2026 09:46:40 +0000",
        "Wed, 25 Nov 2026 04:46:40 -0500",
        "Wed, 25 Nov 2026 15:16:40 +0530",
        "Wed, 25 Nov 2026 09:46:40",
    ],
)
def test_all_forms_of_one_moment(text: str) -> None:
    assert parse(text, NOW) == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "Wed, 25 Nov 2026",
        "Wed, 25 Nov 2026 09:46 GMT",
        "Wed, 31 Feb 2027 09:46:40 GMT",
        "Wed, 25 Now 2026 09:46:40 GMT",
        "Wed, 25 Nov 2026 24:46:40 GMT",
        "Wed, 25 Nov 2026 09:60:40 GMT",
        "Wed, 25 Nov 2026 09:46:61 GMT",
        "Wed, 25 Nov 2026 09:46:40 EST",
        "Wed, 25 Nov 2026 09:46:40 GMT, Wed, 25 Nov 2026 09:46:40 GMT",
        "Wed, 25 Nov 2026 09:46:40 GMT\n",
        "Wed, ２５ Nov 2026 09:46:40 GMT",
        "Wed, 00 Nov 2026 09:46:40 GMT",
        "Wed, 25 Nov 0000 09:46:40 GMT",
        "2026-11-25T09:46:40Z",
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse(text, NOW) is None


def test_a_leap_second_is_the_next_second() -> None:
    assert parse("Wed, 25 Nov 2026 09:46:60 GMT", NOW) == parse("Wed, 25 Nov 2026 09:47:00 GMT", NOW)


@pytest.mark.parametrize(("two_digits", "year"), [("26", 2026), ("75", 2075), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)])
def test_two_digits_mean_a_year_at_most_fifty_ahead(two_digits: str, year: int) -> None:
    seconds = parse(f"Monday, 25-Nov-{two_digits} 09:46:40 GMT", NOW)
    assert seconds is not None
    assert datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).year == year


@pytest.mark.parametrize("now", [float("nan"), float("inf"), -1e300, 1e300])
def test_an_absurd_clock_raises_nothing(now: float) -> None:
    assert parse("Monday, 25-Nov-75 09:46:40 GMT", now) is not None


@given(st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2100, 1, 1)))
def test_every_moment_is_read_back(moment: datetime.datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=datetime.timezone.utc)
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    text = f"{days[moment.weekday()]}, {moment.day:02} {months[moment.month - 1]} {moment.year} {moment:%H:%M:%S} GMT"
    assert parse(text, NOW) == moment.timestamp()


@given(st.text(max_size=60))
def test_any_text_raises_nothing(text: str) -> None:
    parse(text, NOW)


def test_the_time_zone_of_the_machine_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        seconds = parse("Wed, 25 Nov 2026 09:46:40 GMT", NOW)
    time.tzset()
    assert seconds == NOW


def test_a_date_of_before_the_platform_is_not_believed() -> None:
    assert date_of({"Date": "Thu, 01 Jan 1970 00:00:10 GMT"}, NOW) is None
    assert date_of({"DATE": " Wed, 25 Nov 2026 09:46:40 GMT\t"}, NOW) == NOW
    assert date_of({}, NOW) is None


def test_headers_are_found_in_any_case_and_any_mapping() -> None:
    assert header({"ReTry-After": "7"}, "retry-after") == "7"
    assert header({"X-Retry-After": "7", "Retry_After": "8"}, "retry-after") is None
