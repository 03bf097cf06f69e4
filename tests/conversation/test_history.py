"""The history as a value of its own; what conversations make of it is in the other files."""

from __future__ import annotations

import copy
import pickle
import threading
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.conversation.history import ChatHistory, unsent, window_of
from animus.conversation.messages import ChatMessage, read_message, read_messages
from animus.errors import ConfigurationError
from animus.testing import ManualClock
from tests.wired import assistant, call, tool, user


def history_of(*messages: Any, size: int = 50) -> ChatHistory:
    history = ChatHistory(size, clock=ManualClock(0.0))
    history.add(message if isinstance(message, ChatMessage) else read_message(message, "it") for message in messages)
    return history


def contents(history: Any) -> list[Any]:
    return [message.content for message in history]


def sent(history: ChatHistory) -> list[dict[str, Any]]:
    return [message.to_wire() for message in history.window()]


# ---- storing -------------------------------------------------------------------------------------------


def test_order_is_order_of_arrival_whatever_the_timestamps_say() -> None:
    history = history_of(user("a"), {**user("b"), "timestamp": "2090-01-01T00:00:00.000Z"}, {**user("c"), "timestamp": "gibberish"})
    assert contents(history) == ["a", "b", "c"]
    assert [m.timestamp for m in history] == ["1970-01-01T00:00:00.000Z", "2090-01-01T00:00:00.000Z", "gibberish"]


def test_answers_are_cleaned_and_keep_their_white_space() -> None:
    history = history_of(assistant("<think>a plan</think>\n\nfirst\n\n    code  here\n"))
    assert history[0].content == "first\n\n    code  here"
    assert history[0].reasoning == "a plan"


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "x"},
        user("[CONTINUE]"),
        ChatMessage(role="assistant"),
        ChatMessage(role="assistant", content="  "),
        {"role": "assistant", "content": "<think> </think>"},
        {"role": "tool", "content": "x"},
        {"role": "tool", "content": "", "tool_call_id": "1"},
    ],
)
def test_what_says_nothing_is_left_out(message: Any) -> None:
    assert len(history_of(message)) == 0


def test_content_lists_are_stored() -> None:
    parts = [{"type": "text", "text": "what is this?"}, {"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}]
    history = history_of(user(parts))
    assert history.set([user(parts)]) == 1
    assert sent(history) == [user(parts)]


def test_old_messages_fall_out() -> None:
    history = history_of(*map(user, "abcde"), size=3)
    assert contents(history) == ["c", "d", "e"]
    assert contents(history.window()) == ["c", "d", "e"]


def test_without_room_nothing_is_kept() -> None:
    history = history_of(user("a"), size=0)
    assert (len(history), history.window(), history.to_list(), history.clear()) == (0, [], [], 0)


def test_resizing_trims_at_once() -> None:
    history = history_of(*map(user, "abcde"))
    history.resize(2)
    assert contents(history) == ["d", "e"]
    history.resize(10)
    assert contents(history) == ["d", "e"]
    history.resize(0)
    assert (len(history), history.size) == (0, 0)


# ---- what a request sends ------------------------------------------------------------------------------


def test_answers_of_thoughts_alone_are_not_sent() -> None:
    assert sent(history_of(user("a"), ChatMessage(role="assistant", reasoning="hm"))) == [user("a")]


def test_a_window_never_begins_inside_a_tool_exchange() -> None:
    flow = [user("a"), {"role": "assistant", "content": None, "tool_calls": [call("1"), call("2")]}, tool("1"), tool("2"), assistant("b")]
    for size, expected in ((5, flow), (4, flow[1:]), (3, [flow[4]]), (2, [flow[4]])):
        assert sent(history_of(*flow, size=size)) == expected


def test_a_tool_message_is_sent_only_after_its_call() -> None:
    history = history_of(tool("1"), user("a"), {"role": "assistant", "content": "x", "tool_calls": [call("1")]}, tool("2"), tool("1"))
    assert [m.get("tool_call_id") for m in sent(history)] == [None, None, "1"]


def piece(text: str, index: int, *, group: str = "g", separator: str | None = " ", **further: Any) -> ChatMessage:
    return ChatMessage(
        role="assistant",
        content=text,
        group_id=group,
        message_index=index,
        total_in_group=3,
        separator=separator if index else None,
        **further,
    )


@pytest.mark.parametrize("separator", [" ", "\n"])
def test_pieces_of_an_answer_are_sent_as_one_parted_as_they_were(separator: str) -> None:
    pieces = [piece(text, index, separator=separator) for index, text in enumerate(["one", "two", "three"])]
    for kept, expected in (([0, 1, 2], ["one", "two", "three"]), ([0, 2], ["one", "three"]), ([1, 2], ["two", "three"]), ([2], ["three"])):
        history = history_of(user("a"), *(pieces[index] for index in kept), user("b"))
        assert sent(history) == [user("a"), assistant(separator.join(expected)), user("b")]


def test_groups_of_javascript_are_joined_by_a_space() -> None:
    stored = [{**assistant(text), "groupId": "g", "messageIndex": index, "totalInGroup": 2} for index, text in enumerate("ab")]
    assert sent(history_of(*stored)) == [assistant("a b")]


def test_neighbouring_groups_stay_apart_and_so_do_interrupted_ones() -> None:
    history = history_of(piece("a", 0), piece("b", 1), piece("c", 0, group="h"), user("x"), piece("d", 2, group="h"))
    assert contents(history.window()) == ["a b", "c", "x", "d"]


def test_a_joined_answer_has_the_tool_calls_of_its_last_piece() -> None:
    history = history_of(piece("a", 0), piece("b", 2, tool_calls=(call("1"),)), tool("1"))
    assert sent(history) == [{**assistant("a b"), "tool_calls": [call("1")]}, tool("1")]


# ---- editing -------------------------------------------------------------------------------------------


def test_set_replaces_all_and_keeps_the_newest() -> None:
    history = history_of(user("old"), size=2)
    assert history.set([user("a"), assistant("b"), user("c")]) == 2
    assert contents(history) == ["b", "c"]
    assert history.set([]) == 0


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([user("a"), {"role": "system", "content": "x"}], r"history\[1\] is a system message"),
        ([user("a"), user("b"), {"role": "tool", "content": "x"}], r"history\[2\] is a tool message without tool_call_id"),
        ([{"role": "assistant", "content": " "}], r"history\[0\] \(assistant\) would be empty"),
        ([user("a"), {"role": "user"}], r"history\[1\] \(user\) has no content"),
        ("no list", "history must be a list of messages"),
    ],
)
def test_a_refused_set_names_the_index_and_changes_nothing(messages: Any, said: str) -> None:
    history = history_of(user("old"))
    before = list(history)
    with pytest.raises(ValueError, match=said):
        history.set(messages)
    assert list(history) == before


