"""Sources for tests, all by the public protocol."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from animus.sources.protocol import TokenRequest
from animus.tokens.token import Token

Value = Token | str | Mapping[str, Any]


class Scripted:
    """Does what the script says, its last entry for ever: an exception is raised, a function is called, all else is given.

    Attributes:
        asked: All requests.
        most: How many threads were inside at once, at most.
    """

    name = "scripted"

    def __init__(self, *script: Any, background: bool = True, fingerprint: str = "scripted", **further: Any) -> None:
        self.script = list(script)
        self.asked: list[TokenRequest] = []
        self.threads: list[threading.Thread] = []
        self.background = background
        self.fingerprint = fingerprint
        self.most = self._inside = 0
        self._lock = threading.Lock()
        for name, value in further.items():
            setattr(self, name, value)

    def fetch(self, request: TokenRequest) -> Value:
        with self._lock:
            self.asked.append(request)
            self.threads.append(threading.current_thread())
            self._inside += 1
            self.most = max(self.most, self._inside)
            entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        try:
            if isinstance(entry, BaseException):
                raise entry
            value: Value = entry() if callable(entry) else entry
            return value
        finally:
            with self._lock:
                self._inside -= 1


class Gate:
    """A fetch that waits until it is let through."""

    def __init__(self, then: Any) -> None:
        self.then = then
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self) -> Any:
        self.entered.set()
        assert self.opened.wait(20)
        if isinstance(self.then, BaseException):
            raise self.then
        return self.then() if callable(self.then) else self.then


@contextlib.contextmanager
def held_elsewhere(*locks: Any) -> Iterator[None]:
    """Have another thread hold locks."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            held.set()
            done.wait(20)

    caller = Caller(hold)
    assert held.wait(20)
    try:
        yield
    finally:
        done.set()
        caller.finish()


class Caller(threading.Thread):
    """A thread that calls, and keeps what came of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.call = call
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.call()
        except BaseException as error:
            self.error = error

    def finish(self) -> Any:
        """Wait for the end; give the value, or raise the error."""
        self.join(20)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.value
