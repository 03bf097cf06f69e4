from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import animus
from animus.cli.main import main
from animus.emulator import Emulator

PARENT = str(Path(animus.__file__).parent.parent)
USERS = "def user_of(environ):\n    return environ.get('HTTP_X_USER')\n"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with a function, in the current folder."""
    (tmp_path / "users_of_the_token_server.py").write_text(USERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return "users_of_the_token_server:user_of"


@contextlib.contextmanager
def serving(*options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "animus", "token-server", "--port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": PARENT, **variables}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first, process.communicate(timeout=20)[1]
            yield process, re.findall(r"handed out on (http://\S+);", first)[0]
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are another matter on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_tokens_are_handed_out_until_a_signal(emulator: Emulator, users: str, number: signal.Signals) -> None:
    options = ["--authenticate", users, "--auth-url", emulator.auth_url, "--origin", "https://app.example.com", "--limit", "2/day"]
    with serving(*options, ANIMUS_API_KEY=emulator.api_key) as (process, url):
        ask = {"headers": {"X-User": "ada", "Origin": "https://app.example.com"}, "timeout": 20}
        answers = [requests.post(url, **ask) for _ in range(3)]  # type: ignore[arg-type]
        nobody = requests.post(url, data=b"x" * 200_000, timeout=20)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert [answer.status_code for answer in (*answers, nobody)] == [200, 200, 429, 413]
    assert answers[0].headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Server" not in answers[0].headers or "waitress" not in answers[0].headers["Server"]
    told = [line for line in err.splitlines() if not line.startswith("Task queue depth")]  # waitress, on a busy machine
    assert (process.returncode, told) == (0, [])
    assert out.splitlines() == [
        "token_issued fetched 'ada' 127.0.0.1",
        "token_issued fetched 'ada' 127.0.0.1",
        "token_refused rate_limited 'ada' 127.0.0.1",
    ]
    assert answers[0].json()["accessToken"] not in out


def test_a_proxy_that_is_trusted_says_who_asks(emulator: Emulator, users: str) -> None:
    options = ["--authenticate", users, "--auth-url", emulator.auth_url, "--cache", "user"]
    for further, address in ([], "127.0.0.1"), (["--trusted-proxy", "127.0.0.1"], "203.0.113.9"):
        with serving(*options, *further, ANIMUS_API_KEY=emulator.api_key) as (process, url):
            requests.post(url, headers={"X-User": "ada", "X-Forwarded-For": "203.0.113.9"}, timeout=20)
            assert process.stdout is not None
            assert process.stdout.readline() == f"token_issued fetched 'ada' {address}\n"


@pytest.mark.parametrize(
    ("options", "key", "text"),
    [
        (["--authenticate", "{users}"], "", "ANIMUS_API_KEY"),
        (["--authenticate", "no_such_module:f"], "any key", "no_such_module"),
        (["--authenticate", "{users}", "--origin", "*"], "any key", "every web page"),
        (["--authenticate", "{users}", "--limit", "x"], "any key", "limit must be"),
        (["--authenticate", "{users}", "--path", "x"], "any key", "path must be"),
        (["--authenticate", "{users}", "--auth-url", "http://auth.example/"], "any key", "auth_url"),
    ],
)
def test_what_is_wrong_is_one_line(
    users: str, options: list[str], key: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", key)
    assert main(["token-server", "--port", "0", *(option.format(users=users) for option in options)]) == 2
    err = capsys.readouterr().err
    assert (err.count("\n"), text in err) == (1, True)


def test_without_authenticate_nothing_is_handed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token-server"]) == 2
    assert "--authenticate" in capsys.readouterr().err


def test_a_port_in_use_is_one_line(users: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", "any key")
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["token-server", "--authenticate", users, "--port", str(other.getsockname()[1])]) == 2
    assert "cannot listen" in capsys.readouterr().err


@pytest.mark.parametrize(("missing", "extra"), [("waitress", "token-server"), ("limits", "server")])
def test_a_missing_package_is_one_line_that_names_the_extra(users: str, missing: str, extra: str) -> None:
    arguments = ["token-server", "--authenticate", users]
    code = f"import sys; sys.modules[{missing!r}] = None; from animus.cli.main import main; sys.exit(main({arguments!r}))"
    environment = {**os.environ, "PYTHONPATH": PARENT, "ANIMUS_API_KEY": "any key"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f'pip install "animus-client[{extra}]"' in result.stderr
