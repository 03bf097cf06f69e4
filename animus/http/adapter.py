"""The transport adapter: pools for many threads, TCP keep-alive, connections that know their guard.

``max_retries`` is 0: exactly one layer repeats, and that is :mod:`animus.transport.attempts`.
"""

from __future__ import annotations

import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from animus import _fork
from animus.http.watchdog import current_guard

POOL_SIZE = 100  # idle connections kept for one host; a queue of that length costs nothing, a reconnect does

# NAT and load balancers drop silent sockets after minutes; long generations are silent (openai-python#3269)
_KEEPALIVE: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
for _option, _value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
    if hasattr(socket, _option):  # macOS and Windows lack some
        _KEEPALIVE.append((socket.IPPROTO_TCP, getattr(socket, _option), _value))


class _Guarded:
    """A connection that attaches itself to the guard of its thread before it connects and sends."""

    def connect(self) -> None:
        guard = current_guard()
        if guard is not None:
            guard.attach(self)  # type: ignore[arg-type]
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> Any:
        guard = current_guard()
        if guard is not None:
            guard.attach(self)  # type: ignore[arg-type]
        return super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        guard = current_guard()
        sock = self.sock  # type: ignore[attr-defined]
        if guard is not None and sock is not None:
            guard.attach(_SocketOf(sock))  # http.client forgets it when the answer ends with the connection
        return super().getresponse()  # type: ignore[misc]


class _SocketOf:
    __slots__ = ("sock",)

    def __init__(self, sock: Any) -> None:
        self.sock = sock


class GuardedHTTPConnection(_Guarded, HTTPConnection):
    """A plain connection with a guard."""


class GuardedHTTPSConnection(_Guarded, HTTPSConnection):
    """A TLS connection with a guard."""


_SEEN = {HTTPConnectionPool: HTTPConnectionPool.ConnectionCls, HTTPSConnectionPool: HTTPSConnectionPool.ConnectionCls}


class _HTTPPool(HTTPConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        """Give our class, unless somebody (a recorder such as vcrpy) has put another one into urllib3's pool."""
        theirs = HTTPConnectionPool.ConnectionCls
        return GuardedHTTPConnection if theirs is _SEEN[HTTPConnectionPool] else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:  # urllib3 sets it on SOCKS pools
        raise AttributeError("the connection class of this pool is fixed")


class _HTTPSPool(HTTPSConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        """Give our class, unless somebody has put another one into urllib3's pool."""
        theirs = HTTPSConnectionPool.ConnectionCls
        return GuardedHTTPSConnection if theirs is _SEEN[HTTPSConnectionPool] else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:
        raise AttributeError("the connection class of this pool is fixed")


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class AnimusAdapter(HTTPAdapter):
    """The adapter of all sessions of this package.

    Threads: any. Fork: the child gets new pools; the parent's sockets are left to the parent.
    """

    def __init__(self, pool_size: int = POOL_SIZE) -> None:
        super().__init__(pool_connections=10, pool_maxsize=pool_size, max_retries=0, pool_block=False)
        _fork.register(self)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        pool_kwargs.setdefault("socket_options", [*HTTPConnection.default_socket_options, *_KEEPALIVE])
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **proxy_kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **proxy_kwargs)
        if not proxy.lower().startswith("socks"):  # those have pool classes of their own
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        # not close(): shutting a TLS connection here would write to the parent's stream (psf/requests#1906)
        self.proxy_manager = {}
        self.init_poolmanager(self._pool_connections, self._pool_maxsize, block=self._pool_block)
