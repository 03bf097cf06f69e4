from __future__ import annotations

import pytest

from animus.cli.main import main

OUTCOME = "10 messages said, 3 of them turns, 1 image made, 1 tool called, 2 tokens fetched, 1 request refused and repeated"


def test_demo_shows_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--pace", "0"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[-1] == OUTCOME
    events = "token_refreshed token_cleared message_tokens turns_complete image_generation_complete tool_call_complete request_retry"
    assert [event for event in events.split() if event not in out] == []
    assert "status=401" in out
    assert "message_type=followup" in out


def test_demo_sends_ones_own_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--pace", "0", "Tell me", "about tides"]) == 0
    assert "> Tell me about tides\n" in capsys.readouterr().out


@pytest.mark.parametrize("message", ["Tell me a story", "Draw a cat", "When is the tide in?", "/quit", "[bold]x[/bold]"])
def test_demo_says_the_same_of_itself_whatever_the_message(message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--pace", "0", message]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == OUTCOME
    assert f"> {message}\n" in out


def test_demo_is_tidy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert main(["demo", "--pace", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("7. What the events said") + 1 : -2]
    assert len(table) > 30
    assert max(map(len, table)) <= 72
    assert [line for line in lines if line != line.rstrip() and line not in table] == []
