"""Heads that are written again: the same bytes as ever, whatever changes between two requests."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import urllib3.connection

from animus.http import request_head
from animus.http.adapter import AnimusAdapter
from tests.servers import HttpServer

Serve = Callable[..., HttpServer]
Send = Callable[[requests.Session, str], Any]

# request after request on one connection
SEQUENCES: dict[str, list[Send]] = {
    "the same": [lambda s, u: s.post(u, data=b"body")] * 4,
    "bodies of many lengths": [lambda s, u, n=n: s.post(u, data=b"x" * n) for n in (1, 10, 100, 99, 7, 60000, 70000, 3)],  # type: ignore[misc]
    "a body that looks like a head": [lambda s, u: s.post(u, data=b"a\r\nContent-Length: 24\r\nb\r\n\r\n")] * 3,
    "a header more": [lambda s, u: s.post(u, data=b"a"), *[lambda s, u: s.post(u, data=b"a", headers={"X-A": "1"})] * 2],
    "a header less": [lambda s, u: s.post(u, data=b"a", headers={"X-A": "1"}), *[lambda s, u: s.post(u, data=b"a")] * 2],
    "another value": [lambda s, u, n=n: s.post(u, data=b"a", headers={"X-A": str(n)}) for n in (1, 2, 2, 3)],  # type: ignore[misc]
    "another spelling": [lambda s, u, name=name: s.post(u, data=b"a", headers={name: "1"}) for name in ("X-A", "x-a")],  # type: ignore[misc]
    "bytes for a value": [lambda s, u, v=v: s.post(u, data=b"a", headers={"X-A": v}) for v in ("1", b"1", b"1")],  # type: ignore[misc]
    "another order": [
        lambda s, u, names=names: s.post(u, data=b"a", headers=dict.fromkeys(names, "1"))  # type: ignore[misc]
        for names in (("X-A", "X-B"), ("X-B", "X-A"))
    ],
    "another method": [lambda s, u, m=m: s.request(m, u, data=b"a") for m in ("POST", "PUT", "PUT", "POST")],  # type: ignore[misc]
    "another target": [lambda s, u, p=p: s.post(u + p, data=b"a") for p in ("/a", "/b", "/b?c", "/a")],  # type: ignore[misc]
    "no body between": [
        lambda s, u: s.post(u, data=b"a"),
        lambda s, u: s.get(u),
        lambda s, u: s.post(u),
        lambda s, u: s.post(u, data=iter([b"one", b"two"])),
        lambda s, u: s.post(u, data=b"a"),
    ],
    "a length of one's own": [lambda s, u: s.post(u, data=b"abc", headers={"Content-Length": "3"})] * 3,
    "a host of one's own": [lambda s, u, h=h: s.post(u, data=b"a", headers={"Host": h}) for h in ("a.test", "b.test", "b.test")],  # type: ignore[misc]
    "cookies": [lambda s, u, n=n: s.post(u, data=b"a", cookies={"n": str(n)}) for n in (1, 2, 2)],  # type: ignore[misc]
}


def _sent(server: HttpServer, sends: list[Send], *, plainly: bool) -> list[bytes]:
    server.forget()
    with requests.Session() as session:
        session.headers["User-Agent"] = "tests"
        if not plainly:
            session.mount("http://", AnimusAdapter())
        for send in sends:
            send(session, server.url)
    assert len({request.connection for request in server.requests}) == 1
    return [request.raw for request in server.requests]


@pytest.mark.parametrize("sends", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_the_bytes_are_those_of_plain_requests(serve: Serve, sends: list[Send]) -> None:
    server = serve()
    assert _sent(server, sends, plainly=False) == _sent(server, sends, plainly=True)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the headers that http.client writes from here on; put there as tracers put themselves there."""
    names, putheader = list[str](), http.client.HTTPConnection.putheader

    def note(self: http.client.HTTPConnection, name: Any, *values: Any) -> None:
        names.append(name)
        putheader(self, name, *values)

    monkeypatch.setattr(http.client.HTTPConnection, "putheader", note)
    return names


