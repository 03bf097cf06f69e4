"""A clock that stands still until the test moves it."""

from __future__ import annotations

import threading
import time
from typing import Any

from animus import _fork

_FIRST_POLL = 0.001
_LAST_POLL = 0.02  # a thousand waiting threads must leave the processor to the others


class ManualClock:
    """A clock (see :class:`animus._clock.Clock`) whose time the test decides. All values are seconds.

    With ``auto_advance`` (the default) a wait takes no real time: if its event is not set, the clock jumps to the end of the wait,
    which then returns. So a client that backs off for half a minute is tested in no time, and :attr:`waits` tells what it asked for.
    A wait without limit blocks until its event is set.

    Without ``auto_advance`` a wait blocks until :meth:`advance` has moved the time far enough, or its event is set. Use it where
    several threads wait at once; :meth:`wait_until_blocked` tells when they all do.

    Threads: every method may be called from any thread. Forks: a child goes on with the same time and no waiting thread.
    Pickles and copies as the time it shows.

    >>> clock = ManualClock(1000.0)
    >>> clock.wait(threading.Event(), 30)
    False
    >>> clock.time(), clock.waits
    (1030.0, [30])
    """

    def __init__(self, now: float = 1_700_000_000.0, *, monotonic: float = 1000.0, auto_advance: bool = True) -> None:
        """Begin at wall-clock time ``now`` (seconds since 1970) and at ``monotonic``."""
        self.auto_advance = auto_advance
        self.waits: list[float | None] = []
        self._now = float(now)
        self._monotonic = float(monotonic)
        self._blocked = 0
        self._lock = threading.Lock()  # guards the two times, the list of waits and the count of blocked threads
        _fork.register(self)

    @property
    def now(self) -> float:
        """The wall-clock time."""
        return self._now

    @property
    def monotonic_now(self) -> float:
        """The time that never goes back."""
        return self._monotonic

    @property
    def blocked(self) -> int:
        """How many threads are inside :meth:`wait`."""
        return self._blocked

    def time(self) -> float:
        """Give the wall-clock time, seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Give a time that never goes back."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks.

        Raises:
            ValueError: ``seconds`` is negative; :meth:`set_time` puts the wall clock back.
        """
        if seconds < 0:
            raise ValueError("time goes forward; set_time() puts the wall clock back")
        with self._lock:
            self._move(seconds)

    def set_time(self, now: float) -> None:
        """Set the wall clock alone, as an administrator or NTP does; the monotonic clock does not notice."""
        with self._lock:
            self._now = float(now)

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        """Wait until ``event`` is set, ``timeout`` seconds of this clock at most; give whether it is set."""
        with self._lock:
            self.waits.append(timeout)
            end = None if timeout is None else self._monotonic + max(timeout, 0.0)
            if self.auto_advance and timeout is not None and not event.is_set():
                self._move(max(timeout, 0.0))
            self._blocked += 1
        try:
            return self._block(event, end)
        finally:
            with self._lock:
                self._blocked -= 1

    def wait_until_blocked(self, threads: int = 1, timeout: float = 10.0) -> None:
        """Wait until at least ``threads`` threads are inside :meth:`wait`, ``timeout`` seconds of real time at most.

        Raises:
            TimeoutError: they are not.
        """
        end = time.monotonic() + timeout
        while self._blocked < threads:
            if time.monotonic() > end:
                raise TimeoutError(f"{self._blocked} threads wait for the clock, not {threads}")
            time.sleep(_FIRST_POLL)

    def _block(self, event: threading.Event, end: float | None) -> bool:
        # an event cannot wake a waiter for another reason than being set: between its short waits the thread looks at the time
        poll = _FIRST_POLL
        while not event.is_set():
            if end is None:
                return event.wait()
            if self._monotonic >= end:
                return event.is_set()
            event.wait(poll)
            poll = min(poll * 2, _LAST_POLL)
        return True

    def _move(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._blocked = 0

    def __repr__(self) -> str:
        return f"ManualClock(now={self._now:.3f}, monotonic={self._monotonic:.3f}, auto_advance={self.auto_advance})"

    def __getstate__(self) -> dict[str, Any]:
        return {"auto_advance": self.auto_advance, "waits": list(self.waits), "_now": self._now, "_monotonic": self._monotonic}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset_after_fork()
        _fork.register(self)
