"""Fixtures around the test servers; a ``conftest.py`` imports those it gives."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import HttpServer, RawServer, Reply, Script

NAMES = ("127.0.0.1", "localhost", "api.animus.test", "other.test", "evil.api.animus.test")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), NAMES)


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    """Close what a test has opened: sessions first, so that servers see them leave."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def serve(closing: contextlib.ExitStack) -> Callable[..., HttpServer]:
    def serve(reply: Reply | None = None, **options: Any) -> HttpServer:
        return closing.enter_context(HttpServer(reply, **options))

    return serve


@pytest.fixture
def serve_raw(closing: contextlib.ExitStack) -> Callable[..., RawServer]:
    def serve_raw(*scripts: Script, **options: Any) -> RawServer:
        return closing.enter_context(RawServer(*scripts, **options))

    return serve_raw


@pytest.fixture
def session_for(closing: contextlib.ExitStack) -> Callable[..., AnimusSession]:
    """Make sessions that are closed after the test."""

    def session_for(server: RawServer | str, *args: Any, **options: Any) -> AnimusSession:
        url = server if isinstance(server, str) else f"{server.url}/v3"
        return closing.enter_context(AnimusSession(url, *args, **options))

    return session_for


@pytest.fixture
def full_backlog(closing: contextlib.ExitStack) -> str:
    """Give the URL of a server whose queue of connections is full, so that no further one is ever made."""
    listener = closing.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        waiting = closing.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


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
