"""What is repeated, how often, and after which wait (design §6.3)."""

from __future__ import annotations

import gc
import io
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import requests
import tenacity

from animus._clock import SystemClock
from animus.errors import ApiConnectionError, ApiTimeoutError, ConfigurationError, RateLimitError, ServerError
from animus.testing.clock import ManualClock
from animus.transport import attempts
from animus.transport.api import call_api
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.servers import Answer, HttpServer, Peer, RawServer, in_turn, unused_port
from tests.transport.tokens import fixed

pytestmark = pytest.mark.usefixtures("way")

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]

# method, path, and how many requests are made after: never connected, 429, 503, 500, 408, 502, 504, unanswered
_YES, _NO = 3, 1
_IDEMPOTENT = (_YES,) * 8
_COMPLETION = (_YES, _YES, _YES, _YES, _YES, _NO, _NO, _NO)
_OTHER = (_YES, _YES, _YES, _NO, _NO, _NO, _NO, _NO)
TABLE = {
    ("GET", "/media/categories"): _IDEMPOTENT,
    ("HEAD", "/media/categories"): _IDEMPOTENT,
    ("OPTIONS", "/media/categories"): _IDEMPOTENT,
    ("PUT", "/characters/1"): _IDEMPOTENT,
    ("DELETE", "/characters/1"): _IDEMPOTENT,
    ("POST", "/chat/completions"): _COMPLETION,
    ("POST", "/chat/completions?beta=1"): _COMPLETION,
    ("POST", "/media/completions"): _COMPLETION,
    ("POST", "/generate/image"): _COMPLETION,
    ("POST", "/characters"): _OTHER,
    ("POST", "/chat/completions/1/cancel"): _OTHER,
    ("PATCH", "/characters/1"): _OTHER,
}
TROUBLES = ("never connected", "429", "503", "500", "408", "502", "504", "unanswered")
CELLS = [(*place, trouble, count) for place, counts in TABLE.items() for trouble, count in zip(TROUBLES, counts, strict=True)]


def _requests_made(
    session_for: SessionFor, serve: Serve, serve_raw: ServeRaw, method: str, path: str, trouble: str, **options: Any
) -> int:
    """Count the requests that one call makes when all of them meet the same trouble."""
    server: Any = f"http://127.0.0.1:{unused_port()}"
    if trouble == "unanswered":
        server = serve_raw(lambda peer: (peer.request(), peer.reset()))
    elif trouble.isdecimal():
        server = serve(lambda request: Answer(int(trouble)))
    session = session_for(server, clock=ManualClock(), **options)
    made: list[int] = []
    session.emitter.on("request_start", lambda event: made.append(event.attempt))
    if trouble.isdecimal():
        assert session.request(method, path, data=b"{}").status_code == int(trouble)
        assert len(server.requests) == len(made)
    else:
        with pytest.raises(requests.ConnectionError) as raised:
            session.request(method, path, data=b"{}")
        assert type(raised.value) is requests.ConnectionError
    assert made == list(range(1, len(made) + 1))
    return len(made)


@pytest.mark.parametrize(("method", "path", "trouble", "count"), CELLS)
def test_the_table(
    session_for: SessionFor, serve: Serve, serve_raw: ServeRaw, method: str, path: str, trouble: str, count: int
) -> None:
    assert _requests_made(session_for, serve, serve_raw, method, path, trouble) == count


@pytest.mark.parametrize("policy", [RetryPolicy(repeat_unanswered=True), RetryPolicy(idempotency_header="Idempotency-Key")])
@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(("method", "path"), [("POST", "/chat/completions"), ("POST", "/characters"), ("PATCH", "/characters/1")])
def test_all_is_repeated_if_told_so(
    session_for: SessionFor, serve: Serve, serve_raw: ServeRaw, method: str, path: str, trouble: str, policy: RetryPolicy
) -> None:
    assert _requests_made(session_for, serve, serve_raw, method, path, trouble, retry=policy) == 3


@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_repeats_means_one_request(session_for: SessionFor, serve: Serve, serve_raw: ServeRaw, trouble: str) -> None:
    policy = RetryPolicy(repeats=0, repeat_unanswered=True)
    assert _requests_made(session_for, serve, serve_raw, "GET", "/a", trouble, retry=policy) == 1


