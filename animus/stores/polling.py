"""Waiting for a lock that cannot wake who waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from animus._chance import Chance
from animus._clock import Clock

# a fetch takes some tenths of a second, and who waits needs its outcome: short pauses are worth their few system calls
_FIRST, _LONGEST = 0.01, 0.05

_CHANCE = Chance()


def poll(attempt: Callable[[], bool], timeout: float, clock: Clock) -> None:
    """Try ``attempt`` until it gives True, with pauses of 10 to 50 ms of random length, so that many who wait do not meet.

    Raises:
        TimeoutError: it gave False for ``timeout`` seconds.
    """
    nothing = threading.Event()
    end = clock.monotonic() + timeout
    pause = _FIRST
    while not attempt():
        left = end - clock.monotonic()
        if left <= 0:
            raise TimeoutError("somebody else holds the lock: they are fetching this token")
        clock.wait(nothing, min(left, _CHANCE.uniform(pause / 2, pause)))
        pause = min(pause * 2, _LONGEST)
