"""Tokens that are handed out more than once: a token manager for each user, or one for all."""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Callable

from animus import _fork
from animus._clock import Clock
from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenSource
from animus.stores.protocol import TokenStore
from animus.tokens.token import Token

# seconds for which a kept token is good enough for who wants a new one: of all whose token was revoked at once, the first gets one
# fetched, and the others get the same
_NEW_FOR = 10.0


class _Entry:
    """One manager, and since when it has the token it handed out last."""

    __slots__ = ("manager", "since", "token")

    def __init__(self, manager: TokenManager) -> None:
        self.manager = manager
        self.token: Token | None = None
        self.since = 0.0


class TokenCache:
    """Gives tokens by key, by the rules of the token manager: one fetch under any storm, failures shared, renewal in time.

    Threads: any. The lock guards the table and its entries; it is held neither while a token is fetched nor while a store is used.
    Fork: the child keeps the tokens.

    Args:
        source: Where tokens come from; it is shared by all keys.
        size: How many keys are kept; the one that was not asked for longest goes first.
        store: Where tokens are shared with other processes, or None.
    """

    _lock = _fork.Lock()

    def __init__(self, source: TokenSource, *, size: int, store: TokenStore | None, clock: Clock, rng: random.Random) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._size = size
        self._clock = clock
        self._new_manager: Callable[[str], TokenManager] = lambda key: TokenManager(
            source, clock=clock, store=store, identity=key, rng=rng
        )
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()

    def token(self, key: str, *, fresh: bool) -> tuple[Token, bool]:
        """Give the token for ``key``, and whether it was handed out before.

        Args:
            fresh: The caller cannot use the one it got last time: do not give one that is older than ten seconds.

        Raises:
            AnimusError: there is none.
        """
        entry = self._entry(key)
        if fresh and self._is_old(entry):
            entry.manager.clear()
        token = entry.manager.token()
        with self._lock:
            known = entry.token is not None and entry.token.value == token.value
            if not known:
                entry.token, entry.since = token, self._clock.monotonic()
        return token, known

    def clear(self, key: str | None = None) -> None:
        """Forget the token for ``key``, or all."""
        with self._lock:
            entries = list(self._entries.values()) if key is None else [self._entries[key]] if key in self._entries else []
            for entry in entries:
                entry.token = None
        for entry in entries:
            entry.manager.clear()

    def close(self) -> None:
        """End what runs, and close the source."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        for entry in entries:
            entry.manager.close()

    def __len__(self) -> int:
        return len(self._entries)

    def _entry(self, key: str) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry(self._new_manager(key))
                if len(self._entries) > self._size:
                    self._entries.popitem(last=False)  # not closed: somebody may be about to use it
            self._entries.move_to_end(key)
            return entry

    def _is_old(self, entry: _Entry) -> bool:
        """Tell, to one caller only, that the kept token is older than one that was just fetched."""
        with self._lock:
            old = entry.token is not None and self._clock.monotonic() - entry.since > _NEW_FOR
            if old:
                entry.token = None
            return old
