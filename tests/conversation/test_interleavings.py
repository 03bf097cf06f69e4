"""Whatever several threads do to one conversation at once, its history stays consistent."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus import AnimusClient, ResponseDecodeError, ServerError, StreamInterruptedError
from animus.emulator import Emulator
from tests.conversation.hurried import UNSHRUNK, hurried_client
from tests.wired import CHAT_PATH, Heard, assistant, bodies, call, tool, user

_ANSWERS = 60
_FLOW = [user("look it up"), {**assistant("I look."), "tool_calls": [call("1")]}, tool("1"), assistant("Found.")]
_TURNS = {"enabled": False, "min_delay": 0.5, "max_delay": 1.0, "max_turns": 4}


def script() -> list[dict[str, Any]]:
    """Give answers of each kind, no two with the same words. The word in the user's text chooses the kind."""
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "plain": lambda n: {"content": f"plain{n}."},
        "turns": lambda n: {"content": None, "turns": [f"turns{n}.{part}." for part in "abc"]},
        "lines": lambda n: {"content": f"lines{n}.a.\nlines{n}.b.", "next": True},
        "more": lambda n: {"content": f"more{n}.", "next": True},
        "draw": lambda n: {"content": f"draw{n}.", "image_prompt": f"image{n}."},
        "fail": lambda n: {"status": 500, "json": {"detail": "no"}},
        "torn": lambda n: {"sse": [{"json": {"choices": [{"index": 0, "delta": {"content": f"torn{n}."}}]}}]},
    }
    return [{**answer(n), "when": {"contains": f"{kind} "}} for kind, answer in kinds.items() for n in range(_ANSWERS)]


_SCRIPTED = (ServerError, StreamInterruptedError, ResponseDecodeError)  # what "fail" and "torn" end in
_KINDS = st.sampled_from(["plain", "turns", "turns", "lines", "more", "draw", "fail", "torn"])
_TALK = st.one_of(
    st.tuples(st.sampled_from(["send", "submit", "submit"]), _KINDS, st.booleans()),
    st.tuples(st.just("leave"), _KINDS, st.integers(1, 5)),
    st.tuples(st.just("ask"), st.sampled_from(["plain", "fail"]), st.booleans()),
)
_CUT = st.tuples(st.just("cancel"))
_CONFIGURE = st.tuples(
    st.just("configure"),
    st.sampled_from([{"auto_turn": {**_TURNS, "enabled": True}}, {"auto_turn": _TURNS}, {"stream": False}, {"history_size": 400}]),
)
_EDIT = st.tuples(st.sampled_from(["delete", "rename"]), st.integers(0, 5))
_FORGET = st.tuples(st.sampled_from(["clear", "set"]))


def programs(*further: st.SearchStrategy[Any]) -> st.SearchStrategy[list[list[Any]]]:
    return st.lists(st.lists(st.one_of(_TALK, _TALK, _CUT, _CONFIGURE, *further), max_size=5), min_size=2, max_size=4)


