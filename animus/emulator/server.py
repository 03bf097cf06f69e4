"""A threaded server that can be closed without leaving a thread or socket behind.

Werkzeug's own server ends every connection after one answer; keep-alive is half of what an HTTP client does, so it is not used.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable

from animus import _fork
from animus._clock import SYSTEM_CLOCK
from animus.errors import ConfigurationError

logger: logging.Logger = logging.getLogger(__name__)

_BACKLOG = 1024  # a thousand threads may connect at once
_JOIN_LIMIT = 5.0
_ACCEPT_PAUSE = 0.05


class Server:
    """Listens on ``host`` and ``port`` (0: a free one) and calls ``serve(connection, number)`` in a daemon thread for each connection.

    Forks: a child closes its copies of all sockets, so that closing in the parent is felt by the clients; it does not serve.

    Attributes:
        port: The port it listens on.
    """

    def __init__(self, host: str, port: int, serve: Callable[[socket.socket, int], None]) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(f"The emulator cannot listen on {host}, port {port}: {error}", hint="Choose another port") from error
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self._serve = serve
        self._wake, self._waker = socket.socketpair()
        self._lock = threading.Lock()  # guards the connections, their count and the closing
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._accepted = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept_loop, name="animus-emulator", daemon=True)
        _fork.register(self)

    def start(self) -> None:
        """Begin to accept connections."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, drop all connections, and wait for their threads."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._waker.send(b"x")
        if self._thread.is_alive():
            self._thread.join()
        for sock in (self._listener, self._wake, self._waker):
            sock.close()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close every connection, whatever goes on in it, and wait a while for their threads."""
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):  # it has been closed by either side
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections.values():
            if thread is not threading.current_thread():
                thread.join(_JOIN_LIMIT)

    def _accept_loop(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                self._accept_all()

    def _accept_all(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:  # no file descriptor left: those in use come back in time
                logger.debug("cannot accept a connection: %s", error)
                SYSTEM_CLOCK.wait(self._closing, _ACCEPT_PAUSE)
                return
            self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._accepted += 1
            number = self._accepted
            thread = threading.Thread(target=self._run, args=(connection, number), name=f"animus-emulator-{number}", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no thread left
                logger.debug("cannot serve a connection: %s", error)
                connection.close()
            else:
                self._connections[connection] = thread  # what drop_connections() finds here can be joined

    def _run(self, connection: socket.socket, number: int) -> None:
        try:
            self._serve(connection, number)
        except OSError as error:
            logger.debug("connection %d ended: %s", number, type(error).__name__)
        except Exception:
            logger.exception("connection %d ended by an error of the emulator", number)
        finally:
            self._end(connection)

    def _end(self, connection: socket.socket) -> None:
        connection.close()
        with self._lock:
            self._connections.pop(connection, None)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        for sock in (self._listener, self._wake, self._waker, *self._connections):
            with contextlib.suppress(OSError):
                socket.close(sock.detach())  # not sock.close(): files made of it would keep it open
        self._connections = {}
