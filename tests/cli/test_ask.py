from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import animus
from animus.cli.main import main
from animus.emulator import Emulator
from tests.cli.interrupting import interrupt

PARENT = str(Path(animus.__file__).parent.parent)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as emulator:
        monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", emulator.token_url)
        monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url)
        yield emulator


def start(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": PARENT, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "animus", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)


def test_reply_is_printed(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.script(["Tides come from the moon."])
    assert main(["ask", "Why are there tides?"]) == 0
    assert capsys.readouterr() == ("Tides come from the moon.\n", "")


def test_whole_reply_is_the_same(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.script(["Tides come from the moon."])
    assert main(["ask", "Why are there tides?", "--no-stream"]) == 0
    assert capsys.readouterr() == ("Tides come from the moon.\n", "")


def test_message_can_come_from_standard_input(
    emulator: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Why?\n"))
    assert main(["ask", "-"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("arguments", [["ask", "  "], ["ask", "-"]], ids=["text", "standard input"])
def test_blank_message_is_wrong_usage(
    arguments: list[str], emulator: Emulator, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))
    assert main(arguments) == 2
    assert "blank" in capsys.readouterr().err


def test_model_and_system_message_are_sent(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_SYSTEM_MESSAGE", "Be brief.")
    assert main(["ask", "Hello", "--model", "some-model"]) == 0
    body = emulator.requests.last(kind="api").json
    assert body["model"] == "some-model"
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("further", [[], ["--no-stream"]], ids=["streamed", "whole"])
def test_json_is_one_object(further: list[str], emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.script(["Tides come from the moon."])
    assert main(["ask", "Why?", "--json", *further]) == 0
    reply = json.loads(capsys.readouterr().out)
    assert (reply["text"], reply["finish_reason"]) == ("Tides come from the moon.", "stop")
    assert reply["usage"]["total_tokens"] > 0
    assert reply["conversation_id"]


def test_provider_url_on_the_command_line_wins(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", "http://127.0.0.1:1/token")
    assert main(["ask", "Hello", "--provider-url", emulator.token_url]) == 0


def test_nothing_configured_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Hello"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "ANIMUS_TOKEN_PROVIDER_URL" in err


def test_unreachable_provider_exits_with_3(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Hello", "--provider-url", "http://127.0.0.1:1/token"]) == 3
    err = capsys.readouterr().err
    assert (err.count("\n"), "reason: unreachable" in err) == (1, True)


def test_unreachable_api_exits_with_6(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "Hello", "--api-base-url", "http://127.0.0.1:1/v3"]) == 6
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("status", "code"), [(400, 4), (402, 4), (422, 4), (501, 5)])
def test_refusal_exits_by_its_status(status: int, code: int, emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.arm(kind="api", status=status)
    assert main(["ask", "Hello"]) == code
    err = capsys.readouterr().err
    assert (err.count("\n"), f"status {status}" in err) == (1, True)


def test_failure_in_json_is_an_object(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.arm(kind="api", status=400)
    assert main(["ask", "Hello", "--json"]) == 4
    out, err = capsys.readouterr()
    assert (json.loads(out)["error"]["status"], err) == (400, "")


def test_broken_stream_exits_with_8(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.script([{"chunks": ["Tides ", "come ", "from the moon."]}])
    emulator.arm(kind="api", tear_after=3)
    assert main(["ask", "Hello"]) == 8
    out, err = capsys.readouterr()
    assert out.startswith("Tides come ")
    assert err.count("\n") == 1


def test_time_limit_exits_with_7(emulator: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    emulator.arm(kind="api", delay=30)
    assert main(["ask", "Hello", "--timeout", "0.2"]) == 7
    assert "limit: deadline" in capsys.readouterr().err


def test_revoked_token_is_not_noticed(emulator: Emulator) -> None:
    assert main(["ask", "Hello"]) == 0
    emulator.revoke_tokens()
    assert main(["ask", "Hello"]) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are another matter on Windows")
def test_reply_is_printed_as_it_arrives(emulator: Emulator) -> None:
    emulator.script([{"chunks": ["Tides ", "come ", "from the moon."]}])
    emulator.arm(kind="api", stall_after=3)  # after the role and two pieces; the connection stays open
    with start("ask", "Hello") as process:
        assert process.stdout is not None
        assert process.stdout.read(len("Tides come ")) == b"Tides come "
        interrupt(process)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are another matter on Windows")
def test_interrupt_exits_with_130_and_without_a_traceback(emulator: Emulator) -> None:
    emulator.arm(kind="api", delay=30)
    with start("ask", "Hello") as process:
        emulator.requests.wait_for(1, "api", timeout=20)
        interrupt(process)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_closed_pipe_is_quiet(emulator: Emulator) -> None:
    emulator.script(["word " * 20_000])
    with start("ask", "Hello", "--no-stream") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(timeout=20) == 141
    assert err == b""