def test_set_takes_what_to_list_gives() -> None:
    history = history_of(user("a"), piece("b", 0, reasoning="r", compliance_violations=("gore",)), tool("1"))
    other = ChatHistory(10)
    other.set(history.to_list())
    assert list(other) == list(history)
    other.set(history)
    assert list(other) == list(history)


def test_an_update_keeps_what_it_does_not_name() -> None:
    history = history_of(piece("<think>r</think>old", 1, compliance_violations=("gore",)))
    before = history[0]
    changed = history.update(0, {"content": "new"})
    assert changed == history[0]
    assert changed == ChatMessage(**{**{name: getattr(before, name) for name in before.__dataclass_fields__}, "content": "new"})


def test_an_update_is_cleaned_and_its_thoughts_come_after_the_given_ones() -> None:
    history = history_of(assistant("old"))
    assert history.update(0, {"content": "<think>b</think>new", "reasoning": "a"}).reasoning == "a\n\nb"
    assert history[0].content == "new"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "system"}, "system message"),
        ({"role": "robot"}, "has the role 'robot'"),
        ({"content": None}, "has no content"),
        ({"content": ""}, "would be empty"),
        ({"content": 5}, "must be a string"),
        ({"role": "tool"}, "without tool_call_id"),
        ("content", "must be a mapping of fields, not a str"),
    ],
)
def test_a_refused_update_changes_nothing(changes: Any, said: str) -> None:
    history = history_of(user("a"), user("b"))
    before = list(history)
    with pytest.raises(ValueError, match=said):
        history.update(1, changes)
    assert list(history) == before


def test_an_answer_cannot_be_updated_to_nothing() -> None:
    history = history_of(assistant("<think>thoughts</think>text"))
    with pytest.raises(ValueError, match=r"history\[0\] would be empty"):
        history.update(0, {"content": None})


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_indexes_out_of_range(index: int) -> None:
    history = history_of(user("a"), user("b"))
    with pytest.raises(IndexError, match=f"there is no message {index} in a history of 2"):
        history.update(index, {"content": "x"})
    with pytest.raises(IndexError, match=f"there is no message {index}"):
        history.delete(index)
    assert contents(history) == ["a", "b"]


@pytest.mark.parametrize("index", ["0", 0.0, None, True])
def test_indexes_that_are_none(index: Any) -> None:
    history = history_of(user("a"), user("b"))
    with pytest.raises(ValueError, match="the index must be a whole number"):
        history.delete(index)


def test_delete_gives_what_it_took() -> None:
    history = history_of(user("a"), assistant("b"))
    assert history.delete(0).content == "a"
    assert contents(history) == ["b"]
    assert history.clear() == 1
    assert len(history) == 0


def test_editing_without_room_is_refused() -> None:
    history = ChatHistory(0)
    for edit in (lambda: history.set([]), lambda: history.update(0, {}), lambda: history.delete(0)):
        with pytest.raises(ConfigurationError, match="the history is off"):
            edit()


# ---- as a value ----------------------------------------------------------------------------------------


