"""The transport adapter: pools for many threads, TCP keep-alive, guarded connections (:mod:`animus.http.connection`).

``max_retries`` is 0: exactly one layer repeats, and that is :mod:`animus.transport.attempts`.
"""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from animus import _fork
from animus.http.connection import IS_KNOWN, URLLIB3, Guarded, GuardedHTTPConnection, GuardedHTTPSConnection
from animus.http.express import Routes, express_send, untouched

POOL_SIZE = 100  # idle connections kept for one host; a queue of that length costs nothing, a reconnect does

# NAT and load balancers drop silent sockets after minutes; long generations are silent (openai-python#3269)
_KEEPALIVE: list[tuple[int, int, int]] = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
for _option, _value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)):
    if hasattr(socket, _option):  # macOS and Windows lack some
        _KEEPALIVE.append((socket.IPPROTO_TCP, getattr(socket, _option), _value))


class _GuardedPool:
    """A pool of guarded connections, unless somebody (a recorder such as vcrpy) has put another class into urllib3's pools."""

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        headers = kwargs.get("headers")
        if headers is not None and not isinstance(conn, Guarded):
            kwargs["headers"] = headers = headers.copy()
            for name, value in headers.items():
                headers[name] = str(value)  # recorders write headers down, and some know no subclass of str
        return super()._make_request(conn, *args, **kwargs)  # type: ignore[misc]

    def _put_conn(self, conn: Any) -> None:
        if isinstance(conn, Guarded):
            conn.leave_guard()
        super()._put_conn(conn)  # type: ignore[misc]


class _HTTPPool(_GuardedPool, HTTPConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        theirs = HTTPConnectionPool.ConnectionCls
        return GuardedHTTPConnection if theirs.__module__ == URLLIB3 else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:  # urllib3 sets it on SOCKS pools
        raise AttributeError("the connection class of this pool is fixed")


class _HTTPSPool(_GuardedPool, HTTPSConnectionPool):
    @property
    def ConnectionCls(self) -> Any:
        theirs = HTTPSConnectionPool.ConnectionCls
        return GuardedHTTPSConnection if theirs.__module__ == URLLIB3 else theirs

    @ConnectionCls.setter
    def ConnectionCls(self, value: Any) -> None:
        raise AttributeError("the connection class of this pool is fixed")


class AnimusAdapter(HTTPAdapter):
    """The adapter of all sessions of this package.

    Where urllib3 is not what it was found to be, it uses its own pools; see :func:`animus.transport.limits.reach_foreign` for limits then.

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
