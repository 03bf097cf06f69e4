from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from animus import ApiError, events as e
from animus.cli.screen import Screen

ERASE = "\r\x1b[2K"
TURN = {"message_type": "auto", "total_turns": 2}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal without colours in the place of standard output; not as a fixture, as pytest puts its own there after them."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    return terminal


def plain(terminal: Terminal) -> str:
    """Give what was written without the marks for dim text."""
    return re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())


def turns() -> Iterator[e.Event]:
    yield e.MessageStart(content="Count")
    yield e.MessageStart(content="One.", turn_index=0, delay=0.0, **TURN)
    yield e.MessageComplete(content="One.", turn_index=0, **TURN)
    yield e.MessageStart(content="Two.", turn_index=1, delay=1.5, **TURN)
    yield e.MessageComplete(content="Two.", turn_index=1, **TURN)
    yield e.TurnsComplete(total_turns=2)
    yield e.MessageStart(message_type="followup")
    yield e.MessageComplete(content="Three.", message_type="followup")


def test_somebody_types_while_a_turn_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    Screen().follow(turns())
    assert plain(terminal) == f"typing…{ERASE}One.\ntyping…{ERASE}Two.\ntyping…{ERASE}Three.\n"


def test_nobody_types_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().follow(turns())
    assert capsys.readouterr() == ("One.\nTwo.\nThree.\n", "")


def test_nobody_types_where_it_cannot_be_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")
    Screen().follow(turns())
    assert plain(terminal) == "One.\nTwo.\nThree.\n"


def test_a_streamed_text_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    screen = Screen()
    for event in (
        e.MessageStart(content="Why?"),
        e.MessageTokens(content="Be"),
        e.MessageTokens(content="cause.\n"),
        e.MessageProgress(content="Because.\n"),
        e.MessageComplete(content="Because.\n"),
    ):
        screen.show(event)
    assert plain(terminal) == f"typing…{ERASE}Because.\n\n"


def test_leaving_half_way_ends_line_and_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    ended: list[bool] = []

    def broken() -> Iterator[e.Event]:
        try:
            yield e.MessageTokens(content="Be")
            raise KeyboardInterrupt
        finally:
            ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        Screen().follow(broken())
    assert (plain(terminal), ended) == ("Be\n", [True])


def test_a_terminal_that_fails_ends_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []

    def endless() -> Iterator[e.Event]:
        try:
            while True:
                yield e.MessageTokens(content="x")
        finally:
            ended.append(True)

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Broken())
    with pytest.raises(BrokenPipeError):
        Screen().follow(endless())
    assert ended == [True]


def test_an_image_is_a_link_that_can_be_clicked(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.delenv("NO_COLOR")
    Screen().follow(iter_of(e.ImageGenerationComplete(prompt="a pier", image_url="https://a.example/1.png\x1b]8;;evil\x07")))
    assert re.search(r"\x1b]8;id=\d+;https://a\.example/1\.png\]8;;evil\x1b\\", terminal.getvalue())
    assert "\x07" not in terminal.getvalue()


def test_notes_hold_no_markup_and_no_control_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    screen = Screen()
    screen.show(e.ToolCallStart(tool_name="f", arguments='{"a": "[red]\x1b[2J"}'))
    screen.show(e.ToolCallComplete(tool_name="f", result="x" * 1000))
    assert plain(terminal) == f'calls f {{"a": "[red][2J"}}\nf gives {"x" * 299}…\n'


def test_a_failed_follow_up_is_told_and_a_failed_answer_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    error: Any = ApiError("no\x1b[2J more")
    Screen().follow(iter_of(e.MessageError(error=error, message_type="followup"), e.MessageError(error=error)))
    assert capsys.readouterr() == ("", "animus: ApiError: no[2J more\n")


def iter_of(*events: e.Event) -> Iterator[e.Event]:
    yield from events
