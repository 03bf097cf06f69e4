"""A real Redis for tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import unused_port


class RedisServer:
    """A real Redis of this test run: on a port of its own, in memory only."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        self._program = program
        self._folder = folder
        self._options = options
        self.port = unused_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self._folder))
        command = [self._program, *settings, *self._options]
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _UNTIL_WE_END, "sh", *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 20
        while not self._answers():
            assert time.monotonic() < end, "redis-server does not start"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(1) in (b"+", b"-")
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.communicate(b"\n", 20)
            self._process = None


# should the test run be killed, the pipe ends with it
_UNTIL_WE_END = '"$@" & read -r _; kill -9 $!; wait'


def _program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server on PATH")
    return program


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis; tests keep apart by their prefixes."""
    server = RedisServer(_program(), tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test starts and stops."""
    server = RedisServer(_program(), tmp_path)
    yield server
    server.stop()
