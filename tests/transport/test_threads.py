"""One session for many threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import pytest

from animus.transport.api import call_api
from animus.transport.session import AnimusSession
from tests.servers import CHUNKED_HEAD, LAST_CHUNK, Answer, HttpServer, Received, chunked
from tests.transport.tokens import Tokens

Serve = Callable[..., HttpServer]
SessionFor = Callable[..., AnimusSession]

THREADS = 32


def _together(work: Callable[[int], None], count: int = THREADS) -> None:
    """Do ``work(number)`` in so many threads that begin at once; raise what one of them raised."""
    barrier = threading.Barrier(count)
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(10)
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    for error in failed:
        raise error


def _echo(request: Received) -> Answer:
    return Answer(body=request.target.encode() + b" " + request.body)


@pytest.mark.parametrize("resource", [False, True])
def test_bursts_need_no_more_connections_than_threads(
    serve: Serve, session_for: SessionFor, caplog: pytest.LogCaptureFixture, resource: bool
) -> None:
    """And every thread gets its own answers."""
    caplog.set_level(logging.WARNING)
    server, tokens = serve(_echo), Tokens()
    session = session_for(server, tokens.manager())

    def work(number: int) -> None:
        for turn in range(5):
            path, body = f"/{number}/{turn}", b"%d" % number
            if resource:
                content = call_api(session, "POST", path, body=body).response.content
            else:
                content = session.post(path, data=body).content
            assert content == f"/v3{path} {number}".encode()

    for _ in range(3):
        _together(work)
    assert server.connections <= THREADS
    assert len(server.requests) == 3 * 5 * THREADS
    assert tokens.count == 1
    assert caplog.text == ""


def test_streams_in_many_threads(serve: Serve, session_for: SessionFor) -> None:
    def reply(request: Received) -> bytes:
        return CHUNKED_HEAD + chunked(*[request.path.encode() + b"\n"] * 5) + LAST_CHUNK

    server = serve(reply)
    session = session_for(server)

    def work(number: int) -> None:
        for _ in range(3):
            body = call_api(session, "POST", f"/{number}", body=b"{}", stream=True).body_stream()
            for _ in body:
                body.event_arrived()

    _together(work)
    assert server.connections <= THREADS
    assert not session._watchdog._guards
    thread = session._watchdog._thread
    assert thread is not None
    session.close()
    assert not thread.is_alive()


def test_no_thread_is_left_after_close(serve: Serve) -> None:
    server = serve()
    before = set(threading.enumerate())
    session = AnimusSession(f"{server.url}/v3", Tokens().manager())
    call_api(session, "GET", "/a", stream=True).body_stream().close()
    session.get("/a")
    session.close()
    assert [thread for thread in set(threading.enumerate()) - before if "animus" in thread.name] == []


def test_closing_while_others_work(serve: Serve, session_for: SessionFor) -> None:
    """As with plain requests: what is under way ends as it would have."""
    server = serve(_echo)
    session = session_for(server)

    def work(number: int) -> None:
        for turn in range(10):
            if number == 0:
                session.close()
            assert session.get(f"/{turn}").ok

    _together(work, 8)
