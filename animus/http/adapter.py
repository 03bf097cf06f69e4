"""The transport adapter: pools for many threads, TCP keep-alive, connections that know their guard.

``max_retries`` is 0: exactly one layer repeats, and that is :mod:`animus.transport.attempts`.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, ClassVar

from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from animus import _fork
from animus.http.express import Routes, express_send, untouched
from animus.http.head import AnswerHead
from animus.http.request_head import RequestHead, remembered, wanted, written_again
from animus.http.trust import sharing_trust
from animus.http.watchdog import Guard, current_guard

POOL_SIZE = 100  # idle connections kept for one host; a queue of that length costs nothing, a reconnect does

# NAT and load balancers drop silent sockets after minutes; long generations are silent (openai-python#3269)
_KEEPALIVE: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
for _option, _value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
    if hasattr(socket, _option):  # macOS and Windows lack some
        _KEEPALIVE.append((socket.IPPROTO_TCP, getattr(socket, _option), _value))


_URLLIB3 = "urllib3.connection"
_BROKEN_OFF = (0, errno.ENOTCONN, errno.EBADF)  # 0: what ssl makes of an end in the middle of a handshake
_TOGETHER = 65536  # bytes of body that are worth copying to save a system call


class _Guarded:
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
            held, self._held = self._held, None
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
    return next(cls for cls in seen.__mro__ if cls.__module__ == _URLLIB3)


if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Plain, HTTPSConnection as _Tls
else:
    _Plain, _Tls = _own_class(HTTPConnection), _own_class(HTTPSConnection)


class GuardedHTTPConnection(_Guarded, _Plain):
    """A plain connection with a guard."""


class GuardedHTTPSConnection(_Guarded, _Tls):
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


class _GuardedPool:
    """A pool of guarded connections, unless somebody (a recorder such as vcrpy) has put another class into urllib3's pools."""

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("headers")
        if headers is not None and not isinstance(conn, _Guarded):
            kwargs["headers"] = headers = headers.copy()
            for name, value in headers.items():
                headers[name] = str(value)  # recorders write headers down, and some know no subclass of str
        return super()._make_request(conn, *args, **kwargs)  # type: ignore[misc]

    def _put_conn(self, conn: Any) -> None:
        if isinstance(conn, _Guarded):
            conn.leave_guard()
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_GuardedPool, HTTPConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        theirs = HTTPConnectionPool.ConnectionCls
        return GuardedHTTPConnection if theirs.__module__ == _URLLIB3 else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:  # urllib3 sets it on SOCKS pools
        raise AttributeError("the connection class of this pool is fixed")


class _HTTPSPool(_GuardedPool, HTTPSConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        theirs = HTTPSConnectionPool.ConnectionCls
        return GuardedHTTPSConnection if theirs.__module__ == _URLLIB3 else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:
        raise AttributeError("the connection class of this pool is fixed")


def _is_known(kind: Any) -> bool:
    """Tell whether connections are urllib3's own. ``urllib3-future`` puts others in the same place."""
    code = getattr(kind.getresponse, "__code__", None)
    return code is not None and code.co_argcount == 1 and not code.co_kwonlyargcount


IS_KNOWN = _is_known(_own_class(HTTPConnection))


class AnimusAdapter(HTTPAdapter):
    """The adapter of all sessions of this package.

    Where urllib3 is not what it was found to be, it uses its own pools; blocked reads are then ended by the answer's ``shutdown()``.

    Threads: any. Fork: the child gets new pools; the parent's sockets are left to the parent.
    """

    pool_classes: ClassVar[dict[str, Any] | None] = {"http": _HTTPPool, "https": _HTTPSPool} if IS_KNOWN else None

    def __init__(self, pool_size: int = POOL_SIZE) -> None:
        self._routes = Routes()
        super().__init__(pool_connections=10, pool_maxsize=pool_size, max_retries=0, pool_block=False)
        _fork.register(self)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        pool_kwargs.setdefault("socket_options", [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *_KEEPALIVE])
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self._choose_pools(self.poolmanager)

    def send(
        self,
        request: Any,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Any:
        """As :meth:`requests.adapters.HTTPAdapter.send`; by the short way where no proxy and no other tool is in between."""
        if (proxies and select_proxy(request.url, proxies)) or not untouched() or not isinstance(cert, (str, tuple, type(None))):
            return super().send(request, stream=stream, timeout=timeout, verify=verify, cert=cert, proxies=proxies)
        return express_send(self, self._routes, request, timeout, verify, cert)

    def close(self) -> None:
        """Close all connections."""
        self._routes.clear()
        super().close()

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        proxy_kwargs.setdefault("socket_options", _KEEPALIVE)
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):  # those have pool classes of their own
            self._choose_pools(manager)
        return manager

    def _choose_pools(self, manager: Any) -> None:
        if self.pool_classes is not None:
            manager.pool_classes_by_scheme = self.pool_classes

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._routes = Routes()
        super().__setstate__(state)
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        managers = (self.poolmanager, *self.proxy_manager.values())
        for pool in (*self._routes.pools(), *(pool for manager in managers for pool in _pools_of(manager))):
            _leave_to_parent(pool)
        self.proxy_manager.clear()
        self._routes = Routes()
        self.init_poolmanager(self._pool_connections, self._pool_maxsize, block=self._pool_block)


def _pools_of(manager: Any) -> list[Any]:
    # not by its own methods: those take a lock that another thread of the parent may have held
    return list(getattr(manager.pools, "_container", {}).values())


def _leave_to_parent(pool: Any) -> None:
    """Close our ends of a pool's idle connections, and free its queue, which urllib3 goes through when the pool is thrown away.

    ``socket.close()`` says nothing to the peer while the parent has the socket open; nor does it for TLS.
    """
    idle = pool.pool
    if idle is None:
        return
    for connection in list(idle.queue):
        if connection is not None:
            connection.close()
    type(idle).__init__(idle, idle.maxsize)  # with new locks
