from __future__ import annotations

import threading

import pytest
import requests

from animus import _fork
from animus.emulator import Emulator, RecordedRequest, Recording
from animus.emulator.recording import RecordedHeaders, path_matches
from tests.emulator.caller import CHAT, Caller


def test_everything_of_a_request_is_there(emulator: Emulator) -> None:
    requests.post(f"{emulator.url}/v3/no%20such?a=1&b=2", data=b"\xff\x00", headers={"X-One": "1", "Cookie": "a=b; c=d=e"}, timeout=20)
    [request] = emulator.requests
    assert (request.number, request.method, request.path, request.query) == (1, "POST", "/v3/no such", "a=1&b=2")
    assert (request.body, request.json, request.kind, request.status) == (b"\xff\x00", None, "api", 404)
    assert request.headers["x-one"] == "1"
    assert request.cookies == {"a": "b", "c": "d=e"}
    assert request.request_id == "req-000001"


def test_json_is_decoded(caller: Caller, emulator: Emulator) -> None:
    caller.chat("Hi")
    assert emulator.requests[0].json["messages"] == [{"role": "user", "content": "Hi"}]


def test_kinds(caller: Caller, emulator: Emulator) -> None:
    for method, path in (
        ("POST", "/token"),
        ("GET", "/auth/generate-token"),
        ("GET", "/v2/x"),
        ("GET", "/images/x"),
        ("OPTIONS", "/v3/x"),
        ("GET", "/tokens"),
    ):
        requests.request(method, emulator.url + path, timeout=20)
    assert [request.kind for request in emulator.requests] == ["token", "auth", "api", "image", "preflight", "other"]


def test_counting_and_choosing(caller: Caller, emulator: Emulator) -> None:
    requests.post(emulator.token_url, timeout=20)
    caller.chat()
    caller.chat(n=0)
    recording = emulator.requests
    assert (recording.count(), recording.count("api"), recording.count(path=CHAT), recording.count(kind="token")) == (3, 2, 2, 1)
    assert (recording.count("api", status=422), recording.count(method="post"), recording.count(user="user")) == (1, 3, 3)
    assert recording.last("api") is recording[-1] is list(recording)[2] is recording[1:][1]
    recording.clear()
    assert len(recording) == 0
    with pytest.raises(LookupError):
        recording.last()


def test_connections_are_told_apart(caller: Caller, emulator: Emulator) -> None:
    caller.chat()
    caller.chat()
    requests.get(emulator.url, timeout=20)
    first, second, third = emulator.requests
    assert first.connection == second.connection != third.connection


def test_no_secret_is_shown(caller: Caller, emulator: Emulator) -> None:
    token = caller.session.headers["Authorization"]
    caller.session.headers.update({"apikey": "sesame-1234", "Cookie": "sid=sesame-1234", "X-Plain": "plain"})
    caller.session.post(f"{emulator.api_base_url}{CHAT}?key=sesame-1234", json={"secret": "sesame-1234"}, timeout=20)
    [request] = emulator.requests
    shown = f"{request!r} {request} {emulator.requests!r} {request.headers!r} {request.cookies!r} {emulator!r} {emulator.tokens!r}"
    assert str(token).split()[1] not in shown
    assert "sesame" not in shown
    assert emulator.api_key not in shown
    assert "'Bearer [redacted]'" in shown
    assert "plain" in shown
    assert request.headers["Authorization"] == token


def test_waiting_for_requests(emulator: Emulator) -> None:
    threads = [threading.Thread(target=lambda: requests.post(emulator.token_url, timeout=20)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert len(emulator.requests.wait_for(3, "token")) == 3
    for thread in threads:
        thread.join()
    emulator.requests.wait_until_idle()
    assert all(request.finished for request in emulator.requests)


def test_waiting_in_vain_is_an_error() -> None:
    recording = Recording()
    with pytest.raises(TimeoutError, match="0 requests came, not 1"):
        recording.wait_for(1, timeout=0.01)
    recording.add(request())
    with pytest.raises(TimeoutError, match="1 requests are not finished"):
        recording.wait_until_idle(timeout=0.01)


def request(number: int = 1) -> RecordedRequest:
    return RecordedRequest(number, "GET", "/", "", RecordedHeaders([]), b"", "other", 1, 0.0, "req")


def test_only_the_newest_are_kept() -> None:
    recording = Recording(limit=2)
    for number in range(4):
        recording.add(request(number))
    assert [kept.number for kept in recording] == [2, 3]


def test_headers_of_one_name_are_joined() -> None:
    headers = RecordedHeaders([("Accept", "a"), ("accept", "b"), ("X", "c")])
    assert headers["ACCEPT"] == "a, b"
    assert ("accept" in headers, "b" in headers, 1 in headers, len(headers)) == (True, False, False, 2)
    assert repr(headers) == "RecordedHeaders({'accept': 'a, b', 'X': 'c'})"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/token", "/token", True),
        ("/chat/completions", "/v3/chat/completions", True),
        ("/completions", "/v3/chat/completions", True),
        ("completions", "/v3/chat/completions", False),
        ("/chat", "/v3/chat/completions", False),
        ("/", "/", True),
        ("/", "/x/", False),
    ],
)
def test_paths_match_by_their_end(pattern: str, path: str, expected: bool) -> None:
    assert path_matches(pattern, path) is expected


def test_callback_gets_every_finished_request() -> None:
    seen: list[RecordedRequest] = []
    with Emulator(on_request=seen.append) as emulator:
        requests.post(emulator.token_url, timeout=20)
        emulator.requests.wait_until_idle()
    assert [(request.path, request.status, request.finished) for request in seen] == [("/token", 200, True)]


def test_locks_are_new_after_a_fork() -> None:
    recording = Recording()
    assert any(thing is recording for thing in _fork.registered())
    recording._changed.acquire()
    recording._reset_after_fork()
    recording.clear()
