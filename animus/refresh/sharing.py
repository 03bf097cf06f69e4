"""The work of a flight where a store is shared: take the token of a sibling, or ask the source and leave the outcome to the siblings."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from animus._clock import Clock
from animus.errors import TokenSourceError
from animus.refresh.flight import Flight
from animus.refresh.shelf import Shelf
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)


Found = Token | TokenSourceError | None


class Check(Protocol):
    """Gives the token to use; raises :class:`~animus.errors.TokenSourceError` for one that is not to be trusted."""

    def __call__(self, token: Token, flight: Flight[Token], source: str | None = None) -> Token: ...


class Sharing:
    """Brings one token: read, lock, read again, ask, write.

    Threads: one flight at a time; any may clear. Fork: the child goes on with what there is.

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
    """

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
        self.heard: TokenSourceError | None = None
        self._trusts_nothing = False

    def token(self, flight: Flight[Token]) -> Token:
        """Give a sibling's token, or one that the source gives now.

        Raises:
            TokenSourceError: the source has none, or a sibling has just been told so.
            AuthenticationError: the source gives the refused one again.
        """
        self.heard = None
        rejected = self._rejected()
        found = None if rejected is not None else self._look(flight)
        if found is None:
            # half of the time is left for asking, should whoever holds the lock hang
            timeout = (min(flight.ends_at, flight.leave_by) - self._clock.monotonic()) / 2
            held: AbstractContextManager[tuple[Found, bool]] = self.shelf.held(timeout, lambda: self._look(flight))
            with held as (found, locked):
                if found is None or isinstance(found, TokenSourceError):
                    rejected = self._rejected()
                    if rejected is not None and (locked or found is None):
                        self.shelf.discard(rejected)  # else a sibling would begin with it
                if found is None:
                    return self._asked(flight)
        if isinstance(found, TokenSourceError):
            self.heard = found
            raise found
        return found

    def distrust(self) -> None:
        """Take nothing from the store any more, until it was cleared or the source has given another token."""
        self._trusts_nothing = True

    def clear(self) -> None:
        """Leave nothing in the store."""
        self.distrust()
        if self.shelf.clear():
            self._trusts_nothing = False

    def _look(self, flight: Flight[Token]) -> Found:
        """Give what a sibling has left: a token that is wanted, or the failure that it has just met."""
        return None if self._trusts_nothing else self._adopted(flight) or self.shelf.failure(self._name)

    def _asked(self, flight: Flight[Token]) -> Token:
        try:
            token = self._ask(flight)
        except TokenSourceError as error:
            told = error
            self._leave(flight, lambda: self.shelf.tell(told, self._memory(), contains_callables=self._contains_callables))
            raise
        token = self._check(token, flight)
        if self._leave(flight, lambda: self.shelf.put(token)):
            self._trusts_nothing = False
        return token

    def _leave(self, flight: Flight[Token], write: Callable[[], bool]) -> bool:
        """Leave something to the siblings, unless there was a logout; tell whether it is there."""
        written = not flight.forgotten and write()
        if written and flight.forgotten:  # between the look at that and the writing
            self.shelf.clear()
        return written and not flight.forgotten

    def _adopted(self, flight: Flight[Token]) -> Token | None:
        token = self.shelf.take()
        return self._trusted(token, flight) if token is not None and self._wants(token) else None

    def _trusted(self, token: Token, flight: Flight[Token]) -> Token | None:
        try:
            return self._check(token, flight, "token store")
        except TokenSourceError as error:
            logger.debug("a token in the store is not used: %s", error)
            return None
