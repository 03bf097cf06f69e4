"""Turns: how an answer is split, how long each piece takes, and how an exchange says them."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.config import TurnConfig
from animus.conversation.history import window_of
from animus.conversation.messages import ChatMessage
from animus.conversation.turns import split_turns, turn_messages, typing_delay
from animus.emulator import Emulator
from animus.testing import ManualClock
from tests.wired import ClientMaker, Heard, assistant, bodies, call, texts, user, wire

# ---- splitting -----------------------------------------------------------------------------------------


def split(content: str | None, turns: Any = (), *, more: bool = False, most: int = 3) -> list[str]:
    return [piece.text for piece in split_turns(content, turns, TurnConfig(max_turns=most), more_follows=more)]


@pytest.mark.parametrize(
    ("content", "turns", "pieces"),
    [
        ("One. Two.", ["One.", "Two."], ["One.", "Two."]),
        ("One.\nTwo.", ["One. Two."], ["One.", "Two."]),
        ("One.\nTwo.", [], ["One.", "Two."]),
        ("One.\n\n \nTwo.\n", ["x", "y"], ["One.", "Two."]),
        ("One. Two.", [], []),
        ("One.", ["One."], ["One."]),
        (None, ["One.", "Two."], ["One.", "Two."]),
        ("", ["One.", " ", "", "Two."], ["One.", "Two."]),
        ("<think>a\nb</think>One.", ["<think>a", "b</think>One."], ["b</think>One."]),
        ("<think>a\nb</think>One.\nTwo.", [], ["One.", "Two."]),
        ("One. <think>b</think>Two.", ["One.", "<think>b</think>Two."], ["One.", "Two."]),
        (" \n ", [], []),
    ],
)
def test_where_an_answer_is_split(content: str | None, turns: list[str], pieces: list[str]) -> None:
    assert split(content, turns) == pieces


@pytest.mark.parametrize(
    ("count", "most", "more", "sizes"),
    [
        (3, 3, False, [1, 1, 1]),
        (4, 3, False, [2, 1, 1]),
        (5, 3, False, [2, 2, 1]),
        (6, 3, False, [2, 2, 2]),
        (3, 3, True, [2, 1]),
        (2, 3, True, [1, 1]),
        (5, 1, False, [5]),
        (3, 1, True, [3]),
        (7, 4, True, [3, 2, 2]),
    ],
)
def test_too_many_pieces_are_merged_evenly(count: int, most: int, more: bool, sizes: list[int]) -> None:
    words = [str(number) for number in range(count)]
    for separator, pieces in ((" ", split(None, words, more=more, most=most)), ("\n", split("\n".join(words), (), more=more, most=most))):
        assert [len(piece.split(separator)) for piece in pieces] == sizes
        assert separator.join(pieces) == separator.join(words)


_PARTS = st.lists(st.sampled_from(["a", "b c", " ", "", "d\t", "é"]), max_size=10)


@given(_PARTS, st.integers(1, 6), st.booleans(), st.booleans())
def test_splitting_loses_and_doubles_nothing(parts: list[str], most: int, more: bool, lines: bool) -> None:
    separator = "\n" if lines else " "
    content = "\n".join(parts).strip() if lines else None
    pieces = split(content, () if lines else parts, more=more, most=most)
    if content is not None and "\n" not in content:
        assert pieces == []  # not split at all
        return
    assert separator.join(pieces).split() == " ".join(parts).split()
    assert len(pieces) <= max(1, most - more)
    assert all(piece == piece.strip() != "" for piece in pieces)


@given(_PARTS, st.integers(1, 4), st.booleans())
def test_said_turns_are_sent_back_as_they_were_parted(parts: list[str], most: int, lines: bool) -> None:
    content, turns = ("\n".join(parts), []) if lines else (None, parts)
    pieces = split_turns(content, turns, TurnConfig(max_turns=most), more_follows=False)
    window = window_of(turn_messages(ChatMessage(role="assistant"), pieces, "g"))
    assert len(window) <= 1
    if pieces:
        separator = "\n" if "\n" in (content or "") else " "
        assert window[0].content == separator.join(piece.text for piece in pieces)


def test_what_goes_with_an_answer_is_on_its_ends() -> None:
    answer = ChatMessage(role="assistant", content="x", reasoning="r", tool_calls=(call("1"),), compliance_violations=("gore",))
    first, middle, last = turn_messages(answer, split_turns(None, ["a", "b", "c"], TurnConfig(), more_follows=False), "g")
    assert (first.reasoning, middle.reasoning, last.reasoning) == ("r", None, None)
    assert (first.tool_calls, middle.tool_calls, last.tool_calls) == ((), (), (call("1"),))
    assert (first.compliance_violations, last.compliance_violations) == ((), ("gore",))
    assert [(m.group_id, m.message_index, m.total_in_group) for m in (first, middle, last)] == [("g", 0, 3), ("g", 1, 3), ("g", 2, 3)]


class Drawn(random.Random):
    """Chance that always falls the same."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def random(self) -> float:
        return self.value


@pytest.mark.parametrize(
    ("words", "drawn", "seconds"),
    [
        (1, 0.5, 60 / 45),
        (2, 0.5, 120 / 45),
        (1, 0.0, 60 / 45 * 0.8),
        (1, 0.999, 60 / 45 * (1 + 0.499 * 2 * 0.2)),
        (0, 0.5, 0.5),
        (9, 0.5, 3.0),
    ],
)
def test_the_typing_delay(words: int, drawn: float, seconds: float) -> None:
    assert typing_delay("word " * words, TurnConfig(), Drawn(drawn)) == pytest.approx(seconds)


# ---- saying --------------------------------------------------------------------------------------------

