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


class Check(Protocol):
    """Raises :class:`~animus.errors.TokenSourceError` for a token that is not to be trusted."""

    def __call__(self, token: Token, flight: Flight[Token], source: str | None = None) -> None: ...


class Sharing:
    """Brings one token: read, lock, read again, ask, write.

    Threads: one flight at a time; any may clear. Fork: it has no state but what its parts have.

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

    def token(self, flight: Flight[Token]) -> Token:
        """Give a sibling's token, or one that the source gives now.

        Raises:
            TokenSourceError: the source has none, or a sibling has just been told so.
            AuthenticationError: the source gives the refused one again.
        """
        shelf = self.shelf
        token = self._adopted(flight)
        if token is not None:
            return token

        def look() -> Token | TokenSourceError | None:
            return self._adopted(flight) or shelf.failure(self._name)

        # half of the time is left for asking, should whoever holds the lock hang
        held: AbstractContextManager[Token | TokenSourceError | None] = shelf.held((flight.ends_at - self._clock.monotonic()) / 2, look)
        with held as found:
            if isinstance(found, TokenSourceError):
                raise found
            if found is not None:
                return found
            rejected = self._rejected()
            if rejected is not None:
                shelf.discard(rejected)  # else a sibling would begin with it
            try:
                return self._asked(flight)
            finally:
                if flight.forgotten:  # cleared meanwhile, perhaps between the look at that and the writing
                    shelf.clear()

    def clear(self) -> None:
        """Leave nothing in the store."""
        self.shelf.clear()

    def _asked(self, flight: Flight[Token]) -> Token:
        try:
            token = self._ask(flight)
        except TokenSourceError as error:
            if not flight.forgotten:
                self.shelf.tell(error, self._memory(), contains_callables=self._contains_callables)
            raise
        self._check(token, flight)
        if not flight.forgotten:
            self.shelf.put(token)
        return token

    def _adopted(self, flight: Flight[Token]) -> Token | None:
        token = self.shelf.take()
        return token if token is not None and self._wants(token) and self._is_trusted(token, flight) else None

    def _is_trusted(self, token: Token, flight: Flight[Token]) -> bool:
        try:
            self._check(token, flight, "token store")
        except TokenSourceError as error:
            logger.debug("a token in the store is not used: %s", error)
            return False
        return True
