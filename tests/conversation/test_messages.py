from __future__ import annotations

import copy
import pickle
from types import MappingProxyType
from typing import Any

import pytest

from animus.conversation.messages import ChatMessage, now_text, read_message, read_messages, read_stored
from tests.wired import call, user


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Hello", r"messages\[1\] must be a mapping with role and content, not a str"),
        (None, r"messages\[1\] must be a mapping"),
        ({}, r"messages\[1\] has the role None; allowed are system, user, assistant, tool"),
        ({"role": "bot", "content": "x"}, r"messages\[1\] has the role 'bot'"),
        ({"role": "user"}, r"messages\[1\] \(user\) has no content"),
        ({"role": "tool", "tool_call_id": "1"}, r"messages\[1\] \(tool\) has no content"),
        ({"role": "user", "content": 5}, r"messages\[1\].content must be a string or a list of content parts, not a int"),
        ({"role": "user", "content": ["x"]}, r"messages\[1\].content\[0\] must be a mapping with a type"),
        ({"role": "user", "content": [{"type": "text"}, {"text": "x"}]}, r"messages\[1\].content\[1\]"),
        ({"role": "assistant", "content": None}, r"messages\[1\] is an assistant message with neither content nor tool_calls"),
        ({"role": "user", "content": "x", "tool_calls": [call("1")]}, r"messages\[1\] \(user\) has tool_calls"),
        ({"role": "assistant", "tool_calls": "x"}, r"messages\[1\].tool_calls must be a list, not a str"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, r"messages\[1\].tool_calls\[0\] must be"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}, r"JSON text"),
        ({"role": "user", "content": "x", "name": 1}, r"messages\[1\].name must be a string, not a int"),
        ({"role": "user", "content": "x", "compliance_violations": "gore"}, r"messages\[1\].compliance_violations"),
        ({"role": "assistant", "content": "x", "messageIndex": "1"}, r"messages\[1\].message_index must be a whole number"),
    ],
)
def test_what_is_wrong_is_named_with_its_index(message: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_messages([user("fine"), message])


@pytest.mark.parametrize("messages", ["Hello", b"Hello", {"role": "user", "content": "x"}, 5, None])
def test_a_list_is_needed(messages: Any) -> None:
    with pytest.raises(ValueError, match="messages must be a list of messages, not a"):
        read_messages(messages)


def test_any_iterable_is_a_list() -> None:
    assert [m.content for m in read_messages(user(text) for text in "ab")] == ["a", "b"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"role": "system", "content": "x"}, "never holds"),
        ({"role": "tool", "content": "x"}, "without tool_call_id"),
        ({"role": "tool", "content": "  ", "tool_call_id": "1"}, "would be empty"),
        ({"role": "user", "content": ""}, "would be empty"),
        ({"role": "assistant", "content": "<think></think>"}, "would be empty"),
    ],
)
def test_what_is_not_stored(message: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_stored(message, "history[0]")


def test_an_answer_of_thoughts_alone_is_stored() -> None:
    assert read_stored({"role": "assistant", "content": "<think>hm</think>"}, "it") == ChatMessage(role="assistant", reasoning="hm")


def test_only_wire_fields_go_on_the_wire() -> None:
    stored = ChatMessage(
        role="assistant",
        content="x",
        name="Vivian",
        tool_calls=(call("1"),),
        reasoning="r",
        compliance_violations=("gore",),
        timestamp="2024-01-01T00:00:00.000Z",
        group_id="g",
        message_index=0,
        total_in_group=2,
        separator=" ",
    )
    assert stored.to_wire() == {"role": "assistant", "content": "x", "name": "Vivian", "tool_calls": [call("1")]}
    assert set(stored.to_dict()) >= {"reasoning", "timestamp", "group_id", "separator"}
    assert read_message(stored.to_dict(), "it") == stored
    assert read_message(stored, "it") == stored


def test_spellings_of_javascript_are_read() -> None:
    message = read_message({"role": "assistant", "content": "x", "groupId": "g", "messageIndex": 1, "totalInGroup": 3}, "it")
    assert (message.group_id, message.message_index, message.total_in_group) == ("g", 1, 3)


def test_nothing_of_the_callers_is_kept_or_changed() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}]
    calls = [call("1")]
    given = [
        MappingProxyType({"role": "user", "content": parts}),
        MappingProxyType({"role": "assistant", "content": None, "tool_calls": calls}),
    ]
    before = copy.deepcopy((parts, calls))
    first, second = read_messages(given)
    assert (parts, calls) == before
    parts[0]["image_url"]["url"] = "https://b.example"  # type: ignore[index]
    calls[0]["function"]["name"] = "other"
    assert first.content == before[0]
    assert list(second.tool_calls) == before[1]
    taken = first.to_dict()
    taken["content"].clear()
    assert first.content == before[0]


def test_messages_pickle() -> None:
    message = ChatMessage(role="assistant", content=[{"type": "text", "text": "x"}], tool_calls=(call("1"),))
    assert pickle.loads(pickle.dumps(message)) == message


def test_times_look_like_javascripts() -> None:
    assert now_text(0.0) == "1970-01-01T00:00:00.000Z"
    assert now_text(1718150400.9999) == "2024-06-12T00:00:00.999Z"
