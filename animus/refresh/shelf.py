"""The manager's place in a store: tokens that siblings (other clients, processes, machines) have fetched, and ours for them."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from animus._cause import describe
from animus._clock import Clock
from animus.errors import TokenSourceError
from animus.refresh.sibling import failure_in, note_of
from animus.stores.protocol import FailureStore, StoredToken, TokenStore
from animus.tokens.token import Token, fits_header

logger: logging.Logger = logging.getLogger(__name__)
R = TypeVar("R")

_LOOK_AGAIN = 0.25  # seconds after which who waits for a lock looks whether its holder has stored a token

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")  # texts of one condition differ by addresses, ports, times
_MOST_COMPLAINTS = 16  # of one store; who has more has been told

# what is wrong with each store, by text without numbers, and what was tried when that was found out; a server has a shelf for each user
_complaints: weakref.WeakKeyDictionary[TokenStore, dict[str, str]] = weakref.WeakKeyDictionary()


class Hold(Generic[R]):
    """A lock that may be held.

    Attributes:
        found: What was found.
        locked: Whether it was got.
    """

    def __init__(self, found: R | None, leave: Callable[[], None] | None) -> None:
        self.found = found
        self.locked: bool = leave is not None
        self._leave = [] if leave is None else [leave]

    def leave(self) -> None:
        """Let go of it, once. Any thread may do that for one that hangs."""
        try:
            leave = self._leave.pop()
        except IndexError:
            return
        leave()


class Shelf:
    """One key of one store. A store that fails is done without; the log says so once, and again if it had worked in between.

    Threads: one at a time takes and puts; any may clear.
    """

    def __init__(self, store: TokenStore, key: str, clock: Clock) -> None:
        self.store = store
        self.key = key
        self._clock = clock
        self._complaints = _complaints_about(store)

    def take(self) -> Token | None:
        """Give the token that is there, whatever its age."""
        return self._try("load", lambda: _usable(self.store.load(self.key)))

    def put(self, token: Token) -> bool:
        """Keep ``token`` for the siblings; tell whether the store has done it."""
        stored = StoredToken.of(token)
        return self._done("save", lambda: self.store.save(self.key, stored), stored.secrets)

    def clear(self) -> bool:
        """Leave nothing there, no failure either; tell whether the store has done it."""
        return self._done("delete", lambda: self.store.delete(self.key))

    def failure(self, source: str) -> TokenSourceError | None:
        """Give the failure that a sibling has met about a second ago at most, if the store can tell."""
        store = self.store
        if not isinstance(store, FailureStore):
            return None
        note = self._try("load_failure", lambda: store.load_failure(self.key))
        return failure_in(note, source=source) if isinstance(note, str) else None

    def tell(self, error: TokenSourceError, seconds: float, *, contains_callables: bool) -> bool:
        """Let the siblings know of a failure that they would meet, too; tell whether the store has it."""
        store = self.store
        note = note_of(error, contains_callables=contains_callables)
        if note is None or not isinstance(store, FailureStore):
            return False
        return self._done("save_failure", lambda: store.save_failure(self.key, note, seconds))

    def discard(self, value: str) -> bool:
        """Take a token away that the API has refused, unless a sibling has put another one there; tell whether it is gone for certain.

        Call it while holding the lock.
        """
        loaded = self._try("load", lambda: (_usable(self.store.load(self.key)),))
        if loaded is None:
            return False
        return loaded[0] is None or loaded[0].value != value or self.clear()

    @contextlib.contextmanager
    def held(self, timeout: float, look: Callable[[], R | None]) -> Iterator[Hold[R]]:
        """Hold the lock of the key, and have what ``look`` finds then, or found while somebody else held it.

        After ``timeout`` seconds it goes on without the lock: a sibling that hangs must not stop all others.
        """
        lock, found = self._entered(timeout, look)
        hold = Hold(found, None if lock is None else functools.partial(self._leave, lock))
        try:
            yield hold
        finally:
            hold.leave()

    def _entered(self, timeout: float, look: Callable[[], R | None]) -> tuple[AbstractContextManager[Any] | None, R | None]:
        end = self._clock.monotonic() + timeout
        tries_left = max(1, math.ceil(timeout / _LOOK_AGAIN))  # counted, too: a store may wait by another clock than ours
        while True:
            tries_left -= 1
            left = max(end - self._clock.monotonic(), 0.0)
            lock = self._lock(min(left, _LOOK_AGAIN), last=not tries_left or left <= _LOOK_AGAIN)
            held = None if isinstance(lock, TimeoutError) else lock
            try:
                found = look()
            except BaseException:  # interrupted: nobody else would let go of it
                self._leave(held)
                raise
            if found is not None or not isinstance(lock, TimeoutError):
                return held, found

    def _lock(self, timeout: float, *, last: bool) -> AbstractContextManager[Any] | TimeoutError | None:
        """Give the lock, held; or None if there is none to be had; or an error if it is worth another try."""

        def enter() -> AbstractContextManager[Any] | TimeoutError:
            try:
                lock = self.store.lock(self.key, timeout)
                lock.__enter__()
            except TimeoutError as error:
                if last:
                    raise
                return error.with_traceback(None)
            return lock

        return self._try("lock", enter)

    def _leave(self, lock: AbstractContextManager[Any] | None) -> None:
        if lock is not None:
            self._try("unlock", lambda: lock.__exit__(None, None, None))

    def _done(self, what: str, act: Callable[[], object], secrets: Iterable[str] = ()) -> bool:
        def acted() -> bool:
            act()
            return True

        return self._try(what, acted, secrets) is True

    def _try(self, what: str, act: Callable[[], R], secrets: Iterable[str] = ()) -> R | None:
        try:
            given = act()
        except Exception as error:
            text = describe(error, secrets)
            condition = _NUMBER.sub("#", text)
            new = condition not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS
            if new:
                self._complaints[condition] = what
            level = logging.WARNING if new else logging.DEBUG
            logger.log(level, "going on without the token store: %s.%s: %s", type(self.store).__name__, what, text)
            return None
        if self._complaints:
            for condition in [condition for condition, tried in list(self._complaints.items()) if tried == what]:
                self._complaints.pop(condition, None)
        return given


def _usable(stored: object) -> Token | None:
    """Give the token in what a store gave, or None if that is no :class:`StoredToken`.

    Raises:
        ValueError, TypeError: it is one that cannot be used.
    """
    if not isinstance(stored, StoredToken):
        return None
    token = stored.token()
    if not fits_header(token.value):
        raise ValueError("a token in the store is damaged; it will be replaced")
    return token


def _complaints_about(store: TokenStore) -> MutableMapping[str, str]:
    try:
        return _complaints.setdefault(store, {})
    except TypeError:  # it has no hash, or nothing weak can refer to it
        return {}
