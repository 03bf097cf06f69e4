"""A canary goes through every path; nothing that leaves as text, log or pickle may show it."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from animus.errors import AnimusError, ApiError
from animus.http.timeouts import Timeouts
from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.bearer import BearerValue, carried_token
from animus.transport.session import AnimusSession
from tests.servers import CHUNKED_HEAD, Answer, HttpServer, Peer, RawServer, Received, chunked, unused_port
from tests.tokens.minting import mint

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]

TOKEN = mint(4_000_000_000.0)
SIGNATURE = TOKEN.rpartition(".")[2]
OPAQUE = "opaque-canary-0123456789abcdef"


def _echo(request: Received) -> bytes:
    token = (request.header("Authorization") or "").removeprefix("Bearer ")
    return json.dumps({"message": f"bad token {token}", "detail": token, "seen": [TOKEN, f"Bearer {token}"], token: 1}).encode()


def _assert_hidden(text: str) -> None:
    assert TOKEN not in text
    assert OPAQUE not in text
    parts = [SIGNATURE[start : start + 12] for start in range(len(SIGNATURE) - 11)]
    assert not any(part in text for part in parts)


@pytest.fixture(autouse=True)
def no_log_shows_it(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    for record in caplog.records:
        _assert_hidden(record.getMessage() + (record.exc_text or "") + repr(record.args))
        if record.exc_info:
            _assert_hidden("".join(traceback.format_exception(*record.exc_info)))


@pytest.fixture(params=[TOKEN, OPAQUE], ids=["jwt", "opaque"])
def token(request: pytest.FixtureRequest) -> str:
    token: str = request.param
    return token


@pytest.fixture
def ours(session_for: SessionFor, token: str) -> Callable[..., AnimusSession]:
    """Make sessions that send the canary, renewed by one that is as secret."""

    def ours(server: Any, **options: Any) -> AnimusSession:
        answers = [token, f"{token}x"]
        source = CallableTokenSource(lambda: answers.pop(0) if len(answers) > 1 else answers[0])
        return session_for(server, TokenManager(source), clock=ManualClock(), **options)

    return ours


def _everything(error: BaseException) -> Iterator[str]:
    """Give all text that an exception leads to, with what it wraps, and the requests and responses on them."""
    yield "".join(traceback.format_exception(error))
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        link = waiting.pop()
        if id(link) in seen or not isinstance(link, BaseException):
            continue
        seen.add(id(link))
        yield from (str(link), repr(link), repr(link.args), repr(vars(link)))
        waiting += [link.__cause__, link.__context__, *link.args, getattr(link, "reason", None)]
        response = getattr(link, "response", None)
        if response is not None:
            yield from (response.text, repr(response.headers))
        answers = [] if response is None else [response, *response.history]
        for request in (getattr(link, "request", None), *(answer.request for answer in answers)):
            if request is not None:
                yield repr(dict(request.headers))
                yield str({name: str(value) for name, value in request.headers.items()})
    try:
        yield pickle.dumps(error).decode("latin-1")
    except (TypeError, AttributeError):
        assert not isinstance(error, AnimusError)


def _assert_error_hides(error: BaseException) -> None:
    for text in _everything(error):
        _assert_hidden(text)


STATUSES = [301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 503]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_of_an_api_that_echoes(serve: Serve, ours: Callable[..., AnimusSession], status: int, stream: bool) -> None:
    def reply(request: Received) -> Answer:
        return Answer(status, {"Location": f"/x?t={TOKEN}", "X-Echo": request.header("Authorization") or ""}, _echo(request))

    server = serve(reply)
    with pytest.raises(ApiError) as raised:
        call_api(ours(server), "POST", "/chat/completions", body=b"{}", stream=stream)
    assert server.requests[0].header("Authorization") in (f"Bearer {TOKEN}", f"Bearer {OPAQUE}")
    _assert_error_hides(raised.value)


@pytest.mark.parametrize("form", ["%s", "no: %s", "<p>%s</p>", '"%s"', "%s \xff"])
def test_errors_with_a_text_body(serve: Serve, ours: Callable[..., AnimusSession], form: str, token: str) -> None:
    server = serve(lambda request: Answer(403, body=(form % token).encode("latin-1")))
    with pytest.raises(ApiError) as raised:
        call_api(ours(server), "GET", "/a")
    _assert_error_hides(raised.value)


def _hang(peer: Peer) -> None:
    peer.request()
    peer.hold()


BROKEN: dict[str, Callable[[Peer], Any]] = {
    "reset": lambda peer: (peer.request(), peer.reset()),
    "ended": lambda peer: peer.request(),
    "no HTTP": lambda peer: (peer.request(), peer.send(b"what?\r\n\r\n")),
    "half a body": lambda peer: (peer.request(), peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n1")),
    "time-out": _hang,
    "endless redirect": lambda peer: _redirect_for_ever(peer),
}


def _redirect_for_ever(peer: Peer) -> None:
    while True:
        peer.request()
        peer.answer(Answer(307, {"Location": "/v3/a"}))


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("limit", ["read", "deadline"])
def test_errors_without_an_answer(
    serve_raw: ServeRaw, ours: Callable[..., AnimusSession], script: Callable[[Peer], Any], stream: bool, limit: str
) -> None:
    timeouts = Timeouts(**{limit: 0.05 if script is _hang else 30})
    with pytest.raises(AnimusError) as raised:
        answer = call_api(ours(serve_raw(script)), "POST", "/a", body=b"{}", stream=stream, timeouts=timeouts)
        list(answer.body_stream())
    _assert_error_hides(raised.value)


def test_a_server_that_is_not_there(ours: Callable[..., AnimusSession]) -> None:
    with pytest.raises(AnimusError) as raised:
        call_api(ours(f"http://127.0.0.1:{unused_port()}"), "GET", "/a")
    _assert_error_hides(raised.value)


def test_a_stream_that_breaks_off(serve_raw: ServeRaw, ours: Callable[..., AnimusSession]) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(CHUNKED_HEAD + chunked(b"data: 1\n\n")), peer.reset()))
    with pytest.raises(AnimusError) as raised:
        list(call_api(ours(server), "POST", "/chat/completions", body=b"{}", stream=True).body_stream())
    _assert_error_hides(raised.value)


def test_an_error_frame_in_a_stream(serve: Serve, ours: Callable[..., AnimusSession]) -> None:
    from animus.resources.completions import complete

    frame = b'data: {"error": {"message": "bad token %s"}}\n\n' % TOKEN.encode()
    server = serve(lambda request: CHUNKED_HEAD + chunked(frame) + b"0\r\n\r\n")
    with pytest.raises(AnimusError) as raised, complete(ours(server), {"stream": True}, stream=True) as stream:
        list(stream)
    _assert_error_hides(raised.value)


def test_what_the_session_raises_shows_no_text(serve_raw: ServeRaw, ours: Callable[..., AnimusSession]) -> None:
    """Its exceptions are those of requests: their request has its header, which only shows when it is asked for."""
    session = ours(serve_raw(BROKEN["reset"]))
    with pytest.raises(requests.ConnectionError) as raised:
        session.post("/a", json={})
    _assert_hidden("".join(traceback.format_exception(raised.value)))
    _assert_hidden(repr(vars(raised.value)) + repr(raised.value.request.headers) + str(raised.value.request.headers))  # type: ignore[union-attr]


def test_headers_do_not_show_it(serve: Serve, ours: Callable[..., AnimusSession]) -> None:
    session = ours(serve())
    response = session.get("/a")
    headers = response.request.headers
    _assert_hidden(f"{headers} {headers!r} {dict(headers)} {list(headers.items())} {headers['Authorization']!r}")
    _assert_hidden(f"{vars(response.request)} {vars(session)} {session!r} {session.auth!r} {session.auth.__dict__}")  # type: ignore[union-attr]
    assert (carried_token(response.request) or "") in (TOKEN, OPAQUE)


def test_local_variables_of_our_frames_do_not_show_it(serve_raw: ServeRaw, ours: Callable[..., AnimusSession]) -> None:
    """Error reporters print the local variables of each frame."""
    with pytest.raises(AnimusError) as raised:
        call_api(ours(serve_raw(BROKEN["half a body"])), "POST", "/a", body=b"{}")
    report = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    for line in report.format():
        if "/animus/" in line or "\\animus\\" in line:
            _assert_hidden(line)


def test_pickles_and_copies_do_not_have_it(serve: Serve, ours: Callable[..., AnimusSession]) -> None:
    session = ours(serve())
    response = session.get("/a")
    for thing in (response, response.request):
        _assert_hidden(pickle.dumps(thing).decode("latin-1"))
        travelled = pickle.loads(pickle.dumps(thing))
        headers = getattr(travelled, "request", travelled).headers
        assert headers["Authorization"] == "Bearer [redacted]"
        assert isinstance(headers["Authorization"], BearerValue)
    same = copy.deepcopy(response.request)
    assert same.headers["Authorization"] == response.request.headers["Authorization"]


def test_a_prepared_request_that_travelled_gets_a_token_again(serve: Serve, ours: Callable[..., AnimusSession]) -> None:
    server = serve()
    session = ours(server)
    prepared = pickle.loads(pickle.dumps(session.prepare_request(requests.Request("GET", "/a"))))
    assert session.send(prepared).ok
    assert server.requests[0].header("Authorization") in (f"Bearer {TOKEN}", f"Bearer {OPAQUE}")


def test_events_do_not_have_it(serve: Serve, ours: Callable[..., AnimusSession]) -> None:
    session = ours(serve(lambda request: Answer(401, body=_echo(request))))
    told = io.StringIO()
    for name in ("request_start", "request_retry", "request_complete"):
        session.emitter.on(name, lambda event: print(event, file=told))
    session.get(f"/a?token={TOKEN}")
    _assert_hidden(told.getvalue())
    assert told.getvalue().count("RequestComplete") == 2