def test_it_reads_like_a_sequence() -> None:
    history = history_of(*map(user, "abc"))
    assert contents(history[1:]) == ["b", "c"]
    assert history[-1].content == "c"
    assert history[1] in history
    assert repr(history) == "<ChatHistory of 3 messages, room for 50>"


def test_what_it_gives_is_a_copy() -> None:
    history = history_of({**assistant("a"), "tool_calls": [call("1")]})
    history.to_list()[0]["tool_calls"][0]["function"]["name"] = "changed"
    assert history.to_list() == [{**assistant("a"), "tool_calls": [call("1")], "timestamp": "1970-01-01T00:00:00.000Z"}]


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda history: pickle.loads(pickle.dumps(history))])
def test_copies_are_of_their_own(how: Any) -> None:
    history = history_of(user("a"), size=2)
    other = how(history)
    assert (list(other), other.size) == (list(history), 2)
    other.add(read_messages([user("b")]))
    assert contents(history) == ["a"]


def test_the_callers_messages_are_not_changed() -> None:
    given = [MappingProxyType({"role": "user", "content": [{"type": "text", "text": "a"}]}), assistant("<think>b</think>c")]
    before = copy.deepcopy([dict(message) for message in given])
    history = ChatHistory(5)
    history.set(given)
    history.update(0, MappingProxyType({"content": "new"}))
    assert [dict(message) for message in given] == before


def test_threads_never_see_half_a_change() -> None:
    history = ChatHistory(8)
    pair = read_messages([user("a"), assistant("b")])
    start = threading.Barrier(5)
    torn: list[Any] = []

    def write() -> None:
        start.wait()
        for _ in range(200):
            history.add(pair)

    def read() -> None:
        start.wait()
        for _ in range(400):
            seen = contents(history)
            if seen != ["a", "b"] * (len(seen) // 2):
                torn.append(seen)

    threads = [threading.Thread(target=target) for target in (write, write, read, read)]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join()
    assert not torn
    assert len(history) == 8


# ---- files ---------------------------------------------------------------------------------------------


def test_a_saved_history_comes_back(tmp_path: Any) -> None:
    history = history_of(user("grüße \ud83d"), piece("b", 1, separator="\n", reasoning="r"), tool("1"), size=7)
    path = history.save(tmp_path / "history.json")
    for loaded in (ChatHistory.load(path), ChatHistory.load(str(path), size=7)):
        assert (list(loaded), loaded.size) == (list(history), 7)
    assert contents(ChatHistory.load(path, size=1)) == ["found"]
    assert len(ChatHistory.load(path, size=0)) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a saved history: it is not JSON"),
        ("[]", "is not a saved history"),
        ('{"messages": []}', "is not a saved history"),
        ('{"format": "animus-chat-history", "version": 2}', "saved in version 2 of the format; this package reads up to 1"),
        ('{"format": "animus-chat-history", "version": 1, "size": -1}', "has no valid size"),
        (
            '{"format": "animus-chat-history", "version": 1, "size": 3, "messages": [{"role": "user"}]}',
            r"history\[0\] \(user\) has no content",
        ),
    ],
)
def test_a_file_that_is_none_of_ours(tmp_path: Any, text: str, said: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        ChatHistory.load(path)


# ---- properties ----------------------------------------------------------------------------------------

_TEXT = st.sampled_from(["a", "b", "c", "<think>t</think>d"])
_MESSAGES = st.one_of(
    _TEXT.map(user),
    _TEXT.map(assistant),
    st.builds(
        lambda text, ids: {**assistant(text), "tool_calls": [call(i) for i in ids]},
        _TEXT,
        st.lists(st.sampled_from("123"), min_size=1, unique=True),
    ),
    st.sampled_from("123").map(tool),
    st.builds(
        lambda text, group, sep: piece(text, 1, group=group, separator=sep),
        st.sampled_from("xyz"),
        st.sampled_from("gh"),
        st.sampled_from(" \n"),
    ),
)


@given(st.lists(_MESSAGES, max_size=12), st.integers(1, 12))
def test_a_window_has_no_orphans_and_loses_nothing_else(messages: list[Any], size: int) -> None:
    history = history_of(*messages, size=size)
    window = history.window()
    asked: set[Any] = set()
    for message in window:
        if message.role == "tool":
            assert message.tool_call_id in asked
        asked |= {each["id"] for each in message.tool_calls}
    said = [m.content for m in history if m.role != "tool" and not m.is_empty]
    joined = "".join(str(m.content) for m in window if m.role != "tool")
    assert joined.replace(" ", "").replace("\n", "") == "".join(map(str, said))
    assert window_of(window) == window


@given(st.lists(_MESSAGES, max_size=8), st.integers(0, 8), st.integers(0, 2))
def test_a_repeated_tail_is_found(messages: list[Any], start: int, more: int) -> None:
    stored = list(history_of(*messages))
    tail = stored[start:]
    new = read_messages([user(f"new {number}") for number in range(more)])
    repeated, known = unsent(stored, [*tail, *new])
    assert repeated == known >= len(tail)
    if new:  # they were never stored: the tail is all that can be repeated
        assert known == len(tail)