class Run:
    """Runs one program for each thread, and keeps what came of it."""

    def __init__(self, client: AnimusClient, emulator: Emulator) -> None:
        self.client = client
        self.chat = client.chat
        self.emulator = emulator
        self.heard = Heard(client)
        self.deleted: list[str] = []
        self.unexpected: list[BaseException] = []
        self.futures: list[Any] = []
        self._numbers = iter(range(10_000))

    def all_at_once(self, programs: list[list[Any]]) -> None:
        start = threading.Barrier(len(programs))

        def follow(program: list[Any]) -> None:
            start.wait()
            for name, *arguments in program:
                try:
                    getattr(self, name)(*arguments)
                except (*_SCRIPTED, IndexError):
                    pass  # or somebody else took that message out
                except BaseException as error:
                    self.unexpected.append(error)

        threads = [threading.Thread(target=follow, args=(program,)) for program in programs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "somebody hangs"
        for future in self.futures:
            error = future.exception(20)
            if error is not None and not isinstance(error, _SCRIPTED):
                self.unexpected.append(error)

    def _text(self, kind: str) -> str:
        return f"{kind} {next(self._numbers)}!"

    def send(self, kind: str, pace: bool) -> None:
        self.chat.send(self._text(kind), pace=pace, check_image_generation=True)

    def submit(self, kind: str, pace: bool) -> None:
        self.futures.append(self.chat.submit(self._text(kind), pace=pace, check_image_generation=True))

    def leave(self, kind: str, count: int) -> None:
        events: Any = self.chat.stream(self._text(kind))
        for _ in range(count):
            if next(events, None) is None:
                break
        events.close()

    def ask(self, kind: str, stream: bool) -> None:
        answer = self.chat.completions([user(self._text(kind))], stream=stream)
        if stream:
            answer.final()  # type: ignore[union-attr]

    def cancel(self) -> None:
        self.chat.cancel_pending_turns()

    def configure(self, changes: dict[str, Any]) -> None:
        self.client.update_chat_config(changes)

    def delete(self, index: int) -> None:
        self.deleted.append(self.chat.delete_history_message(index)["content"])

    def rename(self, index: int) -> None:
        if self.chat.get_chat_history()[index]["role"] == "user":
            self.chat.update_history_message(index, {"name": "Ada"})

    def clear(self) -> None:
        self.chat.clear_chat_history()

    def set(self) -> None:
        self.chat.set_chat_history(self.chat.get_chat_history())


def check(run: Run) -> list[str]:
    """Check what holds always; give the contents that are stored."""
    assert run.unexpected == []
    assert run.chat._running == []
    stored = run.chat.get_chat_history()
    contents = [message["content"] for message in stored]
    assert [text for text, count in Counter(contents).items() if count > 1] == []
    check_order(stored)
    check_cuts(run, stored)
    for body in bodies(run.emulator):
        check_wire(body["messages"])
    return contents


def check_order(stored: list[dict[str, Any]]) -> None:
    """The pieces of an answer are in order, and the answers of one exchange after its question."""
    last: dict[str, int] = {}
    for message in stored:
        if "group_id" in message:
            assert message["message_index"] > last.get(message["group_id"], -1)
            last[message["group_id"]] = message["message_index"]


def check_cuts(run: Run, stored: list[dict[str, Any]]) -> None:
    """A turn was said or cut: never both, never neither."""
    said = Counter(event.conversation_id for event in run.heard.named("message_complete") if event.turn_index is not None)
    promised: Counter[str] = Counter()
    for event in run.heard.named("message_start"):
        if event.turn_index == 0:
            promised[event.conversation_id] += event.total_turns
    for event in run.heard.named("exchange_cancelled"):
        if event.pending_turns and promised[event.conversation_id]:
            assert said[event.conversation_id] + event.pending_turns == promised[event.conversation_id]
    cut = Counter(event.conversation_id for event in run.heard.named("exchange_cancelled"))
    assert not cut or max(cut.values()) == 1
    for identifier, count in promised.items():
        if not cut[identifier]:
            assert said[identifier] == count


def check_wire(messages: list[dict[str, Any]]) -> None:
    asked: set[str] = set()
    pieces: list[str] = []
    for message in messages:
        assert message["content"] or message.get("tool_calls")
        assert set(message) <= {"role", "content", "name", "tool_calls", "tool_call_id"}
        asked |= {each["id"] for each in message.get("tool_calls", ())}
        if message["role"] == "tool":
            assert message["tool_call_id"] in asked
        elif message["role"] == "assistant":
            pieces += [word for word in message["content"].split() if word[-1] == "." and word[-2].isalnum() and word[0] != "F"]
    pieces = [piece for piece in pieces if any(c.isdigit() for c in piece)]
    assert [piece for piece, count in Counter(pieces).items() if count > 1] == []


@pytest.fixture(scope="module")
def run_of(emulator_process: Emulator) -> Callable[[list[list[Any]]], Run]:
    """Give what runs programs on a fresh client, and leaves no thread behind."""
    emulator = emulator_process

    def run(programs: list[list[Any]]) -> Run:
        with hurried_client(emulator, script(), _TURNS) as client:
            client.chat.set_chat_history(_FLOW)
            run = Run(client, emulator)
            run.all_at_once(programs)
            check(run)
        return run

    return run


@given(programs(_EDIT))
@UNSHRUNK
def test_nothing_announced_is_lost_and_nothing_is_there_twice(run_of: Callable[[list[list[Any]]], Run], programs: list[list[Any]]) -> None:
    run = run_of(programs)
    contents = [message["content"] for message in run.chat.get_chat_history()]
    announced = [event.content for event in run.heard.named("message_complete") if event.content]
    made = run.heard.named("image_generation_complete")
    kept = Counter(contents) + Counter(run.deleted)
    assert [text for text in announced if kept[text] != 1] == []
    spoken = {*announced, *(message["content"] for message in _FLOW), *(f"<image description='{event.prompt}' />" for event in made)}
    stored = [text for text in kept if not text.endswith("!")]
    assert [text for text in stored if text not in spoken] == []


@given(programs(_EDIT, _FORGET))
@UNSHRUNK
def test_forgetting_and_replacing_meanwhile_leave_it_consistent(
    run_of: Callable[[list[list[Any]]], Run], programs: list[list[Any]]
) -> None:
    run_of(programs)


def test_two_at_once_each_take_what_was_stored_when_they_began(run_of: Callable[[list[list[Any]]], Run]) -> None:
    run = run_of([[("send", "plain", False)]] * 8)
    assert len(run.heard.named("message_complete")) == 9
    assert run.emulator.requests.count(path=CHAT_PATH) == 9
    questions = [message for message in run.chat.get_chat_history() if message["content"].endswith("!")]
    answers = {event.conversation_id for event in run.heard.named("message_complete")}
    assert len(questions) == len(answers) == 9
