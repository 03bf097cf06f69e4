"""Limits that hold against a server that drips: a thread shuts the socket when the time is up.

A socket's own time-out begins anew with every byte, so one byte a second holds a call for ever (psf/requests#4201).
Each guarded exchange has a :class:`Guard`; connections made by :mod:`animus.http.adapter` attach themselves to the
guard of their thread. Shutting a socket wakes a read that is blocked in another thread; closing it would not.

The watchdog counts real time, not an injected clock: so do sockets.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from animus import _fork

logger = logging.getLogger(__name__)
_LINGER = 2.0  # seconds an idle watchdog thread waits for more work before it ends
_thread_state = threading.local()


class _HasSocket(Protocol):
    sock: Any


class Guard:
    """The limit of one exchange. ``fired`` is the name of the limit that ended it, or None."""

    __slots__ = ("_connection", "_lock", "_shut", "_watchdog", "due", "fired", "limit")

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._lock = threading.Lock()  # between firing and releasing: a released socket belongs to somebody else
        self._connection: _HasSocket | None = None
        self._shut: Callable[[], None] | None = None
        self.due: float | None = None
        self.limit = ""
        self.fired: str | None = None

    def arm(self, limit: str, seconds: float) -> None:
        """Fire in so many seconds, unless armed again or released before."""
        self.limit = limit
        self.due = time.monotonic() + seconds
        self._watchdog._watch(self)

    def disarm(self) -> None:
        """Fire no more, until armed again."""
        self.due = None

    def attach(self, connection: _HasSocket) -> None:
        """Know the connection whose socket is to be shut; it is looked at only then."""
        self._connection = connection

    def hand_over(self, shut: Callable[[], None]) -> None:
        """Go on watching by another way to end a blocked read, without the connection itself."""
        with self._lock:
            self._connection, self._shut = None, shut

    def release(self) -> None:
        """The exchange is over: let go of the socket, which may serve another one now."""
        with self._lock:
            self.due = None
            self._connection = self._shut = None
        self._watchdog._forget(self)

    def shut(self) -> None:
        """End a blocked read or write of this exchange at once, from any thread."""
        with self._lock:
            connection, shut = self._connection, self._shut
            if shut is not None:
                # RuntimeError: already back in the pool; ValueError: no socket (a recorder's answer)
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    shut()
            if connection is not None:
                shut_socket(connection.sock)

    def _fire(self, now: float) -> None:
        if self.due is not None and now >= self.due:
            self.fired = self.limit
            self.due = None
            self.shut()


def shut_socket(sock: Any) -> None:
    """Shut a socket for reading and writing; past TLS, whose own shutdown would wait for the peer."""
    if sock is None:
        return
    with contextlib.suppress(OSError):  # not connected any more
        if isinstance(sock, socket.socket):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        elif hasattr(sock, "shutdown"):
            sock.shutdown(socket.SHUT_RDWR)


def current_guard() -> Guard | None:
    """Give the guard of the exchange that this thread is in."""
    return getattr(_thread_state, "guard", None)


@contextlib.contextmanager
def guarded_by(guard: Guard | None) -> Iterator[None]:
    """Have connections of this thread attach themselves to ``guard``."""
    before = current_guard()
    _thread_state.guard = guard
    try:
        yield
    finally:
        _thread_state.guard = before


class Watchdog:
    """One daemon thread for all guards of a session, started with the first limit and gone soon after the last.

    Threads: any. The lock guards the set of guards and the thread. Fork: the child begins with none.
    """

    def __init__(self) -> None:
        self._start_anew()
        _fork.register(self)

    def _start_anew(self) -> None:
        self._lock = threading.Lock()
        self._guards: set[Guard] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._sleeps_until = 0.0
        self._closed = False

    def _reset_after_fork(self) -> None:
        self._start_anew()

    def guard(self) -> Guard:
        """Give a guard for one exchange; it costs nothing until it is armed."""
        return Guard(self)

    def _watch(self, guard: Guard) -> None:
        with self._lock:
            self._guards.add(guard)
            if self._thread is None:
                self._closed = False
                self._thread = threading.Thread(target=self._run, name="animus-watchdog", daemon=True)
                self._thread.start()
            elif guard.due is not None and guard.due < self._sleeps_until:
                self._wake.set()

    def _forget(self, guard: Guard) -> None:
        with self._lock:
            self._guards.discard(guard)

    def _run(self) -> None:
        idle_since: float | None = None
        while True:
            with self._lock:
                self._wake.clear()
                now = time.monotonic()
                dues = [guard.due for guard in self._guards if guard.due is not None]
                if dues:
                    idle_since = None
                elif idle_since is None:
                    idle_since = now
                if self._closed or (idle_since is not None and now - idle_since >= _LINGER):
                    self._thread = None
                    return
                self._sleeps_until = min(dues, default=now + _LINGER)
                overdue = [guard for guard in self._guards if guard.due is not None and guard.due <= now]
            for guard in overdue:
                logger.debug("the limit %s fired", guard.limit)
                guard._fire(now)
            if not overdue:
                self._wake.wait(max(0.0, self._sleeps_until - now))

    def close(self) -> None:
        """End the thread, and wait for it."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
