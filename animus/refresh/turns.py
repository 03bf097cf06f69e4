"""Taking turns: one thread works at a time, but for those that do not come back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

from animus import _fork
from animus._clock import Clock

MOST = 4  # at work at once: one, and those that have been given up


class Work(Protocol):
    """What is worked for.

    Attributes:
        ends_at: The time on the monotonic clock by which it should be done.
        forgotten: Nobody wants it any more.
    """

    ends_at: float
    forgotten: bool


class Turns:
    """Lets one work after the other.

    Threads: any; the lock guards who works, and what wakes those who wait. Fork: nobody works in the child.

    Args:
        gives_up: Whether one that does not come back in its time is given up, so that the next works beside it. With four that have not
            come back, the next waits for one of them.
    """

    _lock = _fork.Lock()

    def __init__(self, clock: Clock, *, gives_up: bool) -> None:
        self._clock = clock
        self._gives_up = gives_up
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._working: list[Work] = []
        self._moved = threading.Event()

    def take(self, work: Work, until: float) -> Sequence[Work] | None:
        """Wait for a turn; give what others have been given up at, or None: it was forgotten, or there was none by then.

        Args:
            until: A time on the monotonic clock.
        """
        while True:
            with self._lock:
                now = self._clock.monotonic()
                others, has_room = tuple(self._working), self._gives_up and len(self._working) < MOST
                if work.forgotten:
                    return None
                if not others or (has_room and all(now >= other.ends_at for other in others)):
                    self._working.append(work)
                    return others
                if now >= until:
                    return None
                look_again_at = min(until, max(other.ends_at for other in others)) if has_room else until
                moved = self._moved
            self._clock.wait(moved, look_again_at - now)

    def leave(self, work: Work) -> None:
        """Let the next work."""
        with self._lock:
            self._working = [other for other in self._working if other is not work]  # not there after a fork in the middle of it
            self._stir()

    def forget(self) -> None:
        """Have nobody want what is worked at, nor wait for it."""
        with self._lock:
            for work in self._working:
                work.forgotten = True
            self._stir()

    def _stir(self) -> None:
        moved, self._moved = self._moved, threading.Event()
        moved.set()
