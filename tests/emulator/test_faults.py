from __future__ import annotations

import http.client
import json
import socket
import threading
from email.message import Message
from typing import Any

import pytest
import requests

from animus.emulator import Emulator, Fault
from animus.errors import ConfigurationError
from tests.emulator.caller import CHAT, Caller


def raw(emulator: Emulator, caller: Caller, **fields: Any) -> tuple[bytes, bool]:
    """Give all bytes of a streamed answer, and whether the connection was reset."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], **fields}).encode()
    head = f"POST /v3{CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    head += f"Authorization: {caller.session.headers['Authorization']!s}\r\nConnection: close\r\n\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])), timeout=20) as sock:
        sock.sendall(head.encode() + body)
        try:
            while piece := sock.recv(65536):
                received += piece
        except ConnectionResetError:
            return received, True
    return received, False


def events_in(received: bytes) -> list[bytes]:
    return [line for line in received.split(b"\r\n") if line.startswith(b"data:")]


def test_status_with_body_and_headers(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(path=CHAT, status=503, headers={"Retry-After": "1"}, body={"message": "busy"})
    first, second = caller.chat(), caller.chat()
    assert (first.status_code, first.headers["Retry-After"], first.json()) == (503, "1", {"message": "busy"})
    assert second.status_code == 200
    assert [(request.status, request.fault) for request in emulator.requests] == [(503, True), (200, False)]


def test_status_alone_has_an_error_in_the_emulators_style(emulator: Emulator, caller: Caller) -> None:
    emulator.error_style = "message"
    emulator.arm(status=500)
    assert caller.chat().json() == {"code": "SERVER_ERROR", "message": "Armed fault"}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html></html>", "text/html; charset=utf-8"),
        ("{}", "application/json"),
        (b"\xff\xfe", "text/plain; charset=utf-8"),
        ("", "text/plain; charset=utf-8"),
    ],
)
def test_bodies_are_sent_as_they_are(emulator: Emulator, caller: Caller, body: str | bytes, content_type: str) -> None:
    emulator.arm(status=502, body=body)
    response = caller.chat()
    assert response.content == (body.encode() if isinstance(body, str) else body)
    assert response.headers["Content-Type"] == content_type


def test_204_has_no_body(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=204)
    response = caller.chat()
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Length" not in response.headers
    assert caller.chat().status_code == 200


def test_usual_headers_can_be_changed_and_left_out(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(headers={"Date": None, "content-type": "text/plain", "X-Request-Id": "mine", "X-Ümlaut": "ü☃"})
    response = caller.chat()
    assert "Date" not in response.headers
    assert (response.headers["Content-Type"], response.headers["X-Request-Id"]) == ("text/plain", "mine")


def test_faults_are_chosen_by_path_method_and_kind(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(path="/generate/image", status=500, times=None)
    emulator.arm(kind="token", status=501, times=None)
    emulator.arm(method="get", status=502, times=None)
    assert caller.chat().status_code == 200
    assert caller.post("/generate/image", json={"prompt": "x"}).status_code == 500
    assert requests.post(emulator.token_url, timeout=20).status_code == 501
    assert requests.get(emulator.url, timeout=20).status_code == 502


def test_faults_strike_in_order_and_so_many_times(emulator: Emulator, caller: Caller) -> None:
    twice = emulator.arm(status=500, times=2)
    emulator.arm(status=503)
    assert [caller.chat().status_code for _ in range(4)] == [500, 500, 503, 200]
    assert twice.fired == 2


def test_a_fault_can_let_requests_pass(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=500, skip=2)
    assert [caller.chat().status_code for _ in range(4)] == [200, 200, 500, 200]


def test_disarming(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=500, times=None).disarm()
    assert caller.chat().status_code == 200
    emulator.arm(status=500, times=None)
    emulator.disarm()
    assert caller.chat().status_code == 200


def test_a_storm_meets_a_fault_as_often_as_it_is_armed(emulator: Emulator) -> None:
    emulator.arm(kind="token", status=500, times=7)
    statuses: list[int] = []
    barrier = threading.Barrier(30)

    def fetch() -> None:
        barrier.wait()
        statuses.append(requests.post(emulator.token_url, timeout=20).status_code)

    threads = [threading.Thread(target=fetch) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 23 + [500] * 7


def test_reset_instead_of_an_answer(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(reset=True)
    assert raw(emulator, caller) == (b"", True)
    assert emulator.requests[-1].status is None


def test_drop_instead_of_an_answer(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(drop_after_request=True)
    assert raw(emulator, caller) == (b"", False)
    assert emulator.requests[-1].json["messages"]


@pytest.mark.parametrize("reset", [False, True])
def test_torn_stream(emulator: Emulator, caller: Caller, reset: bool) -> None:
    emulator.arm(tear_after=3, reset=reset)
    received, was_reset = raw(emulator, caller, stream=True)
    assert len(events_in(received)) == 3
    assert not received.endswith(b"0\r\n\r\n")
    assert was_reset is reset


def test_torn_after_everything_but_the_final_chunk(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(tear_after=1000)
    received, _ = raw(emulator, caller, stream=True)
    assert events_in(received)[-1] == b"data: [DONE]\n\n"
    assert not received.endswith(b"0\r\n\r\n")


def test_torn_whole_answer(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(tear_after=10)
    head, _, body = raw(emulator, caller)[0].partition(b"\r\n\r\n")
    assert len(body) == 10
    assert b"Content-Length: 10\r\n" not in head
    emulator.arm(tear_after=10)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        caller.chat()


def test_malformed_frame_within_a_stream(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(malformed_after=2)
    frames = caller.chat(stream=True).content.split(b"\n\n")
    with pytest.raises(ValueError):
        json.loads(frames[2].removeprefix(b"data: "))
    assert json.loads(frames[3].removeprefix(b"data: "))
    assert frames[-2] == b"data: [DONE]"


def test_malformed_whole_answer(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(malformed_after=5)
    assert caller.chat().content == b'{"id"'


def test_stalled_stream_ends_when_the_client_gives_up(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(stall_after=2)
    response = caller.stream()
    lines = response.iter_lines()
    assert [next(lines).startswith(b"data:"), next(lines), next(lines).startswith(b"data:")] == [True, b"", True]
    assert not emulator.requests[-1].finished
    response.close()
    emulator.requests.wait_until_idle()


def test_stalled_whole_answer_ends_with_the_emulator(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(stall_after=10)
    results: list[bytes] = []
    thread = threading.Thread(target=lambda: results.append(raw(emulator, caller)[0]))
    thread.start()
    emulator.requests.wait_for(1)
    emulator.close()
    thread.join(10)
    assert not thread.is_alive()


def test_stall_at_the_end_of_a_stream(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(stall_after=1000)
    with caller.stream() as response:
        lines = response.iter_lines()
        while next(lines) != b"data: [DONE]":
            pass
        assert not emulator.requests[-1].finished


def test_dripped_body_and_head_arrive_whole(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(drip=0.0001, drip_head=0.0001)
    emulator.arm(drip=0.00001, path=CHAT)
    assert "Hello" in caller.chat().text
    received, _ = raw(emulator, caller, stream=True)
    chunks = received.partition(b"\r\n\r\n")[2]
    assert chunks.startswith(b"1\r\nd\r\n1\r\na\r\n1\r\nt\r\n")
    assert chunks.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("fault", [{"delay": 60}, {"drip": 60}, {"drip_head": 60}, {"delay": 60, "reset": True}])
def test_waiting_ends_with_a_reset_of_the_emulator(emulator: Emulator, caller: Caller, fault: dict[str, Any]) -> None:
    emulator.arm(**fault)
    ended = threading.Event()

    def call() -> None:
        raw(emulator, caller)
        ended.set()

    thread = threading.Thread(target=call)
    thread.start()
    emulator.requests.wait_for(1)
    emulator.reset()
    assert ended.wait(10)
    thread.join()
    assert len(emulator.requests) == 0


def test_a_delayed_answer_comes(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(delay=0.01)
    assert caller.chat().status_code == 200


def test_client_that_leaves_is_seen(emulator: Emulator, caller: Caller) -> None:
    emulator.chunk_delay = 0.001
    emulator.script([{"chunks": ["x"] * 5000}])
    response = caller.stream()
    next(response.iter_content(1))
    response.close()
    emulator.requests.wait_until_idle()
    assert emulator.requests[-1].aborted


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, "must do something"),
        ({"path": CHAT}, "must do something"),
        ({"status": 99}, "status"),
        ({"status": "503"}, "status"),
        ({"body": "x"}, "needs a status"),
        ({"delay": -1}, "delay"),
        ({"drip": float("inf")}, "drip"),
        ({"tear_after": -1}, "tear_after"),
        ({"path": "chat", "reset": True}, "begins with a slash"),
    ],
)
def test_faults_are_checked(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Fault(**fields)


def test_times_are_checked(emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="times"):
        emulator.arm(status=500, times=0)
    with pytest.raises(TypeError, match="statsu"):
        emulator.arm(statsu=500)


def test_browsers_preflight_does_not_use_up_a_fault(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(path=CHAT, status=500)
    assert requests.options(f"{emulator.api_base_url}{CHAT}", timeout=20).status_code == 204
    assert caller.chat().status_code == 500
    emulator.arm(method="OPTIONS", status=500)
    assert requests.options(f"{emulator.api_base_url}{CHAT}", timeout=20).status_code == 500


def test_lying_length(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=200, body="abc", headers={"Content-Length": "2"})
    connection = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=20)
    connection.request("POST", "/v3" + CHAT, b"{}")
    response = connection.getresponse()
    assert isinstance(response.headers, Message)
    assert response.read() == b"ab"
    connection.close()


@pytest.mark.parametrize("fault", [{"drip": 60.0}, {"drip_head": 60.0}])
def test_a_drip_ends_with_a_reset_of_the_emulator(emulator: Emulator, caller: Caller, fault: dict[str, Any]) -> None:
    emulator.arm(**fault)
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2])), timeout=20) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1) == b"H"
        emulator.reset()
        while sock.recv(65536):
            pass


def test_statuses_without_a_name(emulator: Emulator, caller: Caller) -> None:
    emulator.arm(status=599)
    assert (caller.chat().status_code, emulator.requests[-1].status) == (599, 599)
