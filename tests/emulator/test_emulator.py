from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

import animus
from animus import _fork
from animus.emulator import Emulator, RecordedRequest, serve
from animus.errors import ConfigurationError
from tests.emulator.caller import CHAT, Caller


def test_addresses(emulator: Emulator) -> None:
    assert emulator.url.startswith("http://127.0.0.1:")
    assert emulator.api_base_url == f"{emulator.url}/v3"
    assert emulator.rest_base_url == f"{emulator.url}/v2"
    assert requests.get(emulator.url, timeout=20).json()["status"] == "ok"
    assert repr(emulator) == f"<Emulator {emulator.url}, 1 requests>"


def test_it_has_no_address_unless_it_runs() -> None:
    with pytest.raises(ConfigurationError, match="not running"):
        _ = Emulator().url
    assert "not running" in repr(Emulator())


def test_it_can_start_again() -> None:
    emulator = Emulator()
    for _ in range(2):
        assert emulator.start() is emulator.start()
        assert requests.get(emulator.url, timeout=20).status_code == 200
        emulator.close()
    emulator.close()


def test_every_address_can_be_served() -> None:
    with Emulator(host="0.0.0.0") as emulator:
        assert requests.get(emulator.url, timeout=20).status_code == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    try:
        emulator = Emulator(host="::1").start()
    except ConfigurationError:
        pytest.skip("no IPv6 loopback here")
    with emulator:
        assert emulator.url.startswith("http://[::1]:")
        assert requests.get(emulator.url, timeout=20).status_code == 200


def test_port_in_use_is_told(emulator: Emulator) -> None:
    port = int(emulator.url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=f"port {port}.*another port"):
        Emulator(port=port).start()


def emulator_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("animus-emulator")]


def test_nothing_is_left_after_close() -> None:
    before = set(emulator_threads())
    with Emulator() as emulator:
        emulator.arm(delay=60, kind="token")
        failures: list[Exception] = []

        def fetch() -> None:
            try:
                requests.post(emulator.token_url, timeout=20)
            except requests.ConnectionError as error:
                failures.append(error)

        stuck = threading.Thread(target=fetch)
        stuck.start()
        with requests.Session() as session:
            assert session.get(emulator.url, timeout=20).status_code == 200  # its connection stays open
            emulator.requests.wait_for(1, "token")
            url = emulator.url
            emulator.close()
    stuck.join(10)
    assert len(failures) == 1
    assert set(emulator_threads()) == before
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=20)


def test_threads_are_daemons(emulator: Emulator) -> None:
    with requests.Session() as session:
        session.get(emulator.url, timeout=20)
        assert all(thread.daemon for thread in emulator_threads())


def test_dropped_connections_are_made_anew(emulator: Emulator, caller: Caller) -> None:
    caller.chat()
    emulator.drop_connections()
    caller.chat()
    assert len({request.connection for request in emulator.requests}) == 2


def test_a_storm_is_served(emulator: Emulator) -> None:
    barrier = threading.Barrier(100)
    statuses: list[int] = []

    def fetch() -> None:
        barrier.wait()
        statuses.append(requests.post(emulator.token_url, timeout=20).status_code)

    threads = [threading.Thread(target=fetch) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 100
    assert (emulator.requests.count("token"), emulator.tokens.issued) == (100, 100)
    assert len({request.number for request in emulator.requests}) == 100


def test_reset_makes_it_as_new(emulator: Emulator, caller: Caller) -> None:
    emulator.token_shape, emulator.token_status, emulator.error_style, emulator.chunk_delay = "flat", 500, "error", 1.0
    emulator.require_user = {"X": "y"}
    emulator.arm(status=500, times=None)
    emulator.script(["x"], strict=True)
    caller.chat()
    emulator.reset()
    assert set(requests.post(emulator.token_url, timeout=20).json()) == {"accessToken", "animus", "livekit"}
    assert caller.chat().status_code == 401
    assert [request.number for request in emulator.requests] == [1, 2]
    assert Caller(emulator).chat().json()["id"] == "chat-0001"
    assert (emulator.answers.left, emulator.answers.strict) == (0, False)


def test_what_is_not_there_is_404(emulator: Emulator, caller: Caller) -> None:
    for method, path in (("GET", "/v3/characters"), ("POST", "/v3/media/nothing"), ("GET", "/v1/x"), ("GET", "/images")):
        response = requests.request(method, emulator.url + path, timeout=20)
        assert (response.status_code, response.json()) == (404, {"detail": "Not Found"})


def test_wrong_method_is_405(emulator: Emulator) -> None:
    response = requests.get(f"{emulator.api_base_url}{CHAT}", timeout=20)
    assert (response.status_code, response.json()) == (405, {"detail": "Method Not Allowed"})
    assert "POST" in response.headers["Allow"]


def test_every_answer_has_a_request_id(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=500, path="/v3/x")
    answers = [caller.chat(), caller.chat(stream=True), caller.post("/x"), caller.post("/y"), requests.post(emulator.token_url, timeout=20)]
    assert [answer.headers["X-Request-Id"] for answer in answers] == [request.request_id for request in emulator.requests]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 5


def test_browsers_may_call(emulator: Emulator) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    preflight = requests.options(f"{emulator.api_base_url}{CHAT}", headers=asked, timeout=20)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    emulator.arm(status=500)
    failed = requests.get(emulator.url, headers={"Origin": "https://app.example"}, timeout=20)
    assert failed.headers["Access-Control-Allow-Credentials"] == "true"
    assert requests.get(emulator.url, timeout=20).headers["Access-Control-Allow-Origin"] == "*"


def exchange(emulator: Emulator, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])), timeout=20) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        received = b""
        while piece := sock.recv(65536):
            received += piece
        return received


