"""Asking a source in a thread that can be left behind, where nothing else ends a call that hangs."""

from __future__ import annotations

import contextvars
import logging
import threading

from animus.sources.ask import ask
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.reasons import failure
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)

_MOST_LEFT = 4  # calls that have not come back


class Apart:
    """Asks one source, each time in a short-lived daemon thread, in a copy of the caller's context variables.

    Threads: one at a time. Fork: the child has none of the threads.
    """

    def __init__(self, source: TokenSource, name: str) -> None:
        self._source = source
        self._name = name
        self._left: list[threading.Thread] = []

    def ask(self, request: TokenRequest) -> Token:
        """Give the token that the source has now; wait no longer than until the request's deadline.

        Raises:
            TokenSourceError: it has none; ``timeout`` if it does not come back, or did not the last four times.
        """
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= _MOST_LEFT:
            raise failure("timeout", f"{len(self._left)} calls of it have not come back", source=self._name)
        call = _Call(self._source, request, self._name)
        thread = threading.Thread(target=contextvars.copy_context().run, args=(call.run,), name="animus-token", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter shuts down
            logger.debug("no thread for a token: %s", error)
            call.run()
        else:
            try:
                over = request.clock.wait(call.over, request.left)
            except BaseException:
                self._left.append(thread)
                raise
            if not over:
                self._left.append(thread)
                raise failure("timeout", "it did not answer within its time limit and was left behind", source=self._name)
            thread.join()
        return call.outcome()


class _Call:
    def __init__(self, source: TokenSource, request: TokenRequest, name: str) -> None:
        self.over = threading.Event()
        self._asked = (source, request, name)
        self._token: Token | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        source, request, name = self._asked
        try:
            self._token = ask(source, request, name=name)
        except BaseException as error:  # an interrupt is the caller's, too
            self._error = error
        finally:
            self.over.set()

    def outcome(self) -> Token:
        if self._token is not None:
            return self._token
        assert self._error is not None
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error  # else error, traceback and frame hold each other
