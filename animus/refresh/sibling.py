"""What siblings (other clients, processes, machines that share a store) are told of a failure, so that they need not ask for themselves."""

from __future__ import annotations

import json
import math
import platform
import re
from typing import Any

from animus import _strict_json
from animus._secret import scrub
from animus.errors import TokenSourceError

# the provider was not reached: the network of one machine says nothing about that of another
_OF_THIS_MACHINE = frozenset(("unreachable",))
# the provider has trouble of its own, whoever asks. Any other answer may be about what a function has sent along
_OF_THE_PROVIDER = frozenset(("rate_limited", "server_error"))
_REASON = re.compile(r"[a-z_]{1,40}")
_LONGEST = 2000


def note_of(error: TokenSourceError, *, contains_callables: bool) -> str | None:
    """Give what a sibling should know of ``error``, or None if it may fare better.

    Told are answers of a provider other than a token, and to siblings on the same machine that it cannot be reached. Not told is what
    may be the fault of this process: a program that is not in its ``PATH``, a function that raises, a time limit of its own, or
    whatever was answered to what a function has given, but for 429 and 5xx.

    Args:
        contains_callables: Whether what the source sends may differ from process to process.
    """
    kinds = {_kind(each, contains_callables) for each in ([error for _, error in error.failures] or [error])}
    if None in kinds:
        return None
    where = platform.node() if "machine" in kinds else None
    told = {
        "reason": error.reason,
        "message": str(error.message)[:_LONGEST],
        "hint": error.hint,
        "status": error.status,
        "retry_after": error.retry_after,
        "attempts": error.attempts,
    }
    return json.dumps({"machine": where, **told})


def failure_in(note: str, *, source: str) -> TokenSourceError | None:
    """Give the failure that a sibling has noted, or None if it is not one, or of another machine."""
    try:
        told: dict[str, Any] = _strict_json.loads(note)
        if told["machine"] not in (None, platform.node()) or _REASON.fullmatch(told["reason"]) is None:
            return None
        return TokenSourceError(
            scrub(_checked(told["message"], str))[:_LONGEST],
            reason=told["reason"],
            source=source,
            status=_checked(told["status"], int, type(None)),
            retry_after=_seconds(told["retry_after"]),
            hint=None if told["hint"] is None else scrub(_checked(told["hint"], str))[:_LONGEST],
            attempts=_checked(told["attempts"], int, type(None)),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _kind(error: TokenSourceError, contains_callables: bool) -> str | None:
    if error.reason in _OF_THE_PROVIDER or (error.status is not None and not contains_callables):
        return "provider"
    return "machine" if error.reason in _OF_THIS_MACHINE else None


def _checked(value: Any, *kinds: type) -> Any:
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError
    return value


def _seconds(value: Any) -> float | None:
    number: float | None = _checked(value, int, float, type(None))
    if number is not None and not (math.isfinite(number) and number >= 0):
        raise ValueError
    return number