@pytest.mark.parametrize("known", [True, False])
def test_a_head_is_written_by_others_once(serve: Serve, written: list[str], monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    if known:  # as if it had been there from the beginning
        monkeypatch.setattr(request_head, "_FOUND", request_head._writers())
    _sent(serve(), [lambda s, u: s.post(u, data=b"body")] * 5, plainly=False)
    assert written.count("User-Agent") == (1 if known else 5)


def test_a_tool_that_comes_later_sees_the_rest(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """sentry-sdk and others add a header in ``putrequest``, another for each request."""
    server, putrequest, count = serve(), http.client.HTTPConnection.putrequest, iter(range(9))

    def trace(self: http.client.HTTPConnection, *args: Any, **options: Any) -> None:
        putrequest(self, *args, **options)
        self.putheader("Traceparent", f"trace-{next(count)}")

    with requests.Session() as session:
        session.mount("http://", AnimusAdapter())
        for _ in range(2):
            session.post(server.url, data=b"a")
        with monkeypatch.context() as patched:
            patched.setattr(http.client.HTTPConnection, "putrequest", trace)
            for _ in range(3):
                session.post(server.url, data=b"a")
        for _ in range(2):
            session.post(server.url, data=b"a")
    seen = [request.header("Traceparent") for request in server.requests]
    assert seen == [None, None, "trace-0", "trace-1", "trace-2", None, None]


@pytest.mark.parametrize("name", ["_response_options", "_method"])
def test_where_a_part_is_missing_nothing_is_remembered(
    serve: Serve, written: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(request_head, "_FOUND", request_head._writers())
    monkeypatch.setattr(request_head, "_PRIVATE", (*request_head._PRIVATE, f"{name}_of_another_version"))
    _sent(serve(), [lambda s, u: s.post(u, data=b"body")] * 3, plainly=False)
    assert written.count("User-Agent") == 3


def test_the_guard_against_injection_holds_for_the_second_request(serve: Serve) -> None:
    server = serve()
    adapter = AnimusAdapter()
    pool = adapter.poolmanager.connection_from_url(server.url)
    for _ in range(2):
        pool.urlopen("POST", "/", body=b"a", headers={"X-A": "good"})
        with pytest.raises(ValueError, match="Invalid header value"):
            pool.urlopen("POST", "/", body=b"a", headers={"X-A": "bad\r\nX-B: 1"})
    adapter.close()
    assert [request.header("X-B") for request in server.requests] == [None, None]


@pytest.fixture
def connection(serve: Serve) -> Iterator[Any]:
    """A connection that has a head to write again."""
    adapter = AnimusAdapter()
    connection: Any = adapter.poolmanager.connection_from_url(serve().url)._get_conn()  # type: ignore[no-untyped-call, unused-ignore]
    connection.request("POST", "/", body=b"a")
    connection.getresponse().read()
    assert connection._head is not None
    yield connection
    connection.close()
    adapter.close()


def test_a_connection_that_waits_for_an_answer_takes_no_request(connection: Any) -> None:
    connection.request("POST", "/", body=b"a")
    with pytest.raises(http.client.CannotSendRequest):
        connection.request("POST", "/", body=b"a")


def test_a_connection_whose_answer_was_not_read_is_not_ready(connection: Any) -> None:
    connection.request("POST", "/", body=b"a", preload_content=False)
    unread = connection.getresponse()
    connection.request("POST", "/", body=b"a")
    with pytest.raises(http.client.ResponseNotReady):
        connection.getresponse()
    unread.close()


def test_a_length_somebody_insists_on_is_written(connection: Any, written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_head, "_FOUND", request_head._writers())
    connection.request("POST", "/", body=b"a", headers={"Content-Length": "1"})
    connection.getresponse().read()
    written.clear()
    connection.request("POST", "/", body=b"abc", headers={"Content-Length": "1"})
    assert "Content-Length" in written


def test_a_connection_that_was_dropped_is_made_again(serve: Serve) -> None:
    server = serve()
    with requests.Session() as session:
        session.mount("http://", AnimusAdapter())
        for _ in range(3):
            assert session.post(server.url, data=b"body").ok
            server.drop_connections()
    assert len({request.raw for request in server.requests}) == 1
    assert len({request.connection for request in server.requests}) == 3


def test_urllib3_has_what_is_needed() -> None:
    """Else nothing would be remembered, and nobody would know."""
    connection = urllib3.connection.HTTPConnection("127.0.0.1")
    assert [name for name in request_head._PRIVATE if not hasattr(connection, name)] == []
