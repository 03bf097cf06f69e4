"""Proxies: as plain requests, but that the environment's do not get to see what is for this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import Answer, HttpServer, Peer, RawServer, Received, unused_port
from tests.transport.comparison import assert_same

Serve = Callable[..., HttpServer]
API = "http://api.example.test"


@pytest.fixture
def proxy(serve: Serve) -> HttpServer:
    """Give a proxy that answers by itself, and remembers."""
    return serve(lambda request: Answer(body=b"through the proxy"))


def _by_position(request: Received) -> Answer:
    return Answer(302, {"Location": f"{API}/b"}) if request.target.endswith("/a") else Answer(body=request.target.encode())


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_the_environment_may_be_set_after_construction(proxy: HttpServer, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    def act(session: requests.Session, url: str) -> Any:
        monkeypatch.setenv(variable, url)
        try:
            return session.get(f"{API}/a"), session.send(session.prepare_request(requests.Request("GET", f"{API}/b")))
        finally:
            monkeypatch.delenv(variable)

    assert_same(proxy, act)
    assert [request.target for request in proxy.requests] == [f"{API}/a", f"{API}/b"]


def test_no_proxy_is_obeyed(proxy: HttpServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "example.test")
    with pytest.raises(requests.ConnectionError):
        session.post(f"{API}/a", timeout=5)
    assert proxy.requests == []


def test_trust_env_is_obeyed(proxy: HttpServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    session.trust_env = False
    with pytest.raises(requests.ConnectionError):
        session.post(f"{API}/a", timeout=5)
    assert proxy.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_reached_without_the_environments_proxies(
    serve: Serve, proxy: HttpServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Difference (a)."""
    server = serve()
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, proxy.url)
    url = f"http://{host}:{server.port}/a"
    session.get(url)
    session.send(session.prepare_request(requests.Request("GET", url)))
    assert len(proxy.requests) == (0 if isinstance(session, AnimusSession) else 2)


def test_explicit_proxies_are_obeyed_for_this_machine_too(serve: Serve, proxy: HttpServer) -> None:
    target = serve().url

    def act(session: requests.Session, url: str) -> Any:
        per_call = session.get(f"{target}/a", proxies={"http": url})
        session.proxies = {"http": url}
        return per_call, session.get(f"{target}/b"), session.send(session.prepare_request(requests.Request("GET", f"{target}/c")))

    assert_same(proxy, act)
    assert [request.target for request in proxy.requests] == [f"{target}/{name}" for name in "abc"]


@pytest.mark.parametrize("explicit", ["session", "call"])
def test_explicit_proxies_outlast_a_redirect(serve: Serve, proxy: HttpServer, explicit: str) -> None:
    target = serve().url
    proxy.reply = lambda request: Answer(302, {"Location": "/b"}) if request.path.endswith("/a") else Answer()

    def act(session: requests.Session, url: str) -> Any:
        if explicit == "session":
            session.proxies = {"http": url}
            return session.get(f"{target}/a")
        return session.get(f"{target}/a", proxies={"http": url})

    assert_same(proxy, act)
    assert [request.target for request in proxy.requests] == [f"{target}/a", f"{target}/b"]


def test_sessions_proxies_and_the_environments(proxy: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepared request goes through the session's, another one through the environment's: so do plain requests."""
    monkeypatch.setenv("HTTP_PROXY", proxy.url)

    def act(session: requests.Session, url: str) -> Any:
        session.proxies = {"http": "http://127.0.0.1:9"}
        with pytest.raises(requests.exceptions.ProxyError):
            session.send(session.prepare_request(requests.Request("POST", f"{API}/prepared")), timeout=5)
        return session.get(f"{API}/a")

    assert_same(proxy, act)
    assert [request.target for request in proxy.requests] == [f"{API}/a"]


def test_a_redirect_to_this_machine_leaves_the_environments_proxy(
    serve: Serve, proxy: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = serve(lambda request: Answer(302, {"Location": f"{API}/b"}) if request.path == "/here" else Answer(body=b"here"))
    proxy.reply = lambda request: Answer(302, {"Location": f"{here.url}/here"}) if request.target == f"{API}/a" else Answer(body=b"there")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with AnimusSession(f"{API}/v3") as session:
        response = session.get(f"{API}/a")
    assert response.content == b"there"
    assert [request.target for request in proxy.requests] == [f"{API}/a", f"{API}/b"]
    assert [request.target for request in here.requests] == ["/here"]


def test_redirects_through_a_proxy(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(_by_position)

    def act(session: requests.Session, url: str) -> Any:
        monkeypatch.setenv("HTTP_PROXY", url.replace("//", "//user:secret@"))
        return session.get(f"{API}/a")

    assert_same(server, act)
    assert [request.header("Proxy-Authorization") for request in server.requests] == ["Basic dXNlcjpzZWNyZXQ="] * 2


def test_a_tunnel_shows_the_proxy_nothing(
    serve_raw: Callable[..., RawServer], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    inside: list[Received] = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n\r\n"))
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        peer.start_tls(authority.server_context())
        for _ in range(2):
            inside.append(peer.request())
            peer.answer(Answer(body=b"fine"))

    server = serve_raw(script)
    monkeypatch.setenv("HTTPS_PROXY", server.url)
    with AnimusSession("https://api.animus.test/v3") as session:
        session.verify = authority.bundle
        for _ in range(2):
            assert session.get("/a?b=1", headers={"X-Api-Key": "key", "Cookie": "c=1"}).content == b"fine"
    assert len(seen) == 1
    assert seen[0].startswith(b"CONNECT api.animus.test:443 HTTP/1.")
    assert not {b"key", b"c=1", b"/a"} & set(seen[0].split())
    assert [request.target for request in inside] == ["/v3/a?b=1"] * 2


def test_connections_to_proxies_are_kept_alive(proxy: HttpServer, session_for: Callable[..., AnimusSession]) -> None:
    import socket

    session = session_for(f"{API}/v3")
    adapter = session.get_adapter(API)
    for manager in (adapter.poolmanager, adapter.proxy_manager_for(proxy.url)):  # type: ignore[attr-defined]
        pool = manager.connection_from_url(f"{API}/a")
        assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in pool.conn_kw["socket_options"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 No\r\n\r\n", requests.exceptions.ProxyError),
        (b"HTTP/1.1 502 No\r\n\r\n", requests.exceptions.ProxyError),
        (b"", requests.ConnectionError),
    ],
)
def test_tunnels_that_are_not_made(
    serve_raw: Callable[..., RawServer], session: requests.Session, answer: bytes, expected: type[Exception]
) -> None:
    proxy = serve_raw(lambda peer: (peer.read_until(b"\r\n\r\n"), peer.send(answer)))
    with pytest.raises(expected) as raised:
        session.post("https://api.example.test/a", proxies={"https": proxy.url})
    assert type(raised.value) is expected


def test_a_proxy_that_is_not_there(session: requests.Session) -> None:
    for url in ("https://api.example.test/a", "http://api.example.test/a"):
        proxy = f"http://127.0.0.1:{unused_port()}"
        with pytest.raises(requests.exceptions.ProxyError):
            session.post(url, proxies={"http": proxy, "https": proxy})
