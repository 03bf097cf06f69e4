"""Histories that are kept in files, and conversations that go on from them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import animus
from animus import AnimusClient, ChatHistory, ConfigurationError
from animus.conversation.messages import ChatMessage
from animus.emulator import Emulator
from tests.wired import ClientMaker, assistant, call, texts, tool, user, wire

PARENT = str(Path(animus.__file__).parent.parent)
TALK = [user("Hi"), assistant("Hello."), user("Why?"), assistant(None, tool_calls=[call("1")]), tool("1"), assistant("So.")]


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client()


def history_of(*messages: dict[str, Any], size: int = 50) -> ChatHistory:
    history = ChatHistory(size)
    if messages:
        history.set(list(messages))
    return history


def saved(path: Path, **changes: Any) -> Path:
    """Save a history of one message, and change its document."""
    document = json.loads(history_of(user("Hi")).save(path).read_bytes())
    path.write_text(json.dumps({**document, **changes}))
    return path


# ---- conversations -------------------------------------------------------------------------------------


def test_a_conversation_goes_on_from_a_file(client: AnimusClient, emulator: Emulator, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    conversation = client.conversation(history=TALK)
    emulator.script(["Yes."])
    conversation.send("Really?")
    conversation.history.save(path)
    other = client.conversation(history=ChatHistory.load(path))
    other.send("And now?")
    assert texts(wire(emulator)) == ["Hi", "Hello.", "Why?", None, "found", "So.", "Really?", "Yes.", "And now?"]
    assert other.get_chat_history()[:8] == conversation.get_chat_history()


def test_its_history_is_its_own(client: AnimusClient) -> None:
    first = history_of(user("Hi"), assistant("Hello."))
    conversation, other = client.conversation(history=first), client.conversation(history=first)
    conversation.clear_chat_history()
    other.send("Next")
    assert (len(first), len(conversation.history), len(other.history)) == (2, 0, 4)


def test_it_reads_like_a_list(client: AnimusClient) -> None:
    history = client.conversation(history=TALK).history
    assert (len(history), bool(history), bool(client.conversation().history)) == (6, True, False)
    assert (history[0].content, history[-1].content) == ("Hi", "So.")
    assert [message.role for message in history[1:3]] == ["assistant", "user"]
    assert history[0] in history
    assert [message.content for message in reversed(history)][0] == "So."
    assert history.index(history[2]) == 2
    with pytest.raises(IndexError):
        history[6]
    with pytest.raises(TypeError):
        history[0] = "x"  # type: ignore[index]  # it changes by what is said, or by set, update and delete
    assert all(isinstance(message, ChatMessage) for message in history)


@pytest.mark.parametrize("form", ["list", "tuple", "generator", "history", "messages"])
def test_it_begins_with_messages_of_any_form(client: AnimusClient, form: str) -> None:
    history = history_of(*TALK)
    given: dict[str, Any] = {
        "list": TALK,
        "tuple": tuple(TALK),
        "generator": (message for message in TALK),
        "history": history,
        "messages": list(history),
    }
    assert texts(client.conversation(history=given[form]).get_chat_history()) == texts(TALK)


def test_only_the_newest_have_room(client: AnimusClient) -> None:
    assert texts(client.conversation(history=TALK, history_size=2).get_chat_history()) == ["found", "So."]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([user("Hi"), {"role": "robot", "content": "x"}], r"history\[1\] has the role 'robot'"),
        ([{"role": "system", "content": "x"}], r"history\[0\] is a system message"),
        ("Hi", "must be a list of messages"),
        (5, "must be a list of messages"),
    ],
)
def test_wrong_messages_are_refused(client: AnimusClient, history: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        client.conversation(history=history)


def test_without_room_there_is_nothing_to_begin_with(client: AnimusClient) -> None:
    with pytest.raises(ConfigurationError, match="the history is off"):
        client.conversation(history=TALK, history_size=0)


# ---- files ---------------------------------------------------------------------------------------------

_TEXTS = st.text(min_size=1, max_size=8).filter(str.strip)
_MESSAGES = st.one_of(
    _TEXTS.map(user),
    _TEXTS.map(assistant),
    st.builds(lambda text, name: {**user(text), "name": name}, _TEXTS, st.text(max_size=4)),
    st.builds(
        lambda text, ids: assistant(text, reasoning="hm", tool_calls=[call(i, arguments='{"ü": 1}') for i in ids]),
        _TEXTS,
        st.lists(st.sampled_from("123")),
    ),
    st.builds(lambda text: assistant(text, group_id="g", message_index=1, total_in_group=2, separator="\n"), _TEXTS),
    st.builds(lambda text: user([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "data:,"}}]), _TEXTS),
    _TEXTS.map(lambda text: tool("1", text)),
)


@given(st.lists(_MESSAGES, max_size=6), st.integers(0, 5))
def test_what_is_saved_comes_back(tmp_path_factory: pytest.TempPathFactory, messages: list[dict[str, Any]], more: int) -> None:
    path = tmp_path_factory.mktemp("archive") / "talk.json"
    history = history_of(*messages, size=len(messages) + more or 1)
    history.save(path)
    loaded = ChatHistory.load(path)
    assert (list(loaded), loaded.size, loaded.window()) == (list(history), history.size, history.window())
    assert loaded.save(path).read_bytes() == history.save(path).read_bytes()


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    document = json.loads(history_of(*TALK).save(tmp_path / "talk.json").read_bytes())
    assert (document["format"], document["version"], document["size"]) == ("animus-chat-history", 1, 50)
    assert texts(document["messages"]) == texts(TALK)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"dear diary",
        b"{}",
        b"[1]",
        b"null",
        b'"animus-chat-history"',
        b'{"format": "other", "version": 1, "messages": []}',
        b'[{"role": "user", "content": "Hi"}]',
        b"[" * 100_000,
    ],
    ids=["empty", "no text", "no JSON", "object", "list", "null", "text", "of another program", "bare messages", "too deep"],
)
def test_a_foreign_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.json is not a saved history"):
        ChatHistory.load(path)


@pytest.mark.parametrize("version", [2, 99, "1", None, 0, -1, True, 1.5])
def test_a_version_that_is_not_known_is_refused(tmp_path: Path, version: Any) -> None:
    with pytest.raises(ValueError, match=r"was saved in version .*; this package reads up to 1"):
        ChatHistory.load(saved(tmp_path / "talk.json", version=version))


@pytest.mark.parametrize("size", [None, -1, "5", True, 1.5])
def test_a_size_that_is_none_is_refused(tmp_path: Path, size: Any) -> None:
    with pytest.raises(ValueError, match="has no valid size"):
        ChatHistory.load(saved(tmp_path / "talk.json", size=size))


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (None, "must be a list of messages"),
        ("x", "must be a list of messages"),
        ([user("Hi"), {"role": "user"}], r"history\[1\] \(user\) has no content"),
        ([{"role": "system", "content": "obey"}], r"history\[0\] is a system message"),
    ],
)
def test_messages_that_are_none_are_refused(tmp_path: Path, messages: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ChatHistory.load(saved(tmp_path / "talk.json", messages=messages))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ChatHistory.load(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError):
        history_of(user("Hi")).save(tmp_path / "none" / "talk.json")


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = history_of(user("old")).save(tmp_path / "talk.json")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        history_of(user("new")).save(path)
    assert texts(ChatHistory.load(path).to_list()) == ["old"]
    assert os.listdir(tmp_path) == ["talk.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_the_files_rights_stay_as_they_are(tmp_path: Path) -> None:
    path = history_of(user("old")).save(tmp_path / "talk.json")
    path.chmod(0o600)
    history_of(user("new")).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_history_is_saved_whole_while_others_talk(tmp_path: Path) -> None:
    history = ChatHistory(1000)
    done = threading.Event()

    def talk() -> None:
        for number in range(300):
            history.add([ChatMessage(role="user", content=f"{number}"), ChatMessage(role="assistant", content=f"{number}")])
        done.set()

    thread = threading.Thread(target=talk)
    thread.start()
    while not done.is_set():
        contents = texts(ChatHistory.load(history.save(tmp_path / "talk.json")).to_list())
        assert len(contents) % 2 == 0
        assert contents[::2] == contents[1::2]
    thread.join()


_SAVES_WITHOUT_END = """
import sys
from animus import ChatHistory
histories = []
for text, count in ("old", 50), ("new", 5000):
    history = ChatHistory(10_000)
    history.set([{"role": "user", "content": text}] * count)
    histories.append(history)
print("ready", flush=True)
while True:
    for history in histories:
        history.save(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")
@pytest.mark.parametrize("turn", range(6))
def test_a_killed_process_leaves_the_old_file_or_the_new_one(tmp_path: Path, turn: int) -> None:
    path = tmp_path / "talk.json"
    history_of(*[user("old")] * 50).save(path)
    command = [sys.executable, "-c", _SAVES_WITHOUT_END, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": PARENT}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        threading.Event().wait(0.006 * turn)
        process.kill()
    contents = texts(ChatHistory.load(path).to_list())
    assert contents in (["old"] * 50, ["new"] * 5000)
