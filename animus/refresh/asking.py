"""Asking a source for a token: once, or twice, until there is one or a clear reason why not."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable

from animus import _fork
from animus._clock import Clock
from animus.errors import AuthenticationError, TokenSourceError
from animus.refresh.repeat import ask_again, pause_after
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)


class Asking:
    """Asks one source, and turns all it may do into a token or a :class:`~animus.errors.TokenSourceError`.

    Args:
        name: The name of the source, for errors.
        closing: Set when the client closes; it ends the pause before a second time.
        repeats: Whether there may be a second time.
    """

    def __init__(
        self,
        source: TokenSource,
        name: str,
        *,
        identity: str | None,
        clock: Clock,
        rng: random.Random,
        closing: threading.Event,
        repeats: bool = True,
    ) -> None:
        self._source = source
        self._name = name
        self._identity = identity
        self._clock = clock
        self._rng = rng
        self.closing = closing
        self._repeats = repeats

    def fresh_token(self, ends_at: float, rejected: Callable[[], str | None]) -> Token:
        """Give a token that is not the one the API has refused.

        Args:
            ends_at: The end of the flight on the monotonic clock.
            rejected: Gives the refused token, or None; the API may refuse one while the source is asked.

        Raises:
            TokenSourceError: the source has none.
            AuthenticationError: the source gives the refused one again (``rejected_token``).
        """
        force = rejected() is not None
        token = self._token(ends_at, force)
        if not force and token.value == rejected():
            force = True
            token = self._token(ends_at, force)
        if force and token.value == rejected():
            raise AuthenticationError(
                f"the token source ({self._name}) hands out the very token that the API has refused",
                reason="rejected_token",
                hint="A fixed token has ended or was revoked, the back end keeps tokens too long, "
                "or provider and api_base_url do not belong to the same platform",
            )
        return token

    def _token(self, ends_at: float, force: bool) -> Token:
        with _fork.forks_wait:  # reading tokens is nothing a client needs before it needs one
            from animus.sources.ask import ask

        request = TokenRequest(force=force, deadline=ends_at, identity=self._identity, clock=self._clock)

        def once() -> Token:
            return ask(self._source, request, name=self._name)

        error: TokenSourceError
        try:
            return once()
        except TokenSourceError as first:
            error = first
        error.attempts = 1
        pause = pause_after(error, self._rng) if self._repeats else None
        if pause is not None and self._clock.monotonic() + pause < ends_at and not self.closing.is_set():
            logger.debug("asking %s again in %.2f s: %s", self._name, pause, error.reason)
            try:
                return ask_again(once, error, pause, self._sleep)
            except TokenSourceError as second:
                error = second
                error.attempts = 2
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def _sleep(self, seconds: float) -> None:
        self._clock.wait(self.closing, seconds)