def test_http_1_0_is_closed_at_the_end(emulator: Emulator, caller: Caller) -> None:
    body = b'{"messages": [{"role": "user", "content": "Hi"}], "stream": true}'
    head = f"POST /v3{CHAT} HTTP/1.0\r\nAuthorization: Bearer {emulator.api_key}\r\nContent-Length: {len(body)}\r\n\r\n"
    received = exchange(emulator, head.encode() + body)
    assert b"Transfer-Encoding" not in received
    assert b"Connection: close\r\n" in received
    assert received.endswith(b"data: [DONE]\n\n")


def test_http_1_0_can_keep_the_connection(emulator: Emulator) -> None:
    received = exchange(emulator, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2)
    assert received.count(b"Connection: keep-alive\r\n") == 2


def test_requests_may_come_in_chunks(emulator: Emulator) -> None:
    head = f"POST /v3{CHAT} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.api_key}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    received = exchange(emulator, head + b'2;x=y\r\n{"\r\n3\r\na":\r\n2\r\n1}\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n')
    assert emulator.requests[0].json == {"a": 1}
    assert received.count(b"HTTP/1.1 ") == 2


def test_head_has_no_body(emulator: Emulator) -> None:
    received = exchange(emulator, b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.endswith(b"\r\n\r\n")
    assert b"Content-Length: " in received


def test_client_may_wait_for_100_continue(emulator: Emulator) -> None:
    received = exchange(emulator, b"POST /token HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"400"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
    ],
)
def test_what_is_no_http_is_refused(emulator: Emulator, data: bytes, status: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):  # it may be closed with something unread
        assert b" " + status + b" " in exchange(emulator, data)
    assert requests.get(emulator.url, timeout=20).status_code == 200


def test_half_a_request_is_none(emulator: Emulator) -> None:
    assert exchange(emulator, b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}") == b""
    assert len(emulator.requests) == 0


def test_it_logs_nothing_about_usual_work(
    emulator: Emulator, caller: Caller, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caller.chat("Hello")
    exchange(emulator, b"GET\r\n\r\n")
    assert [record for record in caplog.records if record.name.startswith(("animus.emulator", "werkzeug", "flask"))] == []
    assert capfd.readouterr() == ("", "")


def test_a_callback_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(request: RecordedRequest) -> None:
        raise KeyError("mine")

    with Emulator(on_request=fail) as emulator:
        assert requests.get(emulator.url, timeout=20).status_code == 200
    assert "KeyError: 'mine'" in caplog.text


def test_without_threads_connections_are_refused_and_the_emulator_lives(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(requests.ConnectionError):
            requests.get(emulator.url, timeout=20)
    assert requests.get(emulator.url, timeout=20).status_code == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_calls_its_parents_emulator(emulator: Emulator) -> None:
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=20)
    connection.request("GET", "/")
    connection.getresponse().read()
    asleep, waker = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            status = requests.post(emulator.token_url, timeout=20).status_code
            os.read(asleep, 1)  # alive for as long as the parent looks at its connection
            os._exit(0 if status == 200 else 1)
        finally:
            os._exit(2)
    emulator.requests.wait_for(1, "token")
    emulator.requests.wait_until_idle()
    emulator.drop_connections()
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""  # the child holds no copy of the server's end
    connection.close()
    os.write(waker, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(asleep)
    os.close(waker)


def test_everything_with_a_lock_is_registered(emulator: Emulator) -> None:
    registered = _fork.registered()
    for thing in (emulator, emulator._server, emulator.tokens, emulator.faults, emulator.requests, emulator.answers):
        assert any(thing is other for other in registered)


def test_serve_runs_until_it_is_stopped() -> None:
    stop = threading.Event()
    seen: list[str] = []

    def ready(emulator: Emulator) -> None:
        seen.append(requests.post(emulator.auth_url, headers={"apikey": "k"}, timeout=20).json()["accessToken"])
        stop.set()

    serve(port=0, api_key="k", on_ready=ready, stop=stop)
    assert seen


def test_without_flask_the_extra_is_named() -> None:
    code = "import sys; sys.modules['flask'] = None; import animus.emulator"
    environment = {**os.environ, "PYTHONPATH": str(Path(animus.__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert result.stderr.rstrip().endswith('ImportError: The emulator needs Flask. Install it with: pip install "animus-client[emulator]"')
