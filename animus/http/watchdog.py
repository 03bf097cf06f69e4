"""Limits that hold against a server that drips: a thread shuts the socket when the time is up.

A socket's own time-out begins anew with every byte, so one byte a second holds a call for ever (psf/requests#4201).
Each guarded exchange has a :class:`Guard`; connections of :mod:`animus.http.connection` attach themselves to the
guard of their thread. Shutting a socket wakes a read that is blocked in another thread; closing it would not.

The watchdog counts real time, not an injected clock: so do sockets.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from animus import _fork

logger: logging.Logger = logging.getLogger(__name__)
_LINGER = 2.0  # seconds an idle watchdog thread waits for more work before it ends
# seconds close() waits for the thread; that needs the lock, and a signal handler may be closing in the thread that holds it
_CLOSING = 2.0
_thread_state = threading.local()


class _HasSocket(Protocol):
    sock: Any


class Guard:
    """The limit of one exchange. ``fired`` is the name of the limit that ended it, or None.

    It reaches the socket through the connection, from when that begins to connect until it goes back to its pool, where
    it may serve somebody else (:meth:`let_go`).

    Threads: any; the lock stands between ending a connection and letting go of it. Fork: a child touches neither the
    socket nor the lock, which are its parent's.
    """

    __slots__ = ("_connection", "_ended", "_lock", "_pid", "_shut", "_watchdog", "due", "fired", "limit")

    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        # reentrant: the garbage collector may close a stream that nobody closed, in the middle of ending it
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection: _HasSocket | None = None
        self._shut: Callable[[], None] | None = None
        self._ended = False
        self.due: float | None = None
        self.limit: str = ""
        self.fired: str | None = None

    def arm(self, limit: str, seconds: float) -> None:
        """Fire in so many seconds, unless armed again or released before."""
        self.limit = limit
        self.due = time.monotonic() + seconds
        self._watchdog._watch(self)

    def disarm(self) -> None:
        """Fire no more, until armed again."""
        self.due = None

    def remaining(self) -> float | None:
        """Give the seconds left, 0.0 if the time is up; None without a limit."""
        if self.fired is not None:
            return 0.0
        due = self.due
        return None if due is None else max(0.0, due - time.monotonic())

    def exceeded(self) -> str | None:
        """Give the limit whose time is up, also if the watchdog has not got round to it yet."""
        return self.fired or (self.limit if self.remaining() == 0.0 else None)

    @property
    def attached(self) -> bool:
        """Whether there is something to end."""
        return self._connection is not None or self._shut is not None

    def attach(self, connection: _HasSocket) -> None:
        """Know the connection whose socket is to be shut; it is looked at only then. If that was to happen before, it happens now."""
        if not self._is_ours:
            return
        with self._lock:
            self._connection = connection
            if self._ended:
                self._end()

    def attach_shutdown(self, shut: Callable[[], None]) -> None:
        """Know another way to end a blocked read, for connections that are not ours."""
        if not self._is_ours:
            return
        with self._lock:
            self._shut = shut
            if self._ended:
                self._end()

    def let_go(self) -> bool:
        """Forget the socket; tell whether it is spoilt, because it was shut."""
        if not self._is_ours:
            return False
        with self._lock:
            self._connection = self._shut = None
            return self._ended

    def release(self) -> None:
        """The exchange is over."""
        self.due = None
        self.let_go()
        self._watchdog._forget(self)

    def shut(self) -> None:
        """End a blocked read or write of this exchange at once, from any thread; what it connects to later, too."""
        if not self._is_ours:
            return
        with self._lock:
            self._ended = True
            self._end()

    @property
    def _is_ours(self) -> bool:
        return os.getpid() == self._pid

    def _end(self) -> None:
        if self._shut is not None:
            # RuntimeError: already back in the pool; ValueError: no socket (a recorder's answer)
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self._shut()
        if self._connection is not None:
            shut_socket(self._connection.sock)

    def _fire(self, now: float) -> None:
        due = self.due
        if due is not None and now >= due:
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

    Threads: any. The lock guards the thread; the set of guards is only changed by single operations, and read as a copy. A signal
    handler and the garbage collector may come by at any time: nothing here waits without a limit. Fork: the child begins with none.
    """

    _lock = _fork.Lock()

    def __init__(self) -> None:
        self._start_anew()
        _fork.register(self)

    def _start_anew(self) -> None:
        self._lock = threading.RLock()
        self._guards: set[Guard] = set()
        # not an event: whoever sets one must not be interrupted by somebody who sets it, too
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._sleeps_until = 0.0
        self._closed = False

    def _reset_after_fork(self) -> None:
        for guard in self._guards.copy():
            guard.disarm()
        self._start_anew()

    def guard(self) -> Guard:
        """Give a guard for one exchange; it costs nothing until it is armed."""
        return Guard(self)

    def _watch(self, guard: Guard) -> None:
        new: threading.Thread | None = None
        with self._lock:
            self._guards.add(guard)
            if self._thread is None:
                new = self._thread = threading.Thread(target=self._run, name="animus-watchdog", daemon=True)
                self._closed = False
            elif guard.due is not None and guard.due < self._sleeps_until:
                self._wake.put(None)
        if new is not None:
            self._begin(new)

    def _begin(self, thread: threading.Thread) -> None:
        """Start a thread, outside of the lock: that is a wait for it."""
        try:
            thread.start()
        except BaseException as error:
            with self._lock:
                if self._thread is thread:
                    self._thread = None
            if not isinstance(error, RuntimeError):
                raise
            # the interpreter is ending, or the machine has no more threads
            logger.warning("time limits over whole answers are not kept: %s", error)

    def _forget(self, guard: Guard) -> None:
        # without the lock, for which another thread would have to be waited for
        self._guards.discard(guard)
        if self._closed and not self._guards:
            self._wake.put(None)

    def _run(self) -> None:
        idle_since: float | None = None
        while True:
            with self._lock:
                if self._thread is not threading.current_thread():  # whoever started it was interrupted, and does without
                    return
                self._clear_wake()
                now = time.monotonic()
                watched = [(due, guard) for guard in self._guards.copy() if (due := guard.due) is not None]
                if watched:
                    idle_since = None
                elif idle_since is None:
                    idle_since = now
                if idle_since is not None and (self._closed or now - idle_since >= _LINGER):
                    self._thread = None
                    return
                # no longer, since nobody says that the last guard was released: that would cost each call
                self._sleeps_until = min([now + _LINGER, *(due for due, _ in watched)])
                overdue = [guard for due, guard in watched if due <= now]
            for guard in overdue:
                logger.debug("the limit %s fired", guard.limit)
                guard._fire(now)
            if not overdue:
                with contextlib.suppress(queue.Empty):
                    self._wake.get(timeout=max(0.0, self._sleeps_until - now))

    def _clear_wake(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._wake.get_nowait()

    def close(self) -> None:
        """End the thread, and wait for it; if exchanges of other threads are under way, it ends after the last of them."""
        with self._lock:
            self._closed = True
            thread = self._thread
            busy = any(guard.due is not None for guard in self._guards.copy())
            self._wake.put(None)
        if thread is not None and not busy and thread is not threading.current_thread():
            with contextlib.suppress(RuntimeError):  # just being started: it ends by itself
                thread.join(_CLOSING)
