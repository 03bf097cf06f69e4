"""JSON as RFC 8259 has it: what Python's reader accepts beyond that is refused, and nothing but ValueError is raised."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

# beyond this many digits a number has no meaning of its own here; int() itself refuses more than 4300 (CVE-2020-10735)
_LONGEST_INT = 18
_BOM = "\ufeff"


def loads(text: str) -> Any:
    """Give the value of a JSON text. Numbers too large for a float become infinite.

    Raises:
        ValueError: no JSON, ``NaN`` or ``Infinity`` in it, or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def bare(text: str) -> str:
    """Give ``text`` without a byte order mark (RFC 8259 section 8.1) and white space around it.

    >>> bare("\\n\\ufeff {}\\n")
    '{}'
    """
    return text.strip().lstrip(_BOM).strip()


def number(value: Any) -> float | None:
    """Give a JSON number as float (infinite if too large), None for anything else; True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)
