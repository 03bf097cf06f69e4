"""The plugin, in pytest runs of their own: the package need not be installed, and this run may have the plugin already."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import animus

PARENT = str(Path(animus.__file__).parent.parent)


def run(tmp_path: Path, source: str, *arguments: str) -> str:
    """Run pytest on ``source`` with the plugin and no other; give its output."""
    (tmp_path / "test_it.py").write_text(source)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "animus.testing.plugin", "-p", "no:cacheprovider", "-q", *arguments, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": PARENT},
    )
    return result.stdout + result.stderr


def test_loading_imports_nothing() -> None:
    code = "import sys, pytest, animus; before = set(sys.modules); import animus.testing.plugin; print(*sorted(set(sys.modules) - before))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": PARENT}
    )
    assert result.stdout.split() == ["animus.testing", "animus.testing.plugin"]


def test_emulator_is_as_new_for_every_test(tmp_path: Path) -> None:
    source = """
import pytest, requests

urls = set()

@pytest.mark.parametrize("turn", [1, 2])
def test_it(animus_emulator, turn):
    assert len(animus_emulator.requests) == 0
    response = requests.post(animus_emulator.token_url, timeout=20)
    assert set(response.json()) == {"accessToken", "animus", "livekit"}
    assert response.headers["X-Request-Id"] == "req-000001"
    animus_emulator.token_shape = "flat"
    animus_emulator.arm(status=500, times=None)
    urls.add(animus_emulator.url)
    assert len(urls) == 1
"""
    assert "2 passed" in run(tmp_path, source)


def test_clock_stands_still(tmp_path: Path) -> None:
    source = """
def test_it(animus_clock, animus_emulator):
    animus_clock.advance(5)
    assert animus_emulator.now == animus_clock.time() == 1_700_000_005.0

def test_without(animus_emulator):
    assert animus_emulator.now > 1_700_000_005.0
"""
    assert "2 passed" in run(tmp_path, source)


def test_client_is_wired_to_the_emulator(tmp_path: Path) -> None:
    source = """
import pytest

def test_reply(animus_client, animus_emulator):
    animus_emulator.script(["Tides come from the moon."])
    assert animus_client.chat.send("Why?").text == "Tides come from the moon."
    assert animus_emulator.requests.count("token") == 1

def test_tokens_follow_the_clock(animus_client, animus_emulator, animus_clock):
    animus_client.chat.send("Hello")
    animus_clock.advance(3601)
    animus_client.chat.send("Hello")
    assert animus_emulator.requests.count("token") == 2

class TestOptions:
    @pytest.fixture
    def animus_client_options(self, animus_emulator):
        return {"token_source": lambda: animus_emulator.issue_token("user-9")}

    def test_reply(self, animus_client, animus_emulator):
        animus_client.chat.send("Hello")
        assert animus_emulator.requests.last("api").user == "user-9"
"""
    assert "3 passed" in run(tmp_path, source)


def test_network_is_refused_when_asked(tmp_path: Path) -> None:
    source = """
import socket
import pytest
from animus.testing.network import NetworkRefused

@pytest.mark.usefixtures("animus_no_network")
def test_refused(animus_emulator):
    with socket.socket() as sock:
        for call in (sock.connect, sock.connect_ex):
            with pytest.raises(NetworkRefused, match="192.0.2.1"):
                call(("192.0.2.1", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(NetworkRefused):
        sock.sendto(b"x", ("192.0.2.1", 53))
    for name in ("example.com", b"example.com", "192.0.2.1", "2001:db8::1"):
        with pytest.raises(NetworkRefused):
            socket.getaddrinfo(name, 80)
    with pytest.raises(NetworkRefused):
        socket.create_connection(("example.com", 80))
    with socket.create_connection(("localhost", int(animus_emulator.url.rpartition(":")[2]))) as sock:
        sock.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        assert sock.recv(20)
    socket.getaddrinfo(None, 80)

def test_nothing_is_changed_afterwards():
    assert socket.getaddrinfo.__module__ == "socket"
    assert "connect" not in vars(socket.socket)
"""
    assert "2 passed" in run(tmp_path, source)


def test_fixtures_are_explained(tmp_path: Path) -> None:
    listed = run(tmp_path, "", "--fixtures")
    for name in ("animus_emulator", "animus_client", "animus_client_options", "animus_clock", "animus_no_network"):
        assert f"\n{name} -- " in listed
    assert "no docstring" not in listed
