"""Time that tests can replace."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Where the package reads the time and waits. All values are seconds."""

    def time(self) -> float:
        """Give the wall-clock time, seconds since 1970."""

    def monotonic(self) -> float:
        """Give a time that never goes back."""

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until ``event`` is set, ``timeout`` seconds at most; give whether it is set.

        Every wait of the package goes through here: it is woken by the event, never polled.
        """


class SystemClock:
    """The real one."""

    __slots__ = ()

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        if timeout is not None:
            # threading.TIMEOUT_MAX guards against OverflowError from absurd server-given values
            timeout = min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        return event.wait(timeout)


SYSTEM_CLOCK: Clock = SystemClock()
