"""Many threads: no connection is thrown away, no token asked for twice, no check of certificates lost."""

from __future__ import annotations

import contextlib
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import requests

from animus import AnimusClient, UrlTokenSource
from animus._clock import SYSTEM_CLOCK
from animus.refresh.manager import TokenManager
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from benchmarks import wire
from tests.authority import Authority
from tests.performance.profiled import answered
from tests.servers import Answer, HttpServer, Received

Serve = Callable[..., HttpServer]
ClientFor = Callable[..., AnimusClient]
THREADS = 32


def _together(work: Callable[[], Any], count: int) -> None:
    """Do ``work()`` in so many threads that begin at once; raise what one of them raised."""
    gate, failed = threading.Barrier(count), list[BaseException]()

    def run() -> None:
        try:
            gate.wait(20)
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failed:
        raise failed[0]


def test_bursts_of_32_threads_need_32_connections_and_warn_of_nothing(
    serve: Serve, client_for: ClientFor, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(answered)
    client = client_for(server)
    with caplog.at_level(logging.WARNING, "urllib3"):
        for _ in range(5):
            _together(lambda: client.chat.completions(wire.MESSAGES[1:]), THREADS)
    assert caplog.records == []
    assert server.connections <= THREADS
    assert len(server.requests) == 5 * THREADS


def test_a_thousand_threads_ask_for_one_token(serve: Serve) -> None:
    def token(request: Received) -> Answer:
        threading.Event().wait(0.02)  # long enough for others to come
        return Answer(headers={"Content-Type": "application/json"}, body=b'{"access_token": "%s"}' % wire.TOKEN.encode())

    server = serve(token)
    manager = TokenManager(UrlTokenSource(f"{server.url}/token"), clock=SYSTEM_CLOCK)
    _together(manager.token, 1000)
    assert len(server.requests) == 1


def test_a_call_without_a_check_weakens_no_other(serve: Serve, authority: Authority, closing: contextlib.ExitStack) -> None:
    """urllib3 writes ``verify_mode`` on the context that it is given: a shared one would be open for everybody."""
    server = serve(lambda request: Answer(headers={"Connection": "close"}, body=b"fine"), tls=authority.server_context())
    session = closing.enter_context(AnimusSession(f"{server.url}/v3", retry=RetryPolicy(repeats=0)))
    unchecked: list[int] = []
    refused: list[int] = []

    def careless() -> None:
        with warnings.catch_warnings():
            for _ in range(5):
                unchecked.append(session.get("/models", verify=False).status_code)

    def careful() -> None:
        for _ in range(5):
            with pytest.raises(requests.exceptions.SSLError):
                session.get("/models")
            refused.append(1)

    turns = iter([careless, careful] * 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # urllib3 warns of each; the filters are the process's
        _together(lambda: next(turns)(), 8)
    assert unchecked == [200] * 20
    assert len(refused) == 20
