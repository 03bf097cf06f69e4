"""Other people's tools find us where they find plain requests: responses, requests-mock, vcrpy, OpenTelemetry."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import responses
import vcr
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from animus.errors import ServerError
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.servers import LAST_CHUNK, Answer, HttpServer, chunked, in_turn
from tests.transport.tokens import CANARY, Tokens, fixed

API = "https://api.animus.test/v3"
CHAT = f"{API}/chat/completions"
Serve = Callable[..., HttpServer]

# vcrpy drops the sockets it records from without closing them
pytestmark = [pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), pytest.mark.usefixtures("way", "few_objects")]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Have what a test drops collected before the next one, which would be blamed for it."""
    yield
    gc.collect()



@pytest.fixture
def ours(session_for: Callable[..., AnimusSession]) -> AnimusSession:
    return session_for(API, Tokens().manager(), clock=ManualClock())


class Platform:
    """Answers 503, then 401, then 200, and notes the tokens: doubles keep the request itself, which goes on changing."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def status(self, request: Any) -> int:
        self.tokens.append(str(request.headers["Authorization"]))
        return [503, 401, 200][len(self.tokens) - 1]

    def assert_renewed(self) -> None:
        assert self.tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


# ---- responses -------------------------------------------------------------------------------------------


def test_responses_intercepts(ours: AnimusSession) -> None:
    platform = Platform()
    with responses.RequestsMock() as mock:
        mock.add_callback("POST", CHAT, lambda request: (platform.status(request), {}, '{"ok": true}'))
        assert ours.post("chat/completions", json={}).json() == {"ok": True}
        assert len(mock.calls) == 3
    platform.assert_renewed()


def test_responses_gives_failures(ours: AnimusSession) -> None:
    with responses.RequestsMock() as mock:
        mock.get(CHAT, body=requests.ConnectionError("out of order"))
        mock.get(CHAT, json={})
        assert ours.get(CHAT).ok
        with pytest.raises(requests.ConnectionError):
            ours.get(f"{API}/not-registered")


def test_responses_gives_streams(ours: AnimusSession) -> None:
    with responses.RequestsMock() as mock:
        mock.post(CHAT, body=b"data: 1\n\ndata: 2\n\n", content_type="text/event-stream")
        body = call_api(ours, "POST", "chat/completions", body=b"{}", stream=True).body_stream()
        assert b"".join(body) == b"data: 1\n\ndata: 2\n\n"
        body.finish()


# ---- requests-mock ---------------------------------------------------------------------------------------


def test_requests_mock_intercepts(ours: AnimusSession) -> None:
    platform = Platform()

    def answer(request: Any, context: Any) -> Any:
        context.status_code = platform.status(request)
        return {"ok": True}

    with requests_mock.Mocker() as mock:
        mock.post(CHAT, json=answer)
        assert ours.post("chat/completions", json={}).json() == {"ok": True}
        assert mock.call_count == 3
    platform.assert_renewed()


def test_requests_mock_can_be_mounted(ours: AnimusSession) -> None:
    adapter = requests_mock.Adapter()
    ours.mount("mock://", adapter)
    adapter.register_uri("GET", "mock://api.test/a", text="mocked")
    assert ours.get("mock://api.test/a").text == "mocked"


def test_requests_mock_gives_failures_and_streams(ours: AnimusSession) -> None:
    with requests_mock.Mocker() as mock:
        mock.post(CHAT, [{"exc": requests.ConnectTimeout}, {"content": b"data: 1\n\n"}])
        answer = call_api(ours, "POST", "chat/completions", body=b"{}", stream=True)
        assert list(answer.body_stream()) == [b"data: 1\n\n"]
        assert answer.http.attempts == 2


# ---- vcrpy -----------------------------------------------------------------------------------------------


def test_vcrpy_records_and_plays(serve: Serve, session_for: Callable[..., AnimusSession], tmp_path: Path) -> None:
    server = serve(in_turn(Answer(503), Answer(200, {"Content-Type": "application/json"}, b'{"n": 1}')))
    recorder = vcr.VCR(filter_headers=["authorization"], record_mode="once")
    cassette = str(tmp_path / "cassette.yaml")
    seen: list[Any] = []
    for _ in range(2):
        session = session_for(server, fixed(), clock=ManualClock())
        with recorder.use_cassette(cassette):
            seen.append((session.post("chat/completions", json={}).json(), session.get("a").json()))
    assert seen[0] == seen[1] == ({"n": 1}, {"n": 1})
    assert len(server.requests) == 3
    assert server.requests[0].header("Authorization") == f"Bearer {CANARY}"
    assert CANARY not in Path(cassette).read_text()


def test_vcrpy_sees_our_header_as_any_other(serve: Serve, session_for: Callable[..., AnimusSession], tmp_path: Path) -> None:
    server = serve()
    session = session_for(server, fixed())
    with vcr.VCR().use_cassette(str(tmp_path / "cassette.yaml")) as cassette:
        session.get("a")
        assert cassette.requests[0].headers["Authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_vcrpy_plays_streams(serve: Serve, session_for: Callable[..., AnimusSession], tmp_path: Path, framing: str) -> None:
    events = b"data: 1\n\ndata: 2\n\n"
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(events) + LAST_CHUNK
    server = serve(lambda request: raw if framing == "chunked" else Answer(body=events))
    session = session_for(server, fixed())
    for _ in range(2):
        with vcr.VCR().use_cassette(str(tmp_path / "cassette.yaml")):
            answer = call_api(session, "POST", "chat/completions", body=b"{}", stream=True)
            assert b"".join(answer.body_stream()) == events
    assert len(server.requests) == 1


def test_after_a_cassette_all_is_as_before(serve: Serve, session_for: Callable[..., AnimusSession], tmp_path: Path) -> None:
    server = serve()
    session = session_for(server)
    session.get("a")
    with vcr.VCR().use_cassette(str(tmp_path / "cassette.yaml")):
        session.get("b")
    session.get("c")
    pool = session.get_adapter(server.url).poolmanager.connection_from_url(server.url)  # type: ignore[attr-defined]
    assert pool.ConnectionCls.__name__ == "GuardedHTTPConnection"
    assert [request.path for request in server.requests] == ["/v3/a", "/v3/b", "/v3/c"]


def test_the_package_may_be_imported_under_a_cassette(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    code = f"""
import vcr
with vcr.VCR().use_cassette({str(tmp_path / "cassette.yaml")!r}):
    from animus.transport.session import AnimusSession
    session = AnimusSession({server.url!r})
    session.get("a")