@pytest.mark.parametrize("status", [400, 402, 403, 404, 405, 409, 422, 501, 505])
def test_other_statuses_are_not_repeated(session_for: SessionFor, serve: Serve, status: int) -> None:
    assert _requests_made(session_for, serve, serve, "GET", "/a", str(status)) == 1


def test_a_success_ends_it(session_for: SessionFor, serve: Serve) -> None:
    server = serve(in_turn(Answer(503), Answer(429), Answer(body=b"fine")))
    session = session_for(server, clock=ManualClock())
    assert session.post("chat/completions", json={"a": 1}).content == b"fine"
    assert [request.body for request in server.requests] == [b'{"a": 1}'] * 3


def test_only_one_layer_repeats(session_for: SessionFor, serve: Serve) -> None:
    session = session_for(serve())
    for adapter in session.adapters.values():
        assert adapter.max_retries.total == 0  # type: ignore[attr-defined]
        assert adapter.max_retries.read is False or adapter.max_retries.read == 0  # type: ignore[attr-defined]


def test_redirects_and_repeats_share_one_count(session_for: SessionFor, serve: Serve) -> None:
    server = serve(in_turn(Answer(503), Answer(302, {"Location": "/b"}), Answer(503), Answer(503)))
    response = session_for(server, clock=ManualClock()).get("/a")
    assert response.status_code == 503
    assert len(server.requests) == 4


def test_hooks_run_once_on_the_answer_that_counts(session_for: SessionFor, serve: Serve) -> None:
    seen: list[int] = []
    session = session_for(serve(in_turn(Answer(503), Answer(503), Answer(200))), clock=ManualClock())
    session.hooks["response"].append(lambda response, **kwargs: seen.append(response.status_code))
    session.get("/a")
    assert seen == [200]


# ---- bodies ----------------------------------------------------------------------------------------------


def test_files_are_rewound(session_for: SessionFor, serve: Serve) -> None:
    server = serve(in_turn(Answer(503), Answer(200)))
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    assert session_for(server, clock=ManualClock()).put("/a", data=file).ok
    assert [request.body for request in server.requests] == [b"456789"] * 2


class _Pipe(io.BytesIO):
    def tell(self) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("body", [lambda: iter([b"once"]), lambda: _Pipe(b"once")], ids=["generator", "pipe"])
def test_what_cannot_be_rewound_is_not_repeated(session_for: SessionFor, serve: Serve, body: Callable[[], Any]) -> None:
    server = serve(lambda request: Answer(503))
    assert session_for(server, clock=ManualClock()).put("/a", data=body()).status_code == 503
    assert [request.body for request in server.requests] == [b"once"]


# ---- waits -----------------------------------------------------------------------------------------------


