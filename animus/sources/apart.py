"""Asking a source in a thread that can be left behind, where nothing else ends a call that hangs."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

from animus import _fork
from animus.sources.ask import ask
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.reasons import failure
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)

_MOST = 4  # calls at once for one identity: one, and those that have been left behind


class Apart:
    """Asks one source, each time in a short-lived daemon thread, in a copy of the caller's context variables.

    Threads: any; the lock guards how many calls there are. Fork: the child has none of them.
    """

    _lock = _fork.Lock()

    def __init__(self, source: TokenSource, name: str) -> None:
        self._source = source
        self._name = name
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        self._calls: dict[str | None, int] = {}

    def ask(self, request: TokenRequest) -> Token:
        """Give the token that the source has now; wait no longer than until the request's deadline.

        Raises:
            TokenSourceError: it has none; ``timeout`` if it does not come back, or four calls for this identity have not.
        """
        self._begin(request.identity)
        call = _Call(self._source, request, self._name, lambda: self._end(request.identity))
        thread = threading.Thread(target=contextvars.copy_context().run, args=(call.run,), name="animus-token", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter shuts down
            logger.debug("no thread for a token: %s", error)
            call.run()
        else:
            if not request.clock.wait(call.over, request.left):
                raise failure("timeout", "it did not answer within its time limit and was left behind", source=self._name)
            thread.join()
        return call.outcome()

    def _begin(self, identity: str | None) -> None:
        with self._lock:
            calls = self._calls.get(identity, 0)
            if calls < _MOST:
                self._calls[identity] = calls + 1
                return
        raise failure("timeout", f"{calls} calls of it have not come back", source=self._name)

    def _end(self, identity: str | None) -> None:
        with self._lock:
            calls = self._calls.pop(identity, 1) - 1
            if calls > 0:
                self._calls[identity] = calls


class _Call:
    def __init__(self, source: TokenSource, request: TokenRequest, name: str, end: Callable[[], None]) -> None:
        self.over = threading.Event()
        self._asked = (source, request, name)
        self._end = end
        self._token: Token | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        source, request, name = self._asked
        try:
            self._token = ask(source, request, name=name)
        except BaseException as error:  # an interrupt is the caller's, too
            self._error = error
        finally:
            self._end()
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
