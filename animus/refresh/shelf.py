"""The manager's place in a store: tokens that siblings (other clients, processes, machines) have fetched, and ours for them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from animus._cause import describe
from animus.stores.protocol import StoredToken, TokenStore
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)
R = TypeVar("R")


class Shelf:
    """One key of one store. A store that fails is logged, once for each kind of failure, and done without.

    Threads: one at a time takes and puts; any may clear.
    """

    def __init__(self, store: TokenStore, key: str) -> None:
        self.store = store
        self.key = key
        self._warned: set[str] = set()

    def take(self) -> Token | None:
        """Give the token that is there, whatever its age."""
        stored = self._try("load", lambda: self.store.load(self.key))
        return stored.token() if isinstance(stored, StoredToken) else None

    def put(self, token: Token) -> None:
        """Keep ``token`` for the siblings."""
        self._try("save", lambda: self.store.save(self.key, StoredToken.of(token)))

    def clear(self) -> None:
        """Leave nothing there."""
        self._try("delete", lambda: self.store.delete(self.key))

    @contextlib.contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock of the key; after ``timeout`` seconds go on without: a sibling that hangs must not stop all others."""
        lock = self._try("lock", lambda: _entered(self.store.lock(self.key, timeout)))
        try:
            yield
        finally:
            if lock is not None:
                self._try("unlock", lambda: lock.__exit__(None, None, None))

    def _try(self, what: str, act: Callable[[], R]) -> R | None:
        try:
            return act()
        except Exception as error:
            text = f"{type(self.store).__name__}.{what}: {describe(error)}"
            level = logging.DEBUG if text in self._warned else logging.WARNING
            self._warned.add(text)
            logger.log(level, "going on without the token store: %s", text)
            return None


def _entered(lock: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    lock.__enter__()
    return lock
