"""The work of a flight where a store is shared: take the token of a sibling, or ask the source and leave the outcome to the siblings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from animus import _fork
from animus._clock import Clock
from animus.errors import TokenSourceError
from animus.refresh.flight import Flight
from animus.refresh.shelf import Hold, Shelf
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)


class Check(Protocol):
    """Gives the token to use; raises :class:`~animus.errors.TokenSourceError` for one that is not to be trusted."""

    def __call__(self, token: Token, flight: Flight[Token], source: str | None = None) -> Token: ...


class Sharing:
    """Brings one token: read, lock, read again, ask, write.

    Threads: any; the lock guards what is believed of the store. Fork: the child has no flight, and believes as much.

    Attributes:
        heard: The failure that the last flight has heard from a sibling; None: it has heard of none. The store remembers it.

    Args:
        shelf: The place in the store.
        name: The name of the source, for errors.
        contains_callables: Whether what the source sends may differ from process to process.
        ask: Asks the source.
        check: Checks a token, of the source or of a sibling.
        wants: Tells whether a token of a sibling is better than what is here.
        rejected: Gives the token that the API has refused, or None.
        memory: Gives the seconds that a failure is remembered.
        deliver: Lets all have a token while the store takes its time.
    """

    _lock = _fork.Lock()

    def __init__(
        self,
        shelf: Shelf,
        *,
        name: str,
        clock: Clock,
        contains_callables: bool,
        ask: Callable[[Flight[Token]], Token],
        check: Check,
        wants: Callable[[Token], bool],
        rejected: Callable[[], str | None],
        memory: Callable[[], float],
        deliver: Callable[[Flight[Token], Token], None],
    ) -> None:
        self.shelf = shelf
        self._name = name
        self._clock = clock
        self._contains_callables = contains_callables
        self._ask = ask
        self._check = check
        self._wants = wants
        self._rejected = rejected
        self._memory = memory
        self._deliver = deliver
        self.heard: TokenSourceError | None = None
        self._trusts = True  # that nothing is in the store which must not be used
        self._logouts = 0
        self._writing: list[int] = []  # how many logouts there were when who writes began
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._trusts = self._trusts and not self._is_overwritten  # whoever writes is in the parent
        self._writing = []

    def token(self, flight: Flight[Token]) -> Token:
        """Give a sibling's token, or one that the source gives now.

        Raises:
            TokenSourceError: the source has none, or a sibling has just been told so.
            AuthenticationError: the source gives the refused one again.
        """
        self.heard = None
        logouts = self._logouts
        found: Token | TokenSourceError | None = None if self._rejected() is not None else self._look(flight)
        if found is None:
            # half of the time is left for asking, should whoever holds the lock hang
            timeout = (flight.leave_by - self._clock.monotonic()) / 2
            held: AbstractContextManager[Hold[Token | TokenSourceError]] = self.shelf.held(timeout, lambda: self._look(flight))
            with held as hold:
                flight.let_go = hold.leave
                found = hold.found
                if not isinstance(found, Token):
                    self._discard_rejected(hold)
                if found is None:
                    return self._asked(flight, logouts)
        if isinstance(found, TokenSourceError):
            self.heard = found
            raise found
        return found

    def distrust(self) -> None:
        """Take nothing from the store any more: there is a logout. Call :meth:`clear` then."""
        with self._lock:
            self._logouts += 1
            self._trusts = False

    def clear(self) -> None:
        """Leave nothing in the store. If that cannot be, nothing is taken from it before something else has taken the place."""
        with self._lock:
            self._trusts = False
            logouts = self._logouts
        if self.shelf.clear():
            self._trust(logouts)

    # ---- inside ----------------------------------------------------------------------------------------

    def _trust(self, logouts: int) -> None:
        """Believe the store again, unless there was a further logout."""
        with self._lock:
            if self._logouts == logouts:
                self._trusts = True

    @property
    def _is_overwritten(self) -> bool:
        """Whether somebody writes who does not know of a logout yet."""
        return any(logouts != self._logouts for logouts in self._writing)

    def _look(self, flight: Flight[Token]) -> Token | TokenSourceError | None:
        """Give what a sibling has left: a token that is wanted, or the failure that it has just met."""
        with self._lock:
            if not self._trusts or self._is_overwritten:
                return None
        return self._adopted(flight) or self.shelf.failure(self._name)

    def _discard_rejected(self, hold: Hold[Any]) -> None:
        """Take a refused token away, else a sibling would begin with it."""
        rejected = self._rejected()
        if rejected is None or not (hold.locked or hold.found is None):
            return
        if not self.shelf.discard(rejected):
            with self._lock:
                self._trusts = False

    def _asked(self, flight: Flight[Token], logouts: int) -> Token:
        try:
            token = self._ask(flight)
        except TokenSourceError as error:
            told = error
            self._write(flight, logouts, lambda: self.shelf.tell(told, self._memory(), contains_callables=self._contains_callables))
            raise
        token = self._check(token, flight)
        self._deliver(flight, token)
        if self._write(flight, logouts, lambda: self.shelf.put(token)):
            self._trust(logouts)
        return token

    def _write(self, flight: Flight[Token], logouts: int, write: Callable[[], bool]) -> bool:
        """Leave something to the siblings, unless there was a logout; tell whether it is there."""
        with self._lock:
            if flight.forgotten or self._logouts != logouts:
                return False
            self._writing.append(logouts)
        try:
            written = write()
            if self._logouts != logouts:  # it may have come behind the logout, whatever the store says of it
                self.clear()
                return False
            return written
        finally:
            with self._lock:
                if logouts in self._writing:  # not after a fork in the middle of it
                    self._writing.remove(logouts)

    def _adopted(self, flight: Flight[Token]) -> Token | None:
        token = self.shelf.take()
        return self._trusted(token, flight) if token is not None and self._wants(token) else None

    def _trusted(self, token: Token, flight: Flight[Token]) -> Token | None:
        try:
            return self._check(token, flight, "token store")
        except TokenSourceError as error:
            logger.debug("a token in the store is not used: %s", error)
            return None
