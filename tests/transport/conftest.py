from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests

pytest.register_assert_rewrite("tests.transport.comparison")

from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.serving import authority, closing, full_backlog, serve, serve_raw, session_for

__all__ = ["authority", "closing", "full_backlog", "serve", "serve_raw", "session_for"]


@pytest.fixture(params=["requests", "animus"])
def session(request: pytest.FixtureRequest, closing: contextlib.ExitStack) -> requests.Session:
    """Give a plain session, then ours: a test that uses it says what both do."""
    if request.param == "requests":
        return closing.enter_context(requests.Session())
    return closing.enter_context(AnimusSession("http://127.0.0.1:9/v3", retry=RetryPolicy(repeats=0)))


@pytest.fixture
def name_hosts(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[tuple[str, int], int]], None]:
    """Have host names and ports lead to ports of this machine."""

    def name_hosts(table: dict[tuple[str, int], int]) -> None:
        look_up = socket.getaddrinfo

        def getaddrinfo(host: Any, port: Any, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host
            if (name, port) in table:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", table[name, port]))]
            return look_up(host, port, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return name_hosts
