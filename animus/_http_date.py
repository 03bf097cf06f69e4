"""HTTP dates: the three forms of RFC 9110 section 5.6.7, always GMT, whatever the machine's time zone is."""

from __future__ import annotations

import calendar
import datetime
import re
import time
from collections.abc import Mapping

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SHORT_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)"
_LONG_DAY = "(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# letter case and a numeric or missing zone are not in the RFC, but servers send them, and they can mean only one thing
_FORMS = (
    rf"{_SHORT_DAY}, (?P<day>\d\d) (?P<month>[a-z]{{3}}) (?P<year>\d{{4}}) {_TIME}(?: (?:GMT|UTC|(?P<zone>[+-]\d{{4}})))?",
    rf"{_LONG_DAY}, (?P<day>\d\d)-(?P<month>[a-z]{{3}})-(?P<year>\d\d) {_TIME} GMT",
    rf"{_SHORT_DAY} (?P<month>[a-z]{{3}}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
)
_FAR_AHEAD = 50  # years: a two-digit year is never read as further in the future
_EARLIEST_BELIEVED = 1_577_836_800.0  # 2020-01-01: no server of the platform was there before


def parse(text: str, now: float) -> float | None:
    """Give the Unix seconds of an HTTP date, or None if it is none.

    Args:
        now: Unix seconds; two-digit years are read relative to it.
    """
    for form in _FORMS:
        match = re.fullmatch(form, text, re.ASCII | re.IGNORECASE)  # re remembers them; most processes read no date
        if match is not None:
            return _seconds(match, now)
    return None


def date_of(headers: Mapping[str, str], now: float) -> float | None:
    """Give the ``Date`` of an answer, or None if there is none that can be believed."""
    text = header(headers, "date")
    date = None if text is None else parse(text.strip(" \t"), now)
    return date if date is not None and date >= _EARLIEST_BELIEVED else None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Give a header by its lower-case name, from a mapping of any kind."""
    for key, value in headers.items():
        if isinstance(key, str) and isinstance(value, str) and key.lower() == name:
            return value
    return None


def _seconds(match: re.Match[str], now: float) -> float | None:
    parts = match.groupdict()
    if parts["month"].lower() not in _MONTHS:
        return None
    month, day = _MONTHS.index(parts["month"].lower()) + 1, int(parts["day"])
    hour, minute, second = int(parts["hour"]), int(parts["minute"]), int(parts["second"])
    if hour > 23 or minute > 59 or second > 60:  # 60: a leap second is in the grammar
        return None
    year = int(parts["year"]) if len(parts["year"]) == 4 else _full_year(int(parts["year"]), now)
    try:
        datetime.date(year, month, day)
    except ValueError:  # 31 February
        return None
    seconds = calendar.timegm((year, month, day, hour, minute, 0)) + second
    return float(seconds - _offset(parts.get("zone")))


def _full_year(two_digits: int, now: float) -> int:
    try:
        this_year = time.gmtime(now).tm_year
    except (ValueError, OverflowError, OSError):
        this_year = 2020
    latest = this_year + _FAR_AHEAD
    return latest - (latest - two_digits) % 100


def _offset(zone: str | None) -> int:
    if not zone:
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[3:5]) * 60
    return -seconds if zone[0] == "-" else seconds