THREE = {"content": "One two. Three. Four five six.", "turns": ["One two.", "Three.", "Four five six."]}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_turns_are_said_one_after_the_other(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    emulator.clock = clock
    client = make_client(chat={"history_size": 10, "auto_turn": True}, clock=clock, random=Drawn(0.5))
    heard = Heard(client)
    stored: list[int] = []
    client.on("message_complete", lambda event: stored.append(len(client.chat.history)))
    emulator.script([{**THREE, "reasoning": "hm", "tool_calls": [{"name": "f"}], "compliance_violations": ["gore"]}])
    reply = client.chat.send("Hello")
    assert (bodies(emulator)[0]["autoTurn"], bodies(emulator)[0]["stream"]) == (True, False)

    assert heard.names == ["message_start", *["message_start", "message_complete"] * 3, "turns_complete"]
    begun, *turns, end = heard.events
    assert (begun.message_type, begun.content) == ("regular", "Hello")
    assert [(e.content, e.turn_index, e.total_turns, e.message_type) for e in turns] == [
        (text, index, 3, "auto") for index, text in enumerate(THREE["turns"]) for _ in "se"
    ]
    assert {event.conversation_id for event in heard.events} == {reply.conversation_id}
    assert {event.chat_id for event in heard.events} == {client.chat.chat_id}
    assert (end.total_turns, end.message_type) == (3, "auto")
    delays = [0.0, 60 / 45, 3.0]  # three words would take 4 s
    assert [event.delay for event in turns[::2]] == [pytest.approx(delay) for delay in delays]
    assert clock.waits == [pytest.approx(delay) for delay in delays[1:]]
    assert [bool(event.tool_calls) for event in turns] == [False] * 4 + [True] * 2
    assert [event.reasoning for event in turns[1::2]] == ["hm", None, None]
    assert [event.finish_reason for event in turns[1::2]] == [None, None, "tool_calls"]
    assert turns[-1].compliance_violations == ("gore",)
    assert stored == [2, 3, 4]  # the user's message enters with the first turn; each turn before it is announced

    assert (reply.messages, reply.text) == (tuple(THREE["turns"]), THREE["content"])
    assert (reply.reasoning, len(reply.tool_calls), reply.cancelled) == ("hm", 1, False)
    client.chat.send("Next", auto_turn=False)
    assert texts(wire(emulator)) == ["Hello", THREE["content"], "Next"]


def test_without_pace_nothing_waits(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    client = make_client(chat={"auto_turn": True}, clock=clock)
    emulator.script([THREE])
    heard = Heard(client, "message_start")
    assert client.chat.send("Hello", pace=False).messages == tuple(THREE["turns"])
    assert clock.waits == []
    assert [event.delay for event in heard.events[1:]] == [0.0, 0.0, 0.0]


def test_chance_varies_the_delays_alone(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    emulator.script([{"content": None, "turns": ["a", "b", "c", "d", "e"], "times": None}])
    seen = set()
    for value in (0.0, 0.5, 0.999):
        client = make_client(chat={"auto_turn": {"base_typing_speed": 60}}, clock=clock, random=Drawn(value))
        clock.waits.clear()
        seen.add(client.chat.send("Hello").messages)
        assert len(clock.waits) == 2
        assert clock.waits[1] == pytest.approx(1.0 * (1 + (value - 0.5) * 0.4))
    assert seen == {("a b", "c d", "e")}


def test_lines_are_joined_as_lines(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 10, "auto_turn": {"max_turns": 2}})
    emulator.script([{"content": "- one\n\n- two\n- three"}])
    reply = client.chat.send("Hello", pace=False)
    assert reply.messages == ("- one\n- two", "- three")
    assert reply.text == "- one\n- two\n- three"
    client.chat.send("Next", auto_turn=False)
    assert wire(emulator)[1] == assistant("- one\n- two\n- three")


def test_one_piece_is_no_turn(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"auto_turn": True})
    heard = Heard(client)
    emulator.script([{"content": "Only one.", "turns": ["Only one."]}])
    client.chat.send("Hello")
    assert heard.names == ["message_start", "message_complete"]
    assert heard.events[1].message_type == "regular"
    assert heard.events[1].turn_index is None


def test_turns_that_nobody_asked_for_are_not_played(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client()
    heard = Heard(client, "message_complete")
    emulator.script([{**THREE, "times": 3}])
    client.chat.send("Hello")
    client.chat.send("Hello", stream=False)
    client.update_chat_config({"auto_turn": True})
    client.chat.send("Hello", stream=True)  # an explicit stream beats configured turns
    assert heard.contents() == [THREE["content"]] * 3
    assert [body["autoTurn"] for body in bodies(emulator)] == [False] * 3


@pytest.mark.parametrize("option", [True, {"max_turns": 3}, TurnConfig()])
def test_turns_may_be_switched_on_for_one_call(make_client: ClientMaker, emulator: Emulator, option: Any) -> None:
    client = make_client()
    emulator.script([{**THREE, "times": 2}])
    assert len(client.chat.send("Hello", auto_turn=option, pace=False).messages) == 3
    client.update_chat_config({"auto_turn": True})
    assert len(client.chat.send("Hello", auto_turn=False).messages) == 1


def test_completions_never_splits(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5, "auto_turn": True})
    heard = Heard(client)
    emulator.script([{**THREE, "next": True, "image_prompt": "a cat"}])
    answer = client.chat.completions([user("Hello")], check_image_generation=True)
    assert (answer.turns, answer.next, answer.image_prompt) == (THREE["turns"], True, "a cat")
    assert heard.names == ["message_start", "message_complete"]
    assert len(emulator.requests.where(kind="api")) == 1
    assert [m["content"] for m in client.chat.get_chat_history()] == ["Hello", THREE["content"]]
