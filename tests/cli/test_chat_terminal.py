"""``animus chat`` in front of somebody: a pseudo-terminal, with Ctrl-C and Ctrl-D."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("there are no pseudo-terminals on Windows", allow_module_level=True)

from animus import ChatHistory
from animus.emulator import Emulator
from tests.cli.pseudo_terminal import CTRL_D, PseudoTerminal

CHAT = "/chat/completions"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as emulator:
        monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", emulator.token_url)
        monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url)
        yield emulator


def said(emulator: Emulator) -> list[str]:
    """Give the texts of the newest chat request, without the system message."""
    return [message["content"] for message in emulator.requests.last(path=CHAT).json["messages"][1:]]


def test_a_talk(emulator: Emulator) -> None:
    emulator.script(["Tides come from the moon.", "Twice a day."])
    with PseudoTerminal("chat") as terminal:
        terminal.expect("/help lists the commands")
        terminal.expect("> ")
        terminal.type("Why are there tides?\n")
        terminal.expect("Tides come from the moon.\r\n")
        terminal.expect("> ")
        terminal.type("How often?\n")
        terminal.expect("Twice a day.\r\n")
        terminal.expect("> ")
        terminal.type("/quit\n")
        assert terminal.expect_end() == 0
    assert said(emulator) == ["Why are there tides?", "Tides come from the moon.", "How often?"]


def test_the_line_can_be_edited_and_called_back(emulator: Emulator) -> None:
    with PseudoTerminal("chat") as terminal:
        terminal.expect("> ")
        terminal.type("sea\x01The \n")  # Ctrl-A: to the beginning of the line
        emulator.requests.wait_for(1, path=CHAT)
        terminal.expect("> ")
        terminal.type("\x1b[A\n")  # the key that goes up
        emulator.requests.wait_for(2, path=CHAT)
        assert said(emulator)[0] == said(emulator)[-1] == "The sea"


def test_ctrl_c_cuts_a_stream_and_the_talk_goes_on(emulator: Emulator) -> None:
    emulator.script(["Hello.", {"chunks": ["Tides ", "come ", "from the moon."]}, "Never mind."])
    with PseudoTerminal("chat") as terminal:
        terminal.type("Hi\n")
        terminal.expect("Hello.")
        emulator.arm(path=CHAT, stall_after=3)  # after the role and two pieces the connection stays open
        terminal.type("Why are there tides?\n")
        terminal.expect("Tides come ")
        terminal.interrupt("(cut)")
        emulator.requests.wait_until_idle()
        terminal.expect("> ")
        terminal.type("Still there?\n")
        terminal.expect("Never mind.")
        terminal.expect("> ")
        terminal.type(CTRL_D)
        assert terminal.expect_end() == 0
        assert "Traceback" not in terminal.raw
    assert said(emulator) == ["Hi", "Hello.", "Still there?"]


def test_ctrl_c_before_the_answer_begins(emulator: Emulator) -> None:
    emulator.arm(path=CHAT, delay=60)
    with PseudoTerminal("chat") as terminal:
        terminal.type("Hi\n")
        terminal.expect("typing…")
        emulator.requests.wait_for(1, path=CHAT)
        terminal.interrupt("(cut)")
        terminal.expect("> ")
        terminal.type("Again\n")
        emulator.requests.wait_for(2, path=CHAT)
        terminal.expect("> ")
    assert said(emulator) == ["Again"]


def test_ctrl_c_while_a_turn_is_typed(emulator: Emulator) -> None:
    words = " ".join(["word"] * 40)
    emulator.script([{"content": f"One.\n{words}"}, "Fine."])
    with PseudoTerminal("chat", "--turns") as terminal:
        terminal.type("Count\n")
        terminal.expect("One.\r\n")
        terminal.expect("typing…")
        assert "word" not in terminal.interrupt("(cut)")
        terminal.expect("> ")
        terminal.type("Go on\n")
        terminal.expect("Fine.")
    assert said(emulator) == ["Count", "One.", "Go on"]


def test_a_second_ctrl_c_at_the_empty_prompt_leaves(emulator: Emulator) -> None:
    emulator.arm(path=CHAT, delay=60)
    with PseudoTerminal("chat") as terminal:
        terminal.type("Hi\n")
        emulator.requests.wait_for(1, path=CHAT)
        terminal.interrupt("(cut)")
        terminal.expect("> ")
        terminal.interrupt(None)
        assert terminal.expect_end() == 0
        assert "Traceback" not in terminal.raw


def test_one_ctrl_c_at_the_prompt_says_how_to_leave(emulator: Emulator) -> None:
    with PseudoTerminal("chat") as terminal:
        terminal.expect("> ")
        terminal.interrupt("Ctrl-C once more, or Ctrl-D, leaves")
        terminal.expect("> ")
        terminal.type("Hi\n")  # changed their mind
        emulator.requests.wait_for(1, path=CHAT)
        terminal.expect("> ")
        terminal.interrupt("Ctrl-C once more")
        terminal.expect("> ")
        terminal.interrupt(None)
        assert terminal.expect_end() == 0


def test_ctrl_c_drops_a_line_that_was_begun(emulator: Emulator) -> None:
    with PseudoTerminal("chat") as terminal:
        terminal.expect("> ")
        terminal.interrupt("once more")
        terminal.expect("> ")
        terminal.type("half a li")
        terminal.expect("half a li")
        terminal.interrupt("> ")
        terminal.type("Hi\n")
        emulator.requests.wait_for(1, path=CHAT)
        assert said(emulator) == ["Hi"]


def test_an_image_is_a_link(emulator: Emulator) -> None:
    emulator.script([{"content": "Here.", "image_prompt": "a pier"}])
    with PseudoTerminal("chat") as terminal:
        terminal.type("Draw\n")
        terminal.expect("drawing: a pier")
        shown = terminal.expect(".png").rpartition("image: ")[2]
        terminal.expect("> ")
        assert shown.startswith(emulator.url)
        assert f";{shown}\x1b\\" in terminal.raw


def test_failures_and_commands(emulator: Emulator, tmp_path: Path) -> None:
    emulator.script([{"status": 400, "json": {"detail": "no way"}}, "Yes."])
    path = tmp_path / "talk.json"
    with PseudoTerminal("chat") as terminal:
        terminal.type("Bad\n")
        terminal.expect("animus: BadRequestError: ")
        terminal.expect("> ")
        terminal.type("/system Be brief.\n")
        terminal.expect("system message: Be brief.")
        terminal.type("Good\n")
        terminal.expect("Yes.")
        terminal.type(f"/save {path}\n")
        terminal.expect("2 messages saved to")
        terminal.type("/clear\n")
        terminal.expect("2 messages forgotten")
        terminal.type(f"/load {path}\n")
        terminal.expect("2 messages loaded")
        terminal.type("/sav\n")
        terminal.expect("Did you mean /save?")
        terminal.type("/quit\n")
        assert terminal.expect_end() == 0
    assert [message.content for message in ChatHistory.load(path)] == ["Good", "Yes."]


def test_a_reply_cannot_play_with_the_terminal(emulator: Emulator) -> None:
    emulator.script(["a\x1b]0;title\x07b\x1b[2Jc\rd"])
    with PseudoTerminal("chat", "--turns") as terminal:
        terminal.type("Hi\n")
        terminal.expect("a]0;titleb[2Jcd")
        assert "\x1b]0;" not in terminal.raw


def test_the_provider_is_asked_once_and_no_token_is_shown(emulator: Emulator) -> None:
    with PseudoTerminal("chat", "--debug") as terminal:
        for count in (1, 2):
            terminal.type("Hi\n")
            emulator.requests.wait_for(count, path=CHAT)
        terminal.expect("> Hi")
        terminal.expect("> Hi")
        terminal.expect("> ")
        terminal.type(CTRL_D)
        assert terminal.expect_end() == 0
        assert emulator.requests.count("token") == 1
        assert "eyJ" not in terminal.raw
