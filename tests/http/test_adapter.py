"""The adapter: pools that are large enough, connections that are kept alive, and what travels."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable, Iterator

import pytest
import requests

from animus.http.adapter import POOL_SIZE, AnimusAdapter
from animus.http.connection import IS_KNOWN, _is_known
from tests.forking import Child
from tests.servers import HttpServer

Serve = Callable[..., HttpServer]


@pytest.fixture
def adapter() -> Iterator[AnimusAdapter]:
    adapter = AnimusAdapter()
    yield adapter
    adapter.close()


def _sock(adapter: AnimusAdapter, url: str) -> socket.socket:
    pool = adapter.get_connection_with_tls_context(requests.Request("GET", url).prepare(), verify=True)
    connection = pool._get_conn()
    pool._put_conn(connection)
    assert isinstance(connection.sock, socket.socket)
    return connection.sock


def test_sockets_are_kept_alive(adapter: AnimusAdapter, serve: Serve) -> None:
    server = serve()
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.get(server.url)
        sock = _sock(adapter, server.url)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        if hasattr(socket, "TCP_KEEPIDLE"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


def test_it_repeats_nothing_and_keeps_many_connections(adapter: AnimusAdapter) -> None:
    assert adapter.max_retries.total == 0
    assert adapter.poolmanager.connection_from_url("https://api.example.test").pool.maxsize == POOL_SIZE  # type: ignore[union-attr]


def test_it_travels(adapter: AnimusAdapter, serve: Serve) -> None:
    server = serve()
    travelled = pickle.loads(pickle.dumps(AnimusAdapter(pool_size=7)))
    with requests.Session() as session:
        session.mount("http://", travelled)
        assert session.get(server.url).ok
        pool = travelled.poolmanager.connection_from_url(server.url)
    assert pool.ConnectionCls.__name__ == "GuardedHTTPConnection"
    assert travelled._pool_maxsize == 7


def test_the_connection_class_of_a_pool_is_fixed(adapter: AnimusAdapter) -> None:
    for url in ("http://api.example.test", "https://api.example.test"):
        with pytest.raises(AttributeError):
            adapter.poolmanager.connection_from_url(url).ConnectionCls = object  # type: ignore[misc]


def test_socks_proxies_have_pools_of_their_own(adapter: AnimusAdapter) -> None:
    pytest.importorskip("socks")
    manager = adapter.proxy_manager_for("socks5://127.0.0.1:9")
    assert "Guarded" not in manager.connection_from_url("http://api.example.test").ConnectionCls.__name__


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_makes_connections_of_its_own(adapter: AnimusAdapter, serve: Serve) -> None:
    server = serve()
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.get(server.url)
        assert Child(lambda: session.get(f"{server.url}/child").status_code).result() == 200
        session.get(f"{server.url}/parent")
    assert [(request.path, request.connection) for request in server.requests] == [("/", 0), ("/child", 1), ("/parent", 0)]


def test_connections_of_another_library_are_not_taken_for_urllib3s() -> None:
    class Future:
        def getresponse(self, *, promise: object = None) -> None: ...

    assert not _is_known(Future)
    assert IS_KNOWN, "this is urllib3 itself: its pools would not be guarded"
