"""Deadlines hold against everything a server can do, and the error says which limit fired.

No test measures time: servers hang until the client has gone, so that a limit which does not fire hangs the test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from animus.errors import ApiConnectionError, ApiTimeoutError, BadRequestError, StreamTimeoutError, TokenSourceError
from animus.http.failure import LimitExceeded
from animus.http.timeouts import Timeouts
from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import CHUNKED_HEAD, Answer, HttpServer, Peer, RawServer, Script, chunked
from tests.transport.tokens import Tokens

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]
DEADLINE = Timeouts(deadline=0.12)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"


def _after_request(act: Callable[[Peer], Any]) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        act(peer)

    return script


SLOW: dict[str, Script] = {
    "silent": _after_request(lambda peer: peer.hold()),
    "dripped head": _after_request(lambda peer: peer.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x")),
    "dripped body with a length": _after_request(lambda peer: (peer.send(HEAD), peer.drip(b"x"))),
    "dripped chunk": _after_request(lambda peer: (peer.send(CHUNKED_HEAD + b"fff\r\n"), peer.drip(b"x"))),
    "dripped chunks": _after_request(lambda peer: (peer.send(CHUNKED_HEAD), _drip_chunks(peer))),
    "dripped body until close": _after_request(lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\n\r\n"), peer.drip(b"x"))),
    "head without end": _after_request(lambda peer: (peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), peer.hold())),
    "body that stops": _after_request(lambda peer: (peer.send(HEAD + b"some"), peer.hold())),
    "a request nobody reads": lambda peer: _leave_unread(peer),
}


def _drip_chunks(peer: Peer) -> None:
    while not peer.is_gone(0.01):
        peer.send(chunked(b"x"))


def _leave_unread(peer: Peer) -> None:
    peer.read_exactly(1)
    over.wait(20)


over = threading.Event()


@pytest.fixture(autouse=True)
def end_of_test() -> Any:
    over.clear()
    yield
    over.set()


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_calls_end_by_their_deadline(serve_raw: ServeRaw, session_for: SessionFor, closing: Any, script: Script) -> None:
    session = session_for(serve_raw(script))
    closing.callback(over.set)
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/chat/completions", body=b"x" * 20_000_000, timeouts=DEADLINE)
    assert (raised.value.limit, raised.value.sent, raised.value.attempts) == ("deadline", True, 1)


@pytest.mark.parametrize("script", SLOW.values(), ids=SLOW.keys())
def test_requests_end_by_their_deadline(serve_raw: ServeRaw, session_for: SessionFor, closing: Any, script: Script) -> None:
    session = session_for(serve_raw(script), timeouts=DEADLINE)
    closing.callback(over.set)
    with pytest.raises(requests.Timeout) as raised:
        session.get("/a", data=b"x" * 20_000_000)
    assert isinstance(raised.value, LimitExceeded)
    assert raised.value.limit == "deadline"


BODIES = [name for name in SLOW if name.startswith(("dripped body", "dripped chunk", "body that"))]


READS: dict[str, Callable[[requests.Response], Any]] = {
    "content": lambda r: r.content,
    "iter_content": lambda r: list(r.iter_content(None)),
    "iter_lines": lambda r: list(r.iter_lines()),
    "iteration": list,
}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        *((name, read) for name in BODIES for read in ("content", "iter_content")),
        (BODIES[0], "iter_lines"),
        (BODIES[0], "iteration"),
    ],
)
def test_a_body_that_the_caller_reads_ends_by_the_deadline(
    serve_raw: ServeRaw, session_for: SessionFor, name: str, read: str
) -> None:
    session = session_for(serve_raw(SLOW[name]), timeouts=DEADLINE)
    with pytest.raises(requests.Timeout) as raised, session.post("/a", stream=True) as response:
        READS[read](response)
    assert raised.value.limit == "deadline"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", BODIES)
def test_raw_reading_ends_by_the_deadline(serve_raw: ServeRaw, session_for: SessionFor, name: str) -> None:
    session = session_for(serve_raw(SLOW[name]), timeouts=Timeouts(deadline=60))  # the head comes in time, on any machine
    with session.post("/a", stream=True) as response:
        (guard,) = session._watchdog._guards
        assert 0 < guard.remaining() <= 60
        guard.arm(guard.limit, 0.02)
        try:
            while response.raw.read(1):
                pass
        except Exception as error:  # what urllib3 makes of a connection that was shut
            assert "hang" not in str(error)
        assert guard.fired == "deadline"


def test_the_body_of_a_redirect_ends_by_the_deadline(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 1000\r\n\r\n"
    session = session_for(serve_raw(_after_request(lambda peer: (peer.send(head), peer.drip(b"x")))), timeouts=DEADLINE)
    with pytest.raises(requests.Timeout) as raised:
        session.get("/a", stream=True)
    assert raised.value.limit == "deadline"  # type: ignore[attr-defined]


def test_a_body_read_in_time_is_whole(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda request: Answer(body=b"x" * 100_000))
    session = session_for(server, timeouts=Timeouts(deadline=30))
    with session.get("/a", stream=True) as response:
        assert len(next(response.iter_content(10))) == 10
        assert len(response.content) == 99_990
    with session.get("/a", stream=True) as response:
        pass
    assert session.get("/a").content == b"x" * 100_000
    assert not session._watchdog._guards


def test_a_connection_that_is_never_made(session_for: SessionFor, full_backlog: str) -> None:
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session_for(full_backlog), "POST", "/a", body=b"{}", timeouts=Timeouts(connect=None, deadline=0.12))
    assert (raised.value.limit, raised.value.sent) == ("deadline", False)


def test_the_connect_limit_covers_the_handshake(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    session = session_for(serve_raw(lambda peer: peer.hold()).url.replace("http:", "https:"), retry=RetryPolicy(repeats=0))
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=Timeouts(connect=0.05))
    assert (raised.value.limit, raised.value.sent) == ("connect", False)


def test_a_handshake_that_breaks_off_has_sent_nothing(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(lambda peer: (peer.read_exactly(1), peer.reset()))
    session = session_for(server.url.replace("http:", "https:"), clock=ManualClock())
    with pytest.raises(requests.ConnectionError) as raised:
        session.post("/characters", data=b"{}")
    assert type(raised.value) is requests.ConnectionError
    assert server.connections == 3


def test_a_handshake_that_ends_as_ssl_ends_it(session_for: SessionFor, serve_raw: ServeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssl gives an error number of 0 when the other side ends in the middle: nothing was sent then, either."""

    def wrap(*args: Any, **kwargs: Any) -> Any:
        raise OSError(0, "Error")

    server = serve_raw(lambda peer: peer.hold())
    session = session_for(server.url.replace("http:", "https:"), clock=ManualClock())
    monkeypatch.setattr("urllib3.connection._ssl_wrap_socket_and_match_hostname", wrap)
    with pytest.raises(ApiConnectionError) as raised:
        call_api(session, "POST", "/characters", body=b"{}")
    assert (raised.value.sent, raised.value.attempts) == (False, 3)


