"""How long a server asks to wait: ``Retry-After`` (RFC 9110 section 10.2.3) and its relatives in milliseconds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from animus._http_date import date_of, header, parse

_SECONDS = re.compile(r"[0-9]+")
_MILLISECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_IN_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")  # finer, so they win


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Give the seconds a server asks to wait, as it says; capping is the caller's job.

    A date is compared with the answer's own ``Date``, since the local clock may be wrong; one in the past is 0.
    What is neither a whole number nor a date is None. Never raises.

    Args:
        now: Unix seconds.
    """
    for name in _IN_MILLISECONDS:
        seconds = _number(_MILLISECONDS, header(headers, name))
        if seconds is not None:
            return seconds / 1000
    text = header(headers, "retry-after")
    seconds = _number(_SECONDS, text)
    if seconds is not None or text is None:
        return seconds
    date = parse(text.strip(" \t"), now)
    if date is None:
        return None
    sent = date_of(headers, now)
    return max(0.0, date - (now if sent is None else sent))


def _number(form: re.Pattern[str], text: str | None) -> float | None:
    if text is None or form.fullmatch(text.strip(" \t")) is None:
        return None
    value = float(text.strip(" \t"))
    return value if math.isfinite(value) else None
