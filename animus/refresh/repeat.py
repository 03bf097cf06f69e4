"""Asking a source a second time: after failures that often mend themselves, never after a refusal."""

from __future__ import annotations

import random
from collections.abc import Callable

from animus import _fork
from animus.errors import TokenSourceError
from animus.tokens.token import Token

REPEATED = frozenset(("unreachable", "rate_limited", "server_error"))
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.1, 0.5
_LONGEST_ASKED_PAUSE = 5.0  # somebody waits: a source that asks for more gets its wish from the caller


def pause_after(error: TokenSourceError, rng: random.Random) -> float | None:
    """Give the seconds to wait before the source is asked again, or None if it must not be."""
    # of a chain all are asked again, so that none of them may have refused
    if not {failed.reason for _, failed in error.failures} - {"not_available"} <= REPEATED or error.reason not in REPEATED:
        return None
    if error.retry_after is None:
        return rng.uniform(_SHORTEST_PAUSE, _LONGEST_PAUSE)
    return error.retry_after if error.retry_after <= _LONGEST_ASKED_PAUSE else None


def ask_again(ask: Callable[[], Token], first: TokenSourceError, pause: float, sleep: Callable[[float], None]) -> Token:
    """Ask once more after ``pause`` seconds; ``first`` is what the first time, made without tenacity, ended in.

    Raises:
        TokenSourceError: the second failure.
    """
    with _fork.forks_wait:
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

    pending = [first]

    def attempt() -> Token:
        if pending:
            raise pending.pop()  # counts as attempt 1
        return ask()

    controller = Retrying(
        stop=stop_after_attempt(2),
        wait=lambda state: pause,
        retry=retry_if_exception_type(TokenSourceError),
        sleep=sleep,
        reraise=True,
    )
    return controller(attempt)
