"""The waits for long work that are under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from animus import _fork
from animus.transport.call import Cancellation


class OpenWaits:
    """The waits under way of one client: closing it ends them.

    Threads: any; the lock guards the set. Fork: the child has none.

    Args:
        within: The waits of the client whose connections this one shares: closing that one ends these, too.
    """

    _lock = _fork.Lock()

    def __init__(self, within: OpenWaits | None = None) -> None:
        self._lock = threading.RLock()
        self._open: set[Cancellation] = set()
        self._within = within
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._open = set()

    @contextmanager
    def begin(self) -> Iterator[Cancellation]:
        """Give the means to end a wait, for as long as it is open."""
        cancellation = Cancellation()
        self._add(cancellation)
        try:
            yield cancellation
        finally:
            self._remove(cancellation)

    def end(self) -> None:
        """End all that are open, from any thread."""
        with self._lock:
            waits = list(self._open)
        for cancellation in waits:
            cancellation.cancel()

    def _add(self, cancellation: Cancellation) -> None:
        with self._lock:
            self._open.add(cancellation)
        if self._within is not None:
            self._within._add(cancellation)

    def _remove(self, cancellation: Cancellation) -> None:
        with self._lock:
            self._open.discard(cancellation)
        if self._within is not None:
            self._within._remove(cancellation)
