"""Whatever several threads do to a conversation whose model calls tools: every call has its result, on the wire and stored."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus import AnimusClient, ServerError, ToolError
from animus.emulator import Emulator
from animus.tools import Toolbox
from tests.conversation.hurried import UNSHRUNK, hurried_client
from tests.wired import Heard, bodies, user

_ANSWERS = 40
_ALONE = " by itself!"  # ends what run_tools() asks
_TURNS = {"min_delay": 0.5, "max_delay": 1.0, "max_turns": 4, "follow_up_delay": 0.5}


def look_up(word: str) -> str:
    """Look up a word."""
    return f"about {word}"


def broken(word: str) -> str:
    """Never work."""
    raise OSError(word)


def interrupted(word: str) -> str:
    """Be interrupted, as by Ctrl-C."""
    raise KeyboardInterrupt


def script() -> list[dict[str, Any]]:
    """Give answers of each kind, no two with the same words; all ids of calls are the same, as those of some servers."""
    numbers = itertools.count()

    def calls(*names: str) -> list[dict[str, Any]]:
        return [{"name": name, "arguments": {"word": f"{next(numbers)}"}} for name in names]

    kinds: dict[str, Callable[[int], list[dict[str, Any]]]] = {
        "plain": lambda n: [{"content": f"plain{n}."}],
        "once": lambda n: [{"tool_calls": calls("look_up")}, {"content": f"once{n}."}],
        "many": lambda n: [
            {"content": f"many{n}.", "tool_calls": calls("look_up", "broken", "nothing", "look_up")},
            {"tool_calls": calls("broken", "look_up")},
            {"content": f"many{n}.end."},
        ],
        "turns": lambda n: [
            {"content": f"turns{n}.a.\nturns{n}.b.\nturns{n}.c.", "tool_calls": calls("look_up", "look_up")},
            {"content": f"turns{n}.d.\nturns{n}.e.", "next": True},
        ],
        "endless": lambda n: [{"content": f"endless{n}.", "tool_calls": calls("look_up")}],
        "fails": lambda n: [{"tool_calls": calls("look_up")}, {"status": 500, "json": {"detail": "no"}}],
        "interrupted": lambda n: [{"content": f"interrupted{n}.", "tool_calls": calls("look_up", "interrupted", "look_up")}],
    }
    return [
        {**answer, "when": {"contains": f"{kind} "}} for kind, answers in kinds.items() for n in range(_ANSWERS) for answer in answers(n)
    ]


_EXPECTED = (ServerError, ToolError, KeyboardInterrupt, IndexError)
_KINDS = st.sampled_from(["plain", "once", "many", "turns", "turns", "endless", "fails", "interrupted"])
_TALK = st.one_of(
    st.tuples(st.sampled_from(["send", "submit", "submit"]), _KINDS, st.booleans()),
    st.tuples(st.just("leave"), _KINDS, st.integers(1, 8)),
    st.tuples(st.just("run"), st.sampled_from(["plain", "once", "many", "endless"])),
    st.tuples(st.just("cancel")),
    st.tuples(
        st.just("configure"), st.sampled_from([{"auto_turn": {**_TURNS, "enabled": True}}, {"auto_turn": False}, {"history_size": 200}])
    ),
)
_FORGET = st.tuples(st.sampled_from(["clear", "set"]))


class Run:
    """Runs one program for each thread, and keeps what came of it."""

    def __init__(self, client: AnimusClient) -> None:
        self.client = client
        self.chat = client.chat
        self.unexpected: list[BaseException] = []
        self._futures: list[Any] = []
        self._numbers = itertools.count()
        tools = [look_up, broken, interrupted]
        self._toolboxes = [Toolbox(tools), Toolbox(tools, parallel=3)]

    def all_at_once(self, programs: list[list[Any]]) -> None:
        start = threading.Barrier(len(programs))

        def follow(program: list[Any]) -> None:
            start.wait()
            for name, *arguments in program:
                self._keep(lambda name=name, arguments=arguments: getattr(self, name)(*arguments))

        threads = [threading.Thread(target=follow, args=(program,)) for program in programs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "somebody hangs"
        for future in self._futures:
            self._keep(lambda future=future: future.result(20))

    def _keep(self, action: Callable[[], object]) -> None:
        try:
            action()
        except _EXPECTED:
            pass
        except BaseException as error:
            self.unexpected.append(error)

    def _options(self, kind: str, parallel: bool) -> tuple[str, dict[str, Any]]:
        return f"{kind} {next(self._numbers)}!", {"tools": self._toolboxes[parallel], "tool_limits": {"rounds": 4}}

    def send(self, kind: str, parallel: bool) -> None:
        text, options = self._options(kind, parallel)
        self.chat.send(text, **options)

    def submit(self, kind: str, parallel: bool) -> None:
        text, options = self._options(kind, parallel)
        self._futures.append(self.chat.submit(text, **options))

    def leave(self, kind: str, count: int) -> None:
        text, options = self._options(kind, False)
        events: Any = self.chat.stream(text, **options)
        try:
            for _ in range(count):
                if next(events, None) is None:
                    break
        finally:
            events.close()

    def run(self, kind: str) -> None:
        self.chat.run_tools([user(f"{kind} {next(self._numbers)}{_ALONE}")], self._toolboxes[1], limits={"rounds": 3}, auto_turn=False)

    def cancel(self) -> None:
        self.chat.cancel_pending_turns()

    def configure(self, changes: dict[str, Any]) -> None:
        self.client.update_chat_config(changes)

    def clear(self) -> None:
        self.chat.clear_chat_history()

    def set(self) -> None:
        self.chat.set_chat_history(self.chat.get_chat_history())


def results_apart(messages: list[dict[str, Any]]) -> list[Any]:
    """Give the calls that have no result right behind them, and the results that have no call."""
    apart: list[Any] = []
    waiting: list[str] = []
    for message in [*messages, user("end")]:
        if message["role"] == "tool":
            if message["tool_call_id"] in waiting:
                waiting.remove(message["tool_call_id"])
            else:
                apart.append(message)
            continue
        apart += waiting
        waiting = [each["id"] for each in message.get("tool_calls", ())]
    return apart


@pytest.fixture(scope="module")
def run_of(emulator_process: Emulator) -> Callable[[list[list[Any]]], tuple[Run, Heard]]:
    """Give what runs programs on a fresh client, and leaves no thread and no exchange behind."""
    emulator = emulator_process

    def run(programs: list[list[Any]]) -> tuple[Run, Heard]:
        with hurried_client(emulator, script(), _TURNS) as client:
            run = Run(client)
            heard = Heard(client)
            run.all_at_once(programs)
            assert (run.unexpected, run.chat._running) == ([], [])
        return run, heard

    return run


@given(st.lists(st.lists(_TALK, max_size=5), min_size=2, max_size=4))
@UNSHRUNK
def test_every_call_has_its_result(
    run_of: Callable[..., tuple[Run, Heard]], emulator_process: Emulator, programs: list[list[Any]]
) -> None:
    run, heard = run_of(programs)
    stored = run.chat.get_chat_history()
    assert results_apart(stored) == []
    assert [results_apart(body["messages"]) for body in bodies(emulator_process)] == [[]] * len(bodies(emulator_process))
    said = Counter(message["content"] for message in stored if message["role"] == "assistant" and message["content"])
    assert [text for text, count in said.items() if count > 1] == []
    # run_tools() tells of its answers one by one, and stores them only if it comes to its end
    alone = {event.conversation_id for event in heard.named("message_start") if event.content.endswith(_ALONE)}
    sent = [event.content for event in heard.named("message_complete") if event.content and event.conversation_id not in alone]
    assert [text for text in sent if said[text] != 1] == []


@given(st.lists(st.lists(st.one_of(_TALK, _TALK, _FORGET), max_size=5), min_size=2, max_size=4))
@UNSHRUNK
def test_forgetting_meanwhile_leaves_no_orphan_on_the_wire(
    run_of: Callable[..., tuple[Run, Heard]], emulator_process: Emulator, programs: list[list[Any]]
) -> None:
    run_of(programs)
    for body in bodies(emulator_process):
        orphans = [each for each in results_apart(body["messages"]) if isinstance(each, dict)]
        assert orphans == []
