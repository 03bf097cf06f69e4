"""Tokens in this process, for several clients."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from animus import _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.stores.protocol import StoredToken


class MemoryTokenStore:
    """Keeps tokens in memory: clients of one process that are made with the same store and source share them.

    A client without a store keeps its token by itself; none is needed for that.

    Threads: any. The lock guards the tables. Fork: the child keeps the tokens, and no lock is held in it.
    Pickling: as an empty store.
    """

    _lock = _fork.Lock()

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._tokens: dict[str, StoredToken] = {}
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._held: dict[str, threading.Event] = {}
        self._failures: dict[str, tuple[str, float]] = {}

    def load(self, key: str) -> StoredToken | None:
        """Give what was saved last under ``key``, or None."""
        return self._tokens.get(key)

    def save(self, key: str, stored: StoredToken) -> None:
        """Keep ``stored`` under ``key``."""
        with self._lock:
            self._tokens[key] = stored

    def delete(self, key: str) -> None:
        """Forget what is under ``key``, a failure too."""
        with self._lock:
            self._tokens.pop(key, None)
            self._failures.pop(key, None)

    def load_failure(self, key: str) -> str | None:
        """Give what was saved last under ``key``, or None if its time is over."""
        text, until = self._failures.get(key, ("", float("-inf")))
        return text if self._clock.monotonic() < until else None

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        """Keep ``text`` under ``key`` for so many seconds."""
        with self._lock:
            self._failures[key] = (text, self._clock.monotonic() + seconds)

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Hold the lock of ``key``.

        Raises:
            TimeoutError: it was not free within ``timeout`` seconds.
        """
        mine = threading.Event()
        self._take(key, mine, self._clock.monotonic() + timeout)
        try:
            yield
        finally:
            with self._lock:
                if self._held.get(key) is mine:
                    del self._held[key]
            mine.set()

    def _take(self, key: str, mine: threading.Event, end: float) -> None:
        while True:
            with self._lock:
                holder = self._held.setdefault(key, mine)
            if holder is mine:
                return
            if not self._clock.wait(holder, end - self._clock.monotonic()):
                raise TimeoutError("somebody else is fetching this token")

    def __repr__(self) -> str:
        return f"<MemoryTokenStore with {len(self._tokens)} tokens>"

    def __copy__(self) -> MemoryTokenStore:
        return self

    def __deepcopy__(self, memo: object) -> MemoryTokenStore:
        return self

    def __reduce__(self) -> Any:
        return MemoryTokenStore, ()
