from __future__ import annotations

import pytest

from animus.cli.main import main


def test_demo_shows_the_main_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--pace", "0"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "3 replies, 2 tokens fetched, 1 request refused with 401 and repeated" in out
    for event in ("token_refreshed", "message_tokens", "token_cleared", "request_complete"):
        assert event in out


def test_demo_sends_ones_own_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--pace", "0", "Tell me", "about tides"]) == 0
    assert "> Tell me about tides\n" in capsys.readouterr().out
