from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given, strategies as st

from animus.cli.terminal import harmless, write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text())
def test_no_control_character_reaches_a_terminal(text: str) -> None:
    shown = harmless(text)
    assert not [c for c in shown if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]
    assert [c for c in text if c.isprintable()] == [c for c in shown if c.isprintable()]


def test_terminal_gets_harmless_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    write("\x1b]0;title\x07red\n")
    assert sys.stdout.getvalue() == "]0;titlered\n"  # type: ignore[attr-defined]


def test_file_gets_the_text_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    write("\x1b[1mbold")
    assert sys.stdout.getvalue() == "\x1b[1mbold"  # type: ignore[attr-defined]
