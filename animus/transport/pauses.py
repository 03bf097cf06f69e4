"""Waits between attempts, which other threads can end."""

from __future__ import annotations

import threading
from typing import Protocol

from animus import _fork
from animus._clock import Clock


class Endable(Protocol):
    """What else may end a wait: it sets ``sleeping`` when it is cancelled."""

    sleeping: threading.Event | None

    @property
    def cancelled(self) -> bool:
        """Whether it is."""


class Pauses:
    """The waits of one session.

    Threads: any; the set is only ever changed by single operations. Fork: the child begins with no wait.

    Args:
        clock: The time.
        within: The waits of the session whose connections this one shares: they end together.
    """

    def __init__(self, clock: Clock, within: Pauses | None = None) -> None:
        self._clock = clock
        self._family: tuple[Pauses, ...] = (self, *(within._family if within is not None else ()))
        self._ended = False
        self._sleeping: set[threading.Event] = set()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._sleeping = set()  # other threads' events, whose locks may be held for ever

    @property
    def ended(self) -> bool:
        """Whether there will be no further waits."""
        return any(pauses._ended for pauses in self._family)

    def sleep(self, seconds: float, cancellation: Endable | None = None) -> bool:
        """Wait; give False if that was ended before its time."""
        woken = threading.Event()
        for pauses in self._family:
            pauses._sleeping.add(woken)
        if cancellation is not None:
            cancellation.sleeping = woken
        try:
            if self.ended or (cancellation is not None and cancellation.cancelled):
                return False
            return not self._clock.wait(woken, seconds)
        finally:
            for pauses in self._family:
                pauses._sleeping.discard(woken)

    def end(self) -> None:
        """End all waits, and have no more."""
        self._ended = True
        for woken in self._sleeping.copy():
            woken.set()
