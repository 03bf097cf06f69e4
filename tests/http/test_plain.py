"""The plain exchange: one request, one answer, whatever the server, the environment or a netrc file say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from animus.http.plain import PlainAnswer, PlainFailure, PlainHttp
from animus.testing.clock import ManualClock
from tests.authority import Authority
from tests.servers import CHUNKED_HEAD, Answer, HttpServer, Peer, RawServer, chunked, unused_port

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]


@pytest.fixture
def http() -> Iterator[PlainHttp]:
    http = PlainHttp()
    yield http
    http.close()


def test_an_exchange(http: PlainHttp, serve: Serve) -> None:
    server = serve(lambda request: Answer(201, {"X-A": "1"}, b"body"))
    answer = http.exchange("POST", f"{server.url}/a", headers={"X-B": "2"}, cookies={"c": "3"}, json={"d": 4}, timeout=10)
    assert (answer.status, answer.headers["x-a"], answer.body) == (201, "1", b"body")
    assert answer.elapsed >= 0
    (request,) = server.requests
    assert (request.method, request.header("X-B"), request.header("Cookie"), request.body) == ("POST", "2", "c=3", b'{"d": 4}')


def test_what_came_back_is_not_shown() -> None:
    assert repr(PlainAnswer(200, {"Set-Cookie": "secret"}, b"secret", 0.5)) == "PlainAnswer(status=200, elapsed=0.5)"


def test_elapsed_is_of_the_clock(serve: Serve) -> None:
    clock = ManualClock()

    def reply(request: Any) -> Answer:
        clock.advance(3)
        return Answer()

    http = PlainHttp(clock)
    assert http.exchange("GET", serve(reply).url, timeout=10).elapsed == 3
    http.close()


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirects_are_answers(http: PlainHttp, serve: Serve, status: int) -> None:
    server = serve(lambda request: Answer(status, {"Location": "/login"}))
    assert http.exchange("POST", server.url, timeout=10).status == status
    assert len(server.requests) == 1


def test_errors_are_answers_and_not_repeated(http: PlainHttp, serve: Serve) -> None:
    server = serve(lambda request: Answer(503, {"Retry-After": "0"}))
    assert http.exchange("GET", server.url, timeout=10).status == 503
    assert len(server.requests) == 1


def test_cookies_are_not_kept(http: PlainHttp, serve: Serve) -> None:
    server = serve(lambda request: Answer(headers={"Set-Cookie": "sid=1"}))
    for _ in range(2):
        http.exchange("GET", server.url, timeout=10)
    assert [request.header("Cookie") for request in server.requests] == [None, None]


def test_netrc_is_not_asked(http: PlainHttp, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = serve()
    http.exchange("GET", server.url, timeout=10)
    http.exchange("GET", server.url, headers={"Authorization": "Bearer key"}, timeout=10)
    assert [request.header("Authorization") for request in server.requests] == [None, "Bearer key"]


def test_a_connection_is_used_again(http: PlainHttp, serve: Serve) -> None:
    server = serve()
    for _ in range(3):
        http.exchange("GET", server.url, timeout=10)
    assert server.connections == 1


def test_each_exchange_has_its_own_query(http: PlainHttp, serve: Serve) -> None:
    server = serve()
    for number in (1, 2, 2, 3):
        http.exchange("POST", f"{server.url}/a?n={number}", json={}, timeout=10)
    assert [request.target for request in server.requests] == ["/a?n=1", "/a?n=2", "/a?n=2", "/a?n=3"]
    assert len({request.connection for request in server.requests}) == 1


@pytest.mark.parametrize("size", [10, 11])
@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
def test_there_is_a_largest_answer(http: PlainHttp, serve: Serve, size: int, framing: str) -> None:
    body = b"x" * size
    raw = {
        "length": Answer(body=body).bytes(),
        "chunked": CHUNKED_HEAD + chunked(body) + b"0\r\n\r\n",
        "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body,
    }[framing]
    server = serve(lambda request: raw)
    if size == 10:
        assert http.exchange("GET", server.url, timeout=10, max_bytes=10).body == body
    else:
        with pytest.raises(PlainFailure) as raised:
            http.exchange("GET", server.url, timeout=10, max_bytes=10)
        assert raised.value.reason == "too_large"


def test_an_endless_answer_ends(http: PlainHttp, serve_raw: ServeRaw) -> None:
    def endless(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD)
        while True:
            peer.send(chunked(b"x" * 60_000))

    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", serve_raw(endless).url, timeout=10)
    assert raised.value.reason == "too_large"


@pytest.mark.parametrize(
    "act",
    [
        lambda peer: peer.hold(),
        lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\nX: x"),
        lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), peer.drip(b"x")),
        lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\n\r\n"), peer.drip(b"x")),
        lambda peer: (peer.send(CHUNKED_HEAD + b"ff\r\n"), peer.drip(b"x")),
    ],
    ids=["silent", "dripped head", "dripped length", "dripped until close", "dripped chunk"],
)
def test_the_time_limit_holds(http: PlainHttp, serve_raw: ServeRaw, act: Callable[[Peer], Any]) -> None:
    server = serve_raw(lambda peer: (peer.request(), act(peer)))
    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", server.url, timeout=0.1)
    assert (raised.value.reason, str(raised.value)) == ("timeout", "no complete answer within 0.1 s")


def test_the_time_limit_holds_while_connecting(http: PlainHttp, full_backlog: str) -> None:
    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", full_backlog, timeout=0.1)
    assert raised.value.reason == "timeout"


@pytest.mark.parametrize("url", [f"http://127.0.0.1:{unused_port()}", "http://nowhere.invalid"], ids=["port", "name"])
def test_nobody_there(http: PlainHttp, url: str) -> None:
    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", url, timeout=10)
    assert raised.value.reason == "unreachable"


@pytest.mark.parametrize("raw", [b"", b"no HTTP\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"])
def test_broken_answers(http: PlainHttp, serve_raw: ServeRaw, raw: bytes) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(raw)))
    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", server.url, timeout=10)
    assert raised.value.reason == "unreachable"
    assert server.connections == 1


def test_untrusted_servers(http: PlainHttp, serve: Serve, authority: Authority) -> None:
    server = serve(tls=authority.server_context())
    with pytest.raises(PlainFailure) as raised:
        http.exchange("GET", server.url, headers={"X-Api-Key": "secret"}, timeout=10)
    assert raised.value.reason == "tls"
    assert server.requests == []
    assert http.exchange("GET", server.url, verify=authority.bundle, timeout=10).status == 200


@pytest.mark.parametrize(("url", "headers"), [("http://[", {}), ("ftp://x", {}), ("http://127.0.0.1", {"A": "b\nc"})])
def test_impossible_requests(http: PlainHttp, url: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        http.exchange("GET", url, headers=headers, timeout=10)


def test_closing_leaves_no_thread(serve: Serve) -> None:
    http = PlainHttp()
    http.exchange("GET", serve().url, timeout=10)
    http.close()
    assert http._watchdog._thread is None
    http.close()
