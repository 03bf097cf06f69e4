"""``completions()`` with the history on, when the caller passes again what is stored (as the tool flow documents it)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from animus import AnimusClient, ChatStream
from animus.conversation.history import window_of
from animus.conversation.messages import ChatMessage, read_message
from animus.emulator import Emulator
from tests.wired import CHAT, ClientMaker, assistant, call, texts, tool, user, wire


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client(chat={"history_size": 50})


def test_the_documented_tool_flow(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"content": "<think>hm</think>I look.", "tool_calls": [{"name": "look_up", "id": "1"}]}, "Found it."])
    messages: list[dict[str, Any]] = [user("Look it up")]
    answer = client.chat.completions(messages)
    assert answer.message is not None
    messages.append({"role": "assistant", "content": answer.text, "tool_calls": answer.raw["choices"][0]["message"]["tool_calls"]})
    messages.append(tool("1"))
    client.chat.completions(messages)
    assert [m["role"] for m in wire(emulator)] == ["user", "assistant", "tool"]
    assert [m["role"] for m in client.chat.get_chat_history()] == ["user", "assistant", "tool", "assistant"]
    assert texts(client.chat.get_chat_history())[1] == "I look."


def test_a_conversation_that_is_longer_than_the_room(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 2})
    emulator.script(["one", "two", "three"])
    client.chat.completions([user("a")])
    client.chat.completions([user("a"), assistant("one"), user("b")])
    client.chat.completions([user("a"), assistant("one"), user("b"), assistant("two"), user("c")])
    assert texts(wire(emulator)) == ["a", "one", "b", "two", "c"]
    assert texts(client.chat.get_chat_history()) == ["c", "three"]


def test_only_the_new_messages(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["one", "two"])
    client.chat.completions([user("a")])
    client.chat.completions([user("b")])
    assert texts(wire(emulator)) == ["a", "one", "b"]


def test_equal_words_at_another_place_are_new(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["yes?", "yes?"])
    client.chat.completions([user("hello")])
    client.chat.completions([user("hello")])
    assert texts(wire(emulator)) == ["hello", "yes?", "hello"]
    assert texts(client.chat.get_chat_history()) == ["hello", "yes?"] * 2


@pytest.mark.parametrize("stream", [False, True])
def test_pieces_that_are_passed_again_one_by_one(client: AnimusClient, emulator: Emulator, stream: bool) -> None:
    emulator.script([{"content": "x"}, {"content": None, "turns": ["a", "b"]}, "c"])
    client.chat.send("first", stream=False)
    client.chat.send("second", auto_turn=True, pace=False)
    again = [{"role": m["role"], "content": m["content"]} for m in client.chat.get_chat_history()][2:]
    answer = client.chat.completions([*again, user("third")], stream=stream)
    if isinstance(answer, ChatStream):
        answer.final()
    assert texts(wire(emulator)) == ["first", "x", "second", "a", "b", "third"]
    assert texts(client.chat.get_chat_history()) == ["first", "x", "second", "a", "b", "third", "c"]


def test_a_tool_result_that_is_passed_again(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.set_chat_history([user("a"), {**assistant("b"), "tool_calls": [call("1")]}, tool("1")])
    client.chat.completions([tool("1"), user("c")])
    assert texts(wire(emulator)) == ["a", "b", "found", "c"]


# ---- properties ----------------------------------------------------------------------------------------

_FLAGS: st.SearchStrategy[Any] = st.booleans()
_TEXTS = st.sampled_from(["a", "b", "<think>t</think>c"])


@st.composite
def conversations(draw: st.DrawFn) -> list[ChatMessage]:
    """Draw what may be stored: rounds, some with tools, some in turns, some broken by a deletion."""
    messages: list[Any] = []
    for number in range(draw(st.integers(0, 4))):
        messages.append(user(draw(_TEXTS)))
        kind = draw(st.sampled_from(["whole", "tools", "turns"]))
        if kind == "turns":
            group = {"group_id": f"g{number}", "total_in_group": 3}
            for index in range(draw(st.integers(1, 3))):
                separator = draw(st.sampled_from([" ", "\n"]))
                messages.append({**assistant(draw(_TEXTS)), **group, "message_index": index, "separator": separator})
        elif kind == "tools":
            messages.append({**assistant(draw(st.sampled_from([None, "d"]))), "tool_calls": [call(str(number))]})
            messages.append(tool(str(number)))
        else:
            messages.append(assistant(draw(_TEXTS)))
    if messages and draw(_FLAGS):
        del messages[draw(st.integers(0, len(messages) - 1))]
    return [read_message(message, "it").cleaned() for message in messages]


@pytest.fixture(scope="module")
def talk(emulator_process: Emulator) -> Any:
    """Ask with a stored history, and give what was sent and what is stored afterwards."""
    with AnimusClient(lambda: "opaque-token", api_base_url=emulator_process.api_base_url, chat={**CHAT, "history_size": 50}) as client:

        def ask(stored: list[ChatMessage], given: list[Any]) -> tuple[list[Any], list[Any]]:
            emulator_process.api_key = "opaque-token"
            emulator_process.answers.clear()
            emulator_process.script(["the answer"])
            client.chat.set_chat_history(stored)
            client.chat.completions(given)
            return wire(emulator_process), client.chat.get_chat_history()

        yield ask


@given(conversations(), st.integers(0, 12), st.integers(1, 2), st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_tail_is_passed_again_each_message_is_sent_and_stored_once(
    talk: Any, stored: list[ChatMessage], start: int, new: int, bare: bool
) -> None:
    tail = [message.to_wire() if bare else message.to_dict() for message in stored[start:]]
    orphans = {m["tool_call_id"] for m in tail if m["role"] == "tool"} - {c["id"] for m in stored for c in m.tool_calls}
    if orphans:  # the emulator refuses them, as the API would: they were in what the caller gave
        return
    fresh = [user(f"new {number}") for number in range(new)]
    sent, after = talk(stored, [*tail, *fresh])
    before = [message.to_wire() for message in window_of(stored[:start])]
    assert sent == [*before, *(read_message(m, "it").to_wire() for m in tail), *fresh]
    assert texts(after) == [*(m.content for m in stored), *texts(fresh), "the answer"]