session.get("b")
with vcr.VCR().use_cassette({str(tmp_path / "cassette.yaml")!r}):
    session.get("a")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert [request.path for request in server.requests] == ["/a", "/b"]


# ---- OpenTelemetry ---------------------------------------------------------------------------------------


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    yield exporter
    instrumentor.uninstrument()
    provider.shutdown()


def test_opentelemetry_sees_every_attempt(serve: Serve, session_for: Callable[..., AnimusSession], spans: InMemorySpanExporter) -> None:
    server = serve(in_turn(Answer(503), Answer(401), Answer(302, {"Location": "/b"}), Answer(body=b"fine")))
    session = session_for(server, Tokens(CANARY).manager(), clock=ManualClock())
    assert session.get("/a").content == b"fine"
    finished = spans.get_finished_spans()
    assert [dict(span.attributes or {}).get("http.status_code") for span in finished] == [503, 401, 302, 200]
    headers = [request.header("traceparent") for request in server.requests]
    assert all(headers)
    assert len(set(headers)) == 4
    assert CANARY not in "".join(span.to_json() for span in finished)


def test_opentelemetry_sees_resource_calls(serve: Serve, session_for: Callable[..., AnimusSession], spans: InMemorySpanExporter) -> None:
    server = serve(lambda request: Answer(502))
    with pytest.raises(ServerError):
        call_api(session_for(server), "POST", "chat/completions", body=b"{}")
    assert len(spans.get_finished_spans()) == 1


def test_a_patched_send_is_called(ours: AnimusSession, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(self: requests.Session, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.url, response._content = 200, request.url or "", b"patched"
        return response

    monkeypatch.setattr(requests.Session, "send", send)
    assert ours.get("a").content == b"patched"


def test_retries_of_zero_through_doubles(session_for: Callable[..., AnimusSession]) -> None:
    session = session_for(API, retry=RetryPolicy(repeats=0))
    with responses.RequestsMock() as mock:
        mock.get(CHAT, status=503)
        assert session.get(CHAT).status_code == 503
        assert len(mock.calls) == 1
