"""Calls of the package itself: what is sent, what comes back, and which error a refusal becomes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import requests
from urllib3.exceptions import InsecureRequestWarning

from animus import errors
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import LAST_CHUNK, Answer, HttpServer, Peer, RawServer, chunked, in_turn, unused_port
from tests.transport.tokens import Tokens

pytestmark = pytest.mark.usefixtures("way")

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]


def test_what_is_sent(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server, Tokens().manager())
    call_api(session, "POST", "/chat/completions", body=b'{"a": 1}', params={"b": "2"}, headers={"X-C": "3"})
    call_api(session, "POST", "chat/completions", body=b"{}", stream=True).body_stream().close()
    call_api(session, "GET", f"{server.url}/v2/models")
    whole, streamed, full = server.requests
    assert (whole.method, whole.target, whole.body) == ("POST", "/v3/chat/completions?b=2", b'{"a": 1}')
    assert (whole.header("Content-Type"), whole.header("Accept"), whole.header("X-C")) == ("application/json", "application/json", "3")
    assert (streamed.target, streamed.header("Accept")) == ("/v3/chat/completions", "text/event-stream")
    assert (full.target, full.header("Content-Type"), full.body) == ("/v2/models", None, b"")
    assert {request.header("Authorization") for request in server.requests} == {"Bearer token-1"}


def test_an_accept_of_ones_own(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    call_api(session_for(server), "GET", "/a", headers={"Accept": "image/png"})
    assert server.requests[0].header("Accept") == "image/png"


def test_what_comes_back(serve: Serve, session_for: SessionFor) -> None:
    headers = {"X-Request-Id": "r-1", "Content-Type": "Application/JSON; charset=utf-8"}
    server = serve(in_turn(Answer(503), Answer(201, headers, b"{}")))
    answer = call_api(session_for(server, Tokens().manager(), clock=ManualClock()), "GET", "/a")
    assert (answer.http.status, answer.http.attempts, answer.http.headers["x-request-id"]) == (201, 2, "r-1")
    assert answer.http.elapsed > 0
    assert (answer.request_id, answer.media_type, answer.secrets) == ("r-1", "application/json", ("token-1",))


def test_the_least_that_comes_back(serve: Serve, session_for: SessionFor) -> None:
    answer = call_api(session_for(serve(lambda request: Answer(204))), "GET", "/a")
    assert (answer.request_id, answer.media_type, answer.secrets) == (None, "", ())


@pytest.mark.parametrize(
    ("status", "expected", "attempts"),
    [
        (301, errors.ApiError, 1),
        (304, errors.ApiError, 1),
        (400, errors.BadRequestError, 1),
        (401, errors.UnauthorizedError, 2),
        (402, errors.PaymentRequiredError, 1),
        (403, errors.PermissionDeniedError, 1),
        (404, errors.NotFoundError, 1),
        (409, errors.ConflictError, 1),
        (413, errors.ApiError, 1),
        (422, errors.BadRequestError, 1),
        (429, errors.RateLimitError, 3),
        (500, errors.ServerError, 3),
        (502, errors.ServerError, 1),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals(
    serve: Serve, session_for: SessionFor, status: int, expected: type[errors.ApiError], attempts: int, stream: bool
) -> None:
    body = b'{"detail": [{"loc": ["body"], "msg": "no"}]}'
    server = serve(lambda request: Answer(status, {"Location": "https://elsewhere.test/", "X-Request-Id": "r-1", "Retry-After": "3"}, body))
    session = session_for(server, Tokens().manager(), clock=ManualClock())
    with pytest.raises(errors.ApiError) as raised:
        call_api(session, "POST", "/chat/completions", body=b"{}", stream=stream)
    error = raised.value
    assert type(error) is expected
    assert (error.status, error.request_id, error.attempts, error.retry_after) == (status, "r-1", attempts, 3.0)
    if status != 304:
        assert error.error_data == {"detail": [{"loc": ["body"], "msg": "no"}]}
        assert "body: no" in str(error)
    assert ("api_base_url" in (error.hint or "")) == (status in (301, 304, 401, 404))
    assert isinstance(error.response, requests.Response)
    assert len(server.requests) == attempts
    # nothing is left of the call: the connection is free, and no limit runs on
    session.get("/again", timeout=5, allow_redirects=False)
    assert server.connections == 1
    assert not session._watchdog._guards


def test_a_refused_stream_gives_its_body(serve: Serve, session_for: SessionFor) -> None:
    raw = b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b'{"error": {"mess', b'age": "in pieces"}}') + LAST_CHUNK
    with pytest.raises(errors.BadRequestError, match="in pieces"):
        call_api(session_for(serve(lambda request: raw)), "POST", "/chat/completions", body=b"{}", stream=True)


def test_no_answer(session_for: SessionFor) -> None:
    with pytest.raises(errors.ApiConnectionError) as raised:
        call_api(session_for(f"http://127.0.0.1:{unused_port()}", clock=ManualClock()), "GET", "/a?key=secret")
    assert raised.value.sent is False
    assert "/a could not be reached" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_broken_answer(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1")))
    with pytest.raises(errors.ApiConnectionError) as raised:
        call_api(session_for(server), "POST", "/chat/completions", body=b"{}")
    assert raised.value.sent is True
    assert server.connections == 1


def test_an_impossible_request(session_for: SessionFor) -> None:
    with pytest.raises(errors.ConfigurationError):
        call_api(session_for("http://127.0.0.1:9"), "GET", "http://[/", body=None)


def test_an_untrusted_server(serve: Serve, session_for: SessionFor, authority: Authority) -> None:
    server = serve(tls=authority.server_context())
    with pytest.raises(errors.ApiConnectionError) as raised:
        call_api(session_for(server, Tokens().manager()), "GET", "/a")
    assert (raised.value.sent, raised.value.attempts) == (False, 1)
    assert "session.verify" in str(raised.value)
    assert server.requests == []


def test_calls_may_bring_their_own_limits_and_policy(serve: Serve, session_for: SessionFor) -> None:
    from animus.transport.policy import RetryPolicy

    server = serve(lambda request: Answer(503))
    with pytest.raises(errors.ServerError) as raised:
        call_api(session_for(server, clock=ManualClock()), "GET", "/a", retry=RetryPolicy(repeats=5))
    assert raised.value.attempts == 6


def test_a_call_does_not_reach_into_the_next_request(serve: Serve, session_for: SessionFor) -> None:
    """What belongs to the call alone, such as following no redirect, ends with it, also if it fails early."""
    server = serve(lambda request: Answer(302, {"Location": "/b"}) if request.path == "/v3/a" else Answer(body=b"there"))
    session = session_for(server)
    with pytest.raises(errors.ConfigurationError):
        call_api(session, "GET", "http://[/")
    assert session.get("/a").content == b"there"
    with pytest.raises(errors.ApiError):
        call_api(session, "POST", "/a", body=b"{}")
    assert session.post("/a").content == b"there"


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("POST", b"{}"), ("POST", None), ("DELETE", None), ("PUT", b""), ("PATCH", b"{}")]
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_short_way_and_the_long_way_look_the_same(
    serve: Serve, session_for: SessionFor, method: str, body: bytes | None, stream: bool
) -> None:
    server = serve()
    short, long = session_for(server, Tokens().manager()), session_for(server, Tokens().manager())
    long.cookies.set("a", "1", domain="elsewhere.test")  # a session with cookies prepares as plain requests does
    for session in (short, short, long):
        session.headers["X-Session"] = "1"
        answer = call_api(session, method, "/a%20b?c=d", body=body, headers={"X-Call": "2"}, stream=stream)
        assert b"".join(answer.body_stream()) == b"fine" if stream else answer.response.content == b"fine"
    assert server.requests[0].raw == server.requests[1].raw == server.requests[2].raw


def test_the_short_way_sees_changes(serve: Serve, session_for: SessionFor, monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = serve(), serve()
    session = session_for(server, Tokens().manager())
    seen: list[int] = []

    def call() -> None:
        call_api(session, "GET", "/a")

    call()
    session.headers["X-New"] = "1"
    call()
    del session.headers["X-New"]
    session.cookies.set("c", "1")
    call()
    session.cookies.clear()
    session.params = {"p": "1"}
    call()
    session.params = {}
    session.hooks["response"].append(lambda response, **kwargs: seen.append(response.status_code))
    call()
    session.proxies = {"http": proxy.url}
    call()
    session.proxies = {}
    call()
    assert [request.header("X-New") for request in server.requests[:3]] == [None, "1", None]
    assert [request.header("Cookie") for request in server.requests[:4]] == [None, None, "c=1", None]
    assert [request.target for request in server.requests] == ["/v3/a"] * 3 + ["/v3/a?p=1"] + ["/v3/a"] * 2
    assert [request.target for request in proxy.requests] == [f"{server.url}/v3/a"]
    assert seen == [200, 200, 200]


def test_the_short_way_sees_the_environment(serve: Serve, session_for: SessionFor, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve()
    session = session_for("http://api.example.test/v3", clock=ManualClock())
    with pytest.raises(errors.ApiConnectionError):
        call_api(session, "GET", "/a")
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    call_api(session, "GET", "/a")
    monkeypatch.setenv("NO_PROXY", "api.example.test")
    with pytest.raises(errors.ApiConnectionError):
        call_api(session, "GET", "/a")
    assert [request.target for request in proxy.requests] == ["http://api.example.test/v3/a"]


def test_the_short_way_keeps_tls_settings_apart(
    serve: Serve, session_for: SessionFor, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(tls=authority.server_context())
    session = session_for(server)
    with pytest.warns(InsecureRequestWarning):
        session.get("/a", verify=False)
    for _ in range(2):
        with pytest.raises(errors.ApiConnectionError):
            call_api(session, "GET", "/a")
    session.verify = authority.bundle
    call_api(session, "GET", "/a")
    session.verify = True
    with pytest.raises(errors.ApiConnectionError):
        call_api(session, "GET", "/a")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
    call_api(session, "GET", "/a")


def test_a_call_after_close(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server, Tokens().manager())
    call_api(session, "GET", "/a")
    session.close()
    call_api(session, "GET", "/b")
    session.close()
    assert server.connections == 2


WHOLE: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "until close": b"HTTP/1.1 200 OK\r\n\r\n{",
}


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_whole_answer_to_a_stream_call_that_breaks_off(serve_raw: ServeRaw, session_for: SessionFor, framing: str) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(WHOLE[framing])))
    answer = call_api(session_for(server), "POST", "/chat/completions", body=b"{}", stream=True)
    with pytest.raises(errors.ApiConnectionError) as raised:
        answer.content()
    assert (raised.value.sent, raised.value.attempts) == (True, 1)
    assert isinstance(raised.value.__cause__, requests.RequestException)


@pytest.mark.parametrize("framing", WHOLE)
def test_a_whole_answer_to_a_stream_call_keeps_its_limits(serve_raw: ServeRaw, session_for: SessionFor, framing: str) -> None:
    from animus.http.timeouts import Timeouts

    server = serve_raw(lambda peer: (peer.request(), peer.send(WHOLE[framing]), peer.hold()))
    session = session_for(server)
    with pytest.raises(errors.ApiTimeoutError) as raised:
        call_api(session, "POST", "/a", body=b"{}", stream=True, timeouts=Timeouts(deadline=0.2)).content()
    assert raised.value.limit == "deadline"
    assert not session._watchdog._guards


def test_a_whole_answer_to_a_stream_call(serve: Serve, session_for: SessionFor) -> None:
    session = session_for(serve())
    assert call_api(session, "POST", "/a", body=b"{}", stream=True).content() == b"fine"
    assert call_api(session, "POST", "/a", body=b"{}").content() == b"fine"
    assert not session._watchdog._guards


@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_that_the_server_has_closed_is_not_used(serve_raw: ServeRaw, session_for: SessionFor, stream: bool) -> None:
    closed = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.answer(Answer(body=b"fine"))
        peer.close()
        closed.set()

    server = serve_raw(script)
    session = session_for(server)
    for _ in range(3):
        closed.clear()
        answer = call_api(session, "POST", "/chat/completions", body=b"{}", stream=stream)
        assert answer.content() == b"fine"
        assert answer.http.attempts == 1
        assert closed.wait(10)
    assert server.connections == 3