def test_a_dripped_handshake(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    # a TLS record that announces a kilobyte and comes byte by byte
    server = serve_raw(lambda peer: (peer.read_exactly(1), peer.drip(b"\x16\x03\x03\x04\x00" + b"\x02\x00\x03\xfc" + b"\x03")))
    session = session_for(server.url.replace("http:", "https:"))
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=DEADLINE)
    assert (raised.value.limit, raised.value.sent) == ("deadline", False)


@pytest.mark.parametrize("dripped", [b"HTTP/1.1 200 OK\r\nX: x", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nx"], ids=["head", "body"])
def test_dripped_answers_over_tls(serve_raw: ServeRaw, session_for: SessionFor, authority: Authority, dripped: bytes) -> None:
    server = serve_raw(_after_request(lambda peer: (peer.send(dripped), _drip_over_tls(peer))), tls=authority.server_context())
    session = session_for(server)
    session.verify = authority.bundle
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=DEADLINE)
    assert raised.value.limit == "deadline"


def _drip_over_tls(peer: Peer) -> None:
    while not over.wait(0.01):
        peer.send(b"x")


def test_a_dripping_proxy(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    proxy = serve_raw(lambda peer: (peer.read_until(b"\r\n\r\n"), peer.drip(b"HTTP/1.1 200 OK\r\nX: x")))
    session = session_for("https://api.example.test/v3")
    session.proxies = {"https": proxy.url}
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=DEADLINE)
    assert raised.value.limit == "deadline"


def test_an_adapter_of_somebody_else(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    session = session_for(serve_raw(SLOW["silent"]))
    session.mount("http://", HTTPAdapter())
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=DEADLINE)
    assert raised.value.limit == "deadline"


@pytest.mark.parametrize("through_session", [False, True])
def test_the_deadline_covers_fetching_a_token(serve: Serve, session_for: SessionFor, through_session: bool) -> None:
    """The source is somebody's function that hangs: whoever waits for it leaves by his own deadline."""
    started, leave = threading.Event(), threading.Event()

    def hang() -> str:
        started.set()
        leave.wait(20)
        return "token"

    server = serve()
    manager = TokenManager(CallableTokenSource(hang))
    session = session_for(server, manager)
    leader = threading.Thread(target=lambda: session.get("/a"), daemon=True)
    leader.start()
    assert started.wait(10)
    session.timeouts = DEADLINE
    with pytest.raises(TokenSourceError) as raised:
        session.get("/b") if through_session else call_api(session, "GET", "/b")
    assert raised.value.reason == "timeout"
    leave.set()
    leader.join(10)
    assert [request.path for request in server.requests] == ["/v3/a"]


def test_the_deadline_is_one_for_all_parts(serve: Serve, session_for: SessionFor) -> None:
    """Fetching a token, attempts and waits each take a part of it; nothing is sent after it."""
    clock = ManualClock()

    def source() -> str:
        clock.advance(4)
        return "token"

    def reply(request: Any) -> Answer:
        clock.advance(3)
        return Answer(503, {"Retry-After": "2"})

    server = serve(reply)
    session = session_for(server, TokenManager(CallableTokenSource(source), clock=clock), clock=clock, retry=RetryPolicy(repeats=9))
    assert session.request("GET", "/a").status_code == 503
    session.timeouts = Timeouts(deadline=15)
    server.forget()
    clock.waits.clear()
    session._manager.clear()  # type: ignore[union-attr]
    assert session.request("GET", "/a").status_code == 503
    # 4 for the token, 3 to an answer, wait 2, 3 more: 12, wait 2: 14, an answer at 17
    assert len(server.requests) == 3
    assert clock.waits == [2.0, 2.0]


def test_no_request_is_made_when_the_time_is_up(serve: Serve, session_for: SessionFor) -> None:
    clock = ManualClock()

    def source() -> str:
        clock.advance(20)
        return "token"

    server = serve()
    session = session_for(server, TokenManager(CallableTokenSource(source), clock=clock), clock=clock)
    with pytest.raises((ApiTimeoutError, TokenSourceError)) as raised:
        call_api(session, "GET", "/a", timeouts=Timeouts(deadline=15))
    assert getattr(raised.value, "sent", False) is False
    assert server.requests == []


def test_the_read_limit_is_named(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    session = session_for(serve_raw(SLOW["silent"]))
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", timeouts=Timeouts(read=0.05))
    assert (raised.value.limit, raised.value.sent) == ("read", True)
    assert "Timeouts(read=" in str(raised.value)


@pytest.mark.parametrize("name", ["silent", "dripped head"])
@pytest.mark.parametrize(
    ("timeouts", "limit"),
    [
        (Timeouts(first_event=0.1), "first_event"),
        (Timeouts(first_event=None, deadline=0.1), "deadline"),
        (Timeouts(first_event=0.1, deadline=30), "first_event"),
        (Timeouts(first_event=30, deadline=0.1), "deadline"),
    ],
)
def test_limits_of_streams_before_their_head(
    serve_raw: ServeRaw, session_for: SessionFor, name: str, timeouts: Timeouts, limit: str
) -> None:
    session = session_for(serve_raw(SLOW[name]))
    with pytest.raises(StreamTimeoutError) as raised:
        call_api(session, "POST", "/chat/completions", body=b"{}", stream=True, timeouts=timeouts)
    assert (raised.value.limit, raised.value.attempts) == (limit, 1)


def test_the_error_body_of_a_stream_call_ends_by_the_deadline(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    head = b"HTTP/1.1 400 No\r\nContent-Length: 1000\r\n\r\n"
    session = session_for(serve_raw(_after_request(lambda peer: (peer.send(head), peer.drip(b"x")))))
    with pytest.raises(BadRequestError) as raised:
        call_api(session, "POST", "/chat/completions", body=b"{}", stream=True, timeouts=Timeouts(deadline=0.5))
    assert raised.value.status == 400


def test_a_repeated_stream_call_leaves_the_connection_in_peace(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    """The limit of a first attempt must not end the second, which goes over the same connection."""
    event = b"data: 1\n\n"

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer(Answer(401))
        peer.request()
        peer.send(CHUNKED_HEAD + chunked(event))
        for _ in range(15):
            assert not peer.is_gone(0.02)
        peer.send(chunked(event) + b"0\r\n\r\n")
        peer.hold()

    server = serve_raw(script)
    session = session_for(server, Tokens().manager())
    answer = call_api(session, "POST", "/chat/completions", body=b"{}", stream=True, timeouts=Timeouts(first_event=0.2, idle=None))
    body = answer.body_stream()
    got = []
    for piece in body:
        got.append(piece)
        body.event_arrived()
    assert got == [event, event]
    assert server.connections == 1
