"""A bucket that keeps many callers from repeating an outage into a longer one."""

from __future__ import annotations

import threading

from animus import _fork

_GIVEN_BACK = 0.2  # of a repetition, for each success


class RetryBudget:
    """So many repetitions while hardly anything succeeds. One per client.

    Threads: any; the lock guards the level. Fork: the child begins with a full one.

    Attributes:
        is_short: Whether something is missing that a success would give back. A stale look costs nothing.
    """

    _lock = _fork.Lock()

    def __init__(self, size: int) -> None:
        self.size = size
        self.is_short: bool = False
        self._level = float(size)
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._level = float(self.size)
        self.is_short = False

    def take(self) -> bool:
        """Take one repetition; False if there is none left."""
        with self._lock:
            if self._level < 1.0:
                return False
            self._level -= 1.0
            self.is_short = True
            return True

    def give_back(self) -> None:
        """A call succeeded."""
        if self.is_short:  # the usual full bucket takes no lock
            with self._lock:
                self._level = min(float(self.size), self._level + _GIVEN_BACK)
                self.is_short = self._level < self.size
