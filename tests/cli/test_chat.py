"""``animus chat`` without a terminal: every line is a message or a command."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import animus
from animus import ChatHistory
from animus.cli.main import main
from animus.emulator import Emulator
from tests.cli.interrupting import interrupt

PARENT = str(Path(animus.__file__).parent.parent)
Talk = Callable[..., tuple[int, str, str]]


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as emulator:
        monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", emulator.token_url)
        monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url)
        yield emulator


@pytest.fixture
def talk(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Talk:
    """Give what runs a chat over some lines, and gives exit code, output and errors."""

    def run(*lines: str, options: list[str] | None = None) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        code = main(["chat", *(options or [])])
        return code, *capsys.readouterr()

    return run


def messages(emulator: Emulator) -> list[tuple[str, str]]:
    """Give roles and texts of the newest chat request."""
    body = emulator.requests.last(path="/chat/completions").json
    return [(message["role"], message["content"]) for message in body["messages"]]


def test_every_line_is_a_message_of_one_conversation(talk: Talk, emulator: Emulator) -> None:
    emulator.script(["Tides come from the moon.", "Twice a day."])
    assert talk("Why are there tides?", "", "   ", "How often?") == (0, "Tides come from the moon.\nTwice a day.\n", "")
    assert messages(emulator)[1:] == [
        ("user", "Why are there tides?"),
        ("assistant", "Tides come from the moon."),
        ("user", "How often?"),
    ]


def test_a_last_line_without_its_end_counts(talk: Talk, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.script(["Yes."])
    monkeypatch.setattr(sys, "stdin", io.StringIO("There?"))
    assert main(["chat"]) == 0
    assert messages(emulator)[-1] == ("user", "There?")


def test_options_are_those_of_ask(talk: Talk, emulator: Emulator) -> None:
    assert talk("Hi", options=["--model", "m-1", "--system", "Be brief.", "--history-size", "0", "--no-images"])[0] == 0
    body = emulator.requests.last(path="/chat/completions").json
    assert (body["model"], body["stream"], "check_image_generation" in body) == ("m-1", True, False)
    assert messages(emulator) == [("system", "Be brief."), ("user", "Hi")]


def test_a_failure_is_one_line_and_the_talk_goes_on(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"status": 400, "json": {"detail": "no \x1b]0;title\x07 way"}}, "Better."])
    code, out, err = talk("Bad", "Good")
    assert (code, out) == (4, "Better.\n")
    assert err.startswith("animus: BadRequestError: ")
    assert (err.count("\n"), "\x1b" in err) == (1, False)
    assert messages(emulator)[1:] == [("user", "Good")]


def test_the_exit_code_is_the_last_failures(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"status": 402}, "Fine.", {"status": 501}])
    code, out, err = talk("a", "b", "c")
    assert (code, out, err.count("\n")) == (5, "Fine.\n", 2)


def test_a_broken_stream_ends_its_line(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"chunks": ["Tides ", "come ", "from the moon."]}, "Again."])
    emulator.arm(path="/chat/completions", tear_after=3)
    code, out, err = talk("a", "b")
    assert (code, out) == (8, "Tides come \nAgain.\n")
    assert "StreamInterruptedError" in err


# ---- what is said besides ------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "asked"), [("--turns", True), ("--no-turns", False)])
def test_turns_are_asked_for(talk: Talk, emulator: Emulator, option: str, asked: bool) -> None:
    emulator.script([{"turns": ["One."], "content": "One."}])
    assert talk("Count", options=[option]) == (0, "One.\n", "")
    body = emulator.requests.last(path="/chat/completions").json
    assert (body["autoTurn"], body["stream"]) == (asked, not asked)


def test_an_image_is_a_link(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"content": "Here.", "image_prompt": "a pier"}])
    _, out, _ = talk("Draw")
    url = out.splitlines()[-1].removeprefix("image: ")
    assert out == f"Here.\ndrawing: a pier\nimage: {url}\n"
    assert url.startswith(f"{emulator.url}/images/")


def test_a_failed_image_is_one_line(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"content": "Here.", "image_prompt": "a pier"}, {"status": 400, "when": {"path": "/generate/image"}}, "On."])
    code, out, err = talk("Draw", "Next")
    assert (code, out) == (0, "Here.\ndrawing: a pier\nOn.\n")
    assert (err.count("\n"), "BadRequestError" in err) == (1, True)


def test_flags_are_shown(talk: Talk, emulator: Emulator) -> None:
    emulator.script([{"content": "No.", "compliance_violations": ["gore", "drug_use"]}])
    assert talk("x")[1] == "No.\nflagged: gore, drug_use\n"


def test_functions_of_a_module_are_tools(
    talk: Talk, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def get_tide(harbour: str) -> str:\n    return 'low'\ndef fail() -> str:\n    raise OSError('no\\nshelf')\n"
    (tmp_path / "tools_of_a_chat.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    emulator.script([{"tool_calls": [{"name": "get_tide", "arguments": {"harbour": "Lisbon"}}, {"name": "fail"}]}, "It is low."])
    code, out, err = talk("When?", options=["--tool", "tools_of_a_chat:get_tide", "--tool", "tools_of_a_chat:fail"])
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        'calls get_tide {"harbour": "Lisbon"}',
        "get_tide gives low",
        "calls fail {}",
        "fail fails: OSError: no shelf",
        "It is low.",
    ]


@pytest.mark.parametrize("name", ["no_such_module:f", "os:getenv", "os:no_such"])
def test_what_is_no_tool_is_one_line(talk: Talk, name: str) -> None:
    code, out, err = talk("Hi", options=["--tool", name])
    assert (code, out, err.count("\n")) == (2, "", 1)


# ---- commands ------------------------------------------------------------------------------------------


def test_save_and_load(talk: Talk, emulator: Emulator, tmp_path: Path) -> None:
    emulator.script(["A.", "B.", "C."])
    path = tmp_path / "tides of march.json"
    code, out, err = talk("one", f"/save {path}", "/clear", "two", f"/load {path}", "three")
    assert (code, err) == (0, "")
    assert out.splitlines() == ["A.", f"2 messages saved to {path}", "2 messages forgotten", "B.", "2 messages loaded", "C."]
    assert messages(emulator)[1:] == [("user", "one"), ("assistant", "A."), ("user", "three")]
    assert [message.content for message in ChatHistory.load(path)] == ["one", "A."]


def test_a_saved_talk_goes_on(talk: Talk, emulator: Emulator, tmp_path: Path) -> None:
    emulator.script(["A.", "B."])
    path = tmp_path / "tides.json"
    talk("one", f"/save {path}")
    code, out, _ = talk("two", f"/save {path}", options=["--load", str(path)])
    assert (code, out.splitlines()) == (0, ["2 messages loaded", "B.", f"4 messages saved to {path}"])
    assert messages(emulator)[1:] == [("user", "one"), ("assistant", "A."), ("user", "two")]


def test_the_home_folder_is_known(talk: Talk, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert talk("/save ~/tides.json")[0] == 0
    assert (tmp_path / "tides.json").exists()


def test_a_file_of_somebody_else_is_not_replaced(talk: Talk, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("dear diary")
    code, out, err = talk(f"/save {path}")
    assert (code, out, path.read_text()) == (2, "", "dear diary")
    assert "is not a saved history" in err


def test_system_message_changes_from_the_next_message_on(talk: Talk, emulator: Emulator) -> None:
    emulator.script(["A.", "B."])
    _, out, _ = talk("one", "/system  Be brief. ", "two", "/system", options=["--system", "Be kind."])
    assert out.splitlines() == ["A.", "system message: Be brief.", "B.", "system message: Be brief."]
    assert messages(emulator) == [("system", "Be brief."), ("user", "one"), ("assistant", "A."), ("user", "two")]


def test_help_names_every_command(talk: Talk) -> None:
    _, out, _ = talk("/help")
    assert all(f"/{name}" in out for name in ("save", "load", "clear", "system", "help", "quit"))


@pytest.mark.parametrize("command", ["/quit", "/exit", "/QUIT"])
def test_quit_ends_it(talk: Talk, emulator: Emulator, command: str) -> None:
    assert talk(command, "never sent") == (0, "", "")
    assert len(emulator.requests) == 0


def test_two_slashes_send_a_text_that_begins_with_one(talk: Talk, emulator: Emulator) -> None:
    emulator.script(["A path."])
    assert talk("//etc/hosts, what is it?")[0] == 0
    assert messages(emulator)[-1] == ("user", "/etc/hosts, what is it?")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/sav x", "Did you mean /save?"),
        ("/etc/hosts", "// sends a text"),
        ("/", "there is no command /"),
        ("/save", "needs the path of a file"),
        ("/load", "needs the path of a file"),
        ("/load /no/such/file", "/no/such/file cannot be read: No such file"),
        ("/save /no/such/file", "/no/such/file cannot be written: No such file"),
    ],
)
def test_what_a_command_cannot_do_is_one_line(talk: Talk, emulator: Emulator, line: str, said: str) -> None:
    emulator.script(["On."])
    code, out, err = talk(line, "Hi")
    assert (code, out, err.count("\n")) == (2, "On.\n", 1)
    assert said in err


def test_without_room_nothing_can_be_loaded(talk: Talk, tmp_path: Path) -> None:
    path = ChatHistory(3).save(tmp_path / "empty.json")
    code, _, err = talk(f"/load {path}", options=["--history-size", "0"])
    assert (code, "the history is off" in err) == (2, True)


def test_a_wrong_file_to_begin_with_is_one_line(talk: Talk, tmp_path: Path) -> None:
    code, out, err = talk("Hi", options=["--load", str(tmp_path / "none.json")])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot be read" in err


def test_nothing_configured_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat"]) == 2
    assert "ANIMUS_TOKEN_PROVIDER_URL" in capsys.readouterr().err


# ---- a process of its own ------------------------------------------------------------------------------


def start(*arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": PARENT, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "animus", "chat", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def test_bytes_that_are_no_text_are_replaced(emulator: Emulator) -> None:
    emulator.script(["A.", "B."])
    with start() as process:
        out, err = process.communicate(b"caf\xe9\r\nnext\n", timeout=20)
    assert (process.returncode, out, err) == (0, b"A.\nB.\n", b"")
    assert [text for role, text in messages(emulator) if role == "user"] == ["caf\ufffd", "next"]


def test_answers_come_line_by_line(emulator: Emulator) -> None:
    emulator.script(["A.", "B."])
    with start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line, answer in (b"one\n", b"A.\n"), (b"two\n", b"B.\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == answer
        process.stdin.close()
        assert process.wait(20) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a child are another matter on Windows")
def test_ctrl_c_ends_what_has_no_terminal(emulator: Emulator) -> None:
    emulator.script([{"chunks": ["Tides ", "come ", "from the moon."]}])
    emulator.arm(path="/chat/completions", stall_after=3)
    with start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert process.stdout.read(len("Tides come ")) == b"Tides come "
        interrupt(process)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err.strip()) == (130, b"")
    assert emulator.requests.count(path="/chat/completions") == 1


def test_closed_pipe_is_quiet(emulator: Emulator) -> None:
    with start() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"one\ntwo\nthree\n")
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 141
