"""Connections that know their guard, share what they trust, and write the head they have written before.

They are urllib3's own classes with some methods more. Where another library has taken urllib3's place (:data:`IS_KNOWN`), the adapter
leaves them out.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from animus.http.head import AnswerHead
from animus.http.request_head import RequestHead, remembered, wanted, written_again
from animus.http.trust import sharing_trust
from animus.http.watchdog import Guard, current_guard

URLLIB3 = "urllib3.connection"
_BROKEN_OFF = (0, errno.ENOTCONN, errno.EBADF)  # 0: what ssl makes of an end in the middle of a handshake
_TOGETHER = 65536  # bytes of body that are worth copying to save a system call


class Guarded:
    """A connection that attaches itself to the guard of its thread while it connects, sends and is read from."""

    sock: Any
    timeout: float | None
    response_class: Any = AnswerHead
    _guard: Guard | None = None
    _held: bytes | None = None
    _head: RequestHead | None = None

    def _new_conn(self) -> Any:
        guard = current_guard()
        if guard is None:
            return super()._new_conn()  # type: ignore[misc]
        self._guard = guard
        given = self.timeout
        left = guard.remaining()
        if left is not None and (given is None or left < given):
            self.timeout = max(left, 0.001)  # until it is connected there is no socket to shut
        try:
            sock = super()._new_conn()  # type: ignore[misc]
        finally:
            self.timeout = given
        guard.attach(self._reach(sock))
        return sock

    def _reach(self, sock: Any) -> SocketOf:
        """Give a way to a socket that was just connected."""
        return SocketOf(sock)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request; head and small body leave together: one system call, one TLS record, less to pay."""
        guard = current_guard()
        if guard is not None:
            self._guard = guard
            guard.attach(self)
        if type(body) is bytes and len(body) <= _TOGETHER:
            self._send_together(method, url, body, headers, options)
        else:  # what a generator or file gives is sent as it comes
            super().request(method, url, body, headers, **options)  # type: ignore[misc]

    def _send_together(self, method: str, url: str, body: bytes, headers: Any, options: dict[str, Any]) -> None:
        made_of = wanted(method, url, headers, body, options)
        head = written_again(self, self._head, made_of, body) if self._head is not None else None
        if head is not None:
            if self.sock is not None:
                self.sock.settimeout(self.timeout)
            super().send(head + body)  # type: ignore[misc]
            return
        self._head = None
        self._held = b""
        try:
            super().request(method, url, body, headers, **options)  # type: ignore[misc]
            held = self._held
        finally:
            self._held = None
        super().send(held)  # type: ignore[misc]
        if held.endswith(body):
            self._head = remembered(self, made_of, held[: len(held) - len(body)], body)

    def send(self, data: Any) -> None:
        """Send ``data``, or keep it until the request is whole."""
        if self._held is not None and type(data) is bytes:
            self._held += data
        else:
            super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        if self._guard is not None and self.sock is not None:
            self._guard.attach(SocketOf(self.sock))  # http.client forgets it when the answer ends with the connection
        return super().getresponse()  # type: ignore[misc]

    def leave_guard(self) -> None:
        """Go back to the pool: out of the guard's reach, and closed if that has shut the socket."""
        guard, self._guard = self._guard, None
        if guard is not None and guard.let_go():
            self.close()  # type: ignore[attr-defined]


class SocketOf:
    """Something that has a socket, as a guard knows it."""

    __slots__ = ("sock",)

    def __init__(self, sock: Any) -> None:
        self.sock: Any = sock


def _own_class(seen: type) -> Any:
    """Give urllib3's own class, should this module be imported while a recorder such as vcrpy has put a subclass in its place."""
    return next(cls for cls in seen.__mro__ if cls.__module__ == URLLIB3)


if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Plain, HTTPSConnection as _Tls
else:
    _Plain, _Tls = _own_class(HTTPConnection), _own_class(HTTPSConnection)


class GuardedHTTPConnection(Guarded, _Plain):
    """A plain connection with a guard."""


class GuardedHTTPSConnection(Guarded, _Tls):
    """A TLS connection with a guard."""

    _double: socket.socket | None = None

    def _reach(self, sock: Any) -> SocketOf:
        # ssl takes the descriptor off the socket for the whole handshake; shutting a duplicate ends the connection as well
        self._double = sock.dup()
        return SocketOf(self._double)

    def connect(self) -> None:
        """Connect.

        Raises:
            ConnectTimeoutError, NewConnectionError: the handshake was not finished; urllib3 would call it a failure to read.
        """
        try:
            with sharing_trust(self):
                super().connect()
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"connecting to {self.host} timed out") from error
        except OSError as error:
            if not isinstance(error, ConnectionError) and error.errno not in _BROKEN_OFF:
                raise
            raise NewConnectionError(self, f"connecting to {self.host} broke off: {error}") from error
        finally:
            double, self._double = self._double, None
            if double is not None:
                if self._guard is not None:
                    self._guard.attach(self)
                double.close()


def _is_known(kind: Any) -> bool:
    """Tell whether connections are urllib3's own. ``urllib3-future`` puts others in the same place."""
    code = getattr(kind.getresponse, "__code__", None)
    return code is not None and code.co_argcount == 1 and not code.co_kwonlyargcount


IS_KNOWN = _is_known(_own_class(HTTPConnection))