def test_waits_double_up_to_the_cap(session_for: SessionFor, serve: Serve) -> None:
    class Largest:
        def uniform(self, low: float, high: float) -> float:
            return high

    clock = ManualClock()
    policy = RetryPolicy(repeats=6, base=0.5, cap=3.0)
    session = session_for(serve(lambda request: Answer(503)), clock=clock, retry=policy, rng=Largest())
    session.get("/a")
    assert clock.waits == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_retry_after_is_obeyed(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock()
    answers = (
        Answer(429, {"Retry-After": "30"}),
        Answer(503, {"Retry-After-Ms": "1500"}),
        Answer(503, {"Retry-After": "Tue, 14 Nov 2023 22:14:19 GMT", "Date": "Tue, 14 Nov 2023 22:13:20 GMT"}),
        Answer(body=b"fine"),
    )
    session = session_for(serve(in_turn(*answers)), clock=clock, retry=RetryPolicy(repeats=3))
    assert session.post("/chat/completions", json={}).ok
    assert clock.waits == [30.0, 1.5, 59.0]


def test_an_absurd_retry_after_is_raised_at_once(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock()
    server = serve(lambda request: Answer(429, {"Retry-After": "1795600060"}))
    with pytest.raises(RateLimitError) as raised:
        call_api(session_for(server, clock=clock), "POST", "/chat/completions", body=b"{}")
    assert raised.value.retry_after == 1795600060.0
    assert raised.value.attempts == 1
    assert clock.waits == []


def test_the_cap_of_retry_after_can_be_set(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock()
    server = serve(in_turn(Answer(503, {"Retry-After": "600"}), Answer()))
    call_api(session_for(server, clock=clock, retry=RetryPolicy(retry_after_cap=600)), "GET", "/a")
    assert clock.waits == [600.0]


def test_there_is_no_wait_that_the_deadline_would_cut(session_for: SessionFor, serve: Serve) -> None:
    from animus.http.timeouts import Timeouts

    clock = ManualClock()
    server = serve(lambda request: Answer(503, {"Retry-After": "20"}))
    with pytest.raises(ServerError):
        call_api(session_for(server, clock=clock), "GET", "/a", timeouts=Timeouts(deadline=30))
    assert clock.waits == [20.0]
    assert len(server.requests) == 2


# ---- budget ----------------------------------------------------------------------------------------------


def test_the_budget_ends_repeats_while_nothing_succeeds(session_for: SessionFor, serve: Serve) -> None:
    server = serve(lambda request: Answer(503))
    session = session_for(server, clock=ManualClock(), retry=RetryPolicy(budget=3))
    for _ in range(5):
        session.get("/a")
    assert len(server.requests) == 5 + 3
    server.reply = lambda request: Answer()
    for _ in range(5):
        session.get("/a")
    server.forget()
    server.reply = lambda request: Answer(503)
    session.get("/a")
    assert len(server.requests) == 2


# ---- idempotency key -------------------------------------------------------------------------------------

KEYED = RetryPolicy(idempotency_header="Idempotency-Key")


def _keys(server: HttpServer) -> list[str | None]:
    return [request.header("Idempotency-Key") for request in server.requests]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_one_key_for_all_attempts_of_a_call(session_for: SessionFor, serve: Serve, method: str) -> None:
    server = serve(in_turn(Answer(502), Answer(503), Answer(), Answer(502), Answer()))
    session = session_for(server, clock=ManualClock(), retry=KEYED)
    for _ in range(2):
        call_api(session, method, "/chat/completions", body=b"{}")
    keys = _keys(server)
    assert len(set(keys[:3])) == 1
    assert len(set(keys[3:])) == 1
    assert keys[0] != keys[3]
    assert all(keys)


def test_the_key_outlasts_a_renewed_token(session_for: SessionFor, serve: Serve) -> None:
    from tests.transport.tokens import Tokens

    server = serve(in_turn(Answer(401), Answer(502), Answer()))
    session_for(server, Tokens().manager(), clock=ManualClock(), retry=KEYED).post("/chat/completions", json={})
    assert len(server.requests) == 3
    assert len(set(_keys(server))) == 1


def test_a_prepared_request_sent_twice_is_two_calls(session_for: SessionFor, serve: Serve) -> None:
    server = serve()
    session = session_for(server, retry=KEYED)
    prepared = session.prepare_request(requests.Request("POST", "/characters", json={}))
    session.send(prepared)
    session.send(prepared)
    assert len(set(_keys(server))) == 2


def test_the_callers_own_key_is_kept(session_for: SessionFor, serve: Serve) -> None:
    server = serve()
    session_for(server, retry=KEYED).post("/characters", headers={"idempotency-key": "mine"})
    assert _keys(server) == ["mine"]


def test_there_is_no_key_unless_told_so(session_for: SessionFor, serve: Serve) -> None:
    server = serve()
    session_for(server).post("/chat/completions", json={})
    session_for(server, retry=KEYED).get("/a")
    assert _keys(server) == [None, None]
    assert not any("idempotency" in name.lower() for request in server.requests for name, _ in request.headers)


@pytest.mark.parametrize("name", ["", " ", "no header", "bad\nname", "ü"])
def test_a_key_needs_a_header_name(name: str) -> None:
    with pytest.raises(ConfigurationError):
        RetryPolicy(idempotency_header=name)


# ---- what surfaces ---------------------------------------------------------------------------------------


def test_the_original_error_surfaces(session_for: SessionFor) -> None:
    session = session_for(f"http://127.0.0.1:{unused_port()}", clock=ManualClock())
    with pytest.raises(requests.ConnectionError) as raised:
        session.post("/a")
    text = "".join(traceback.format_exception(raised.value))
    assert "tenacity" not in text
    assert "_Unsuccessful" not in text
    assert "Connection refused" in text
    with pytest.raises(ApiConnectionError) as wrapped:
        call_api(session, "POST", "/a", body=b"{}")
    assert wrapped.value.attempts == 3
    assert wrapped.value.sent is False
    assert isinstance(wrapped.value.__cause__, requests.ConnectionError)


def test_retry_error_is_never_seen(session_for: SessionFor, serve: Serve, serve_raw: ServeRaw, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("tenacity made a RetryError")

    monkeypatch.setattr(tenacity.RetryError, "__init__", explode)
    for trouble in ("503", "never connected", "unanswered"):
        assert _requests_made(session_for, serve, serve_raw, "GET", "/a", trouble) == 3


def test_failures_leave_nothing_to_the_garbage_collector(session_for: SessionFor, serve: Serve) -> None:
    session = session_for(serve(lambda request: Answer(503)), clock=ManualClock())
    gc.collect()
    gc.disable()
    try:
        session.get("/a")
        kinds = (attempts._Unsuccessful, requests.Response)
        left = [thing for thing in gc.get_objects() if issubclass(type(thing), kinds)]  # isinstance would wake lazy proxies
    finally:
        gc.enable()
    assert left == []


def test_a_success_needs_no_tenacity(serve: Serve) -> None:
    code = f"""
import sys
from animus.transport.session import AnimusSession
with AnimusSession({serve().url!r}) as session:
    assert session.get("a").ok
assert "tenacity" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_interrupts_come_through_a_wait(session_for: SessionFor, serve: Serve) -> None:
    class Interrupted(SystemClock):
        def wait(self, event: threading.Event, timeout: float | None) -> bool:
            raise KeyboardInterrupt

    server = serve(lambda request: Answer(503))
    session = session_for(server, clock=Interrupted())
    with pytest.raises(KeyboardInterrupt):
        session.get("/a")
    assert len(server.requests) == 1
    server.reply = lambda request: Answer()
    assert session.get("/a").ok  # the session is as good as before


def test_interrupts_come_through_an_exchange(session_for: SessionFor, serve: Serve) -> None:
    def interrupt(event: Any) -> None:
        raise KeyboardInterrupt

    session = session_for(serve())
    with session.emitter.on("request_start", interrupt), pytest.raises(KeyboardInterrupt):
        session.get("/a")
    assert session.get("/a").ok


class _Call(threading.Thread):
    """A call in a thread, and how it ended."""

    def __init__(self, session: AnimusSession, **options: Any) -> None:
        super().__init__(daemon=True)
        self._session = session
        self._options = options
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            call_api(self._session, "GET", "/a", **self._options)
        except Exception as error:
            self.error = error

    def ended_with(self) -> Exception | None:
        self.join(10)
        assert not self.is_alive()
        return self.error


@pytest.mark.parametrize("cancellable", [False, True])
def test_closing_ends_a_wait(session_for: SessionFor, serve: Serve, cancellable: bool) -> None:
    clock = ManualClock(auto_advance=False)
    session = session_for(serve(lambda request: Answer(503)), clock=clock)
    call = _Call(session, cancellation=Cancellation() if cancellable else None)
    clock.wait_until_blocked()
    session.close()
    assert isinstance(call.ended_with(), ApiConnectionError)


def test_cancelling_ends_a_wait(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock(auto_advance=False)
    cancellation = Cancellation()
    session = session_for(serve(lambda request: Answer(503)), clock=clock)
    call, other = _Call(session, cancellation=cancellation), _Call(session)
    clock.wait_until_blocked(2)
    cancellation.cancel()
    assert isinstance(call.ended_with(), ApiConnectionError)
    assert other.is_alive()
    session.close()
    other.ended_with()


def test_closing_ends_the_waits_of_sessions_that_share_the_connections(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock(auto_advance=False)
    session = session_for(serve(lambda request: Answer(503)), clock=clock)
    shared = session.sharing(fixed(), session.emitter)
    calls = [_Call(shared), _Call(session)]
    clock.wait_until_blocked(2)
    shared.close()
    calls[0].ended_with()
    assert calls[1].is_alive()
    third = _Call(session.sharing(fixed(), session.emitter))
    clock.wait_until_blocked(2)
    session.close()
    for call in (calls[1], third):
        assert isinstance(call.ended_with(), ApiConnectionError)


@pytest.mark.parametrize("phase", ["handshake", "head", "body"])
def test_cancelling_ends_an_exchange(session_for: SessionFor, serve_raw: ServeRaw, phase: str) -> None:
    arrived = threading.Event()

    def script(peer: Peer) -> None:
        if phase == "handshake":
            peer.read_exactly(1)
        else:
            peer.request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + (b"\r\n" if phase == "body" else b""))
        arrived.set()
        peer.hold()

    server = serve_raw(script)
    cancellation = Cancellation()
    url = server.url if phase != "handshake" else server.url.replace("http:", "https:")
    call = _Call(session_for(url), cancellation=cancellation)
    assert arrived.wait(10)
    cancellation.cancel()
    assert isinstance(call.ended_with(), ApiConnectionError)
    assert server.connections == 1


def test_a_cancelled_call_is_not_begun(session_for: SessionFor, serve: Serve) -> None:
    server = serve()
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(ApiConnectionError):
        call_api(session_for(server), "GET", "/a", cancellation=cancellation)
    assert server.requests == []


# ---- events ----------------------------------------------------------------------------------------------


def test_every_attempt_is_told_of(session_for: SessionFor, serve: Serve) -> None:
    clock = ManualClock()
    session = session_for(serve(in_turn(Answer(503, {"Retry-After": "3"}), Answer(200))), clock=clock)
    events: list[Any] = []
    for name in ("request_start", "request_retry", "request_complete"):
        session.emitter.on(name, events.append)
    session.post("/chat/completions?key=secret", json={})
    assert [event.name for event in events] == ["request_start", "request_complete", "request_retry", "request_start", "request_complete"]
    assert {event.path for event in events} == {"/v3/chat/completions"}
    assert [event.attempt for event in events] == [1, 1, 1, 2, 2]
    assert (events[1].status, events[2].status, events[2].wait, events[4].status) == (503, 503, 3.0, 200)


def test_who_begins_to_listen_during_an_attempt_hears_its_end(session_for: SessionFor, serve: Serve) -> None:
    events: list[Any] = []

    def answer(request: Any) -> Answer:
        session.emitter.on("request_complete", events.append)
        return Answer(200)

    session = session_for(serve(answer))
    session.get("/a")
    assert [(event.status, event.attempt) for event in events] == [(200, 1)]
    assert events[0].elapsed > 0


def test_who_begins_to_listen_during_an_attempt_hears_of_its_failure(session_for: SessionFor, serve: Serve) -> None:
    events: list[Any] = []

    def answer(request: Any) -> Answer:
        session.emitter.on("request_complete", events.append)
        return Answer(500)

    session = session_for(serve(answer), retry=RetryPolicy(repeats=0))
    session.get("/a")
    assert [event.status for event in events] == [500]


def test_failures_are_told_of(session_for: SessionFor) -> None:
    session = session_for(f"http://127.0.0.1:{unused_port()}", retry=RetryPolicy(repeats=0))
    events: list[Any] = []
    session.emitter.on("request_complete", events.append)
    with pytest.raises(requests.ConnectionError) as raised:
        session.get("/a")
    assert events[0].status is None
    assert events[0].error is raised.value


def test_time_outs_say_that_nothing_was_sent(session_for: SessionFor, full_backlog: str) -> None:
    from animus.http.timeouts import Timeouts

    session = session_for(full_backlog, clock=ManualClock())
    with pytest.raises(ApiTimeoutError) as raised:
        call_api(session, "POST", "/chat/completions", body=b"{}", timeouts=Timeouts(connect=0.05))
    assert (raised.value.limit, raised.value.sent, raised.value.attempts) == ("connect", False, 3)
