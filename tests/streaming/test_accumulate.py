"""Chunks to a completion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.models.answer import HttpInfo
from animus.models.chat import ChatCompletion, FunctionCall, ToolCall, Usage, decode_chunk
from animus.streaming.accumulate import Accumulator


def accumulated(*frames: dict[str, Any]) -> Accumulator:
    accumulator = Accumulator()
    for frame in frames:
        accumulator.add(decode_chunk(json.dumps(frame)))
    return accumulator


def whole(*frames: dict[str, Any]) -> ChatCompletion:
    return accumulated(*frames).completion()


def deltas(*each: dict[str, Any]) -> ChatCompletion:
    return whole(*({"choices": [{"delta": delta}]} for delta in each))


def calls(*pieces: dict[str, Any]) -> list[tuple[str | None, str | None, str]]:
    found = deltas(*({"tool_calls": [piece]} for piece in pieces)).tool_calls
    return [(call.id, call.function.name, call.function.arguments) for call in found]


def test_content_and_reasoning_are_concatenated() -> None:
    answer = deltas(
        {"role": "assistant", "content": ""},
        {"content": " a"},
        {"reasoning": "r1 "},
        {"content": None},
        {"content": "\n"},
        {"reasoning": "r2"},
    )
    assert (answer.text, answer.reasoning) == (" a\n", "r1 r2")
    assert answer.message is not None
    assert answer.message.role == "assistant"


def test_content_is_none_where_there_was_none() -> None:
    assert deltas({"content": None}, {"content": ""}).choices[0].message.content is None


def test_choices_are_kept_apart_and_given_in_order() -> None:
    answer = whole(
        {"choices": [{"index": 2, "delta": {"content": "C"}}, {"index": 0, "delta": {"content": "A"}}]},
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]},
    )
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in answer.choices] == [
        (0, "Aa", "stop"),
        (2, "C", None),
    ]
    assert answer.text == "Aa"


def test_add_gives_the_text_of_choice_0() -> None:
    accumulator = Accumulator()
    texts = [
        accumulator.add(decode_chunk(json.dumps({"choices": choices})))
        for choices in (
            [{"index": 1, "delta": {"content": "B"}}],
            [{"delta": {"content": "A"}}, {"index": 1, "delta": {"content": "b"}}, {"delta": {"content": "a"}}],
            [],
            [{"delta": {"reasoning": "r"}}],
        )
    ]
    assert texts == ["", "Aa", "", ""]


def test_the_last_value_that_is_not_null_wins() -> None:
    answer = whole(
        {
            "choices": [{"delta": {"turns": ["a"], "next": True, "image_prompt": "fox"}}],
            "usage": {"total_tokens": 1},
            "compliance_violations": ["gore"],
        },
        {"choices": [{"delta": {"turns": ["a", "b"], "next": False, "image_prompt": "owl"}, "finish_reason": "length"}]},
        {
            "choices": [{"delta": {"turns": None, "next": None, "image_prompt": None}, "finish_reason": None}],
            "usage": None,
            "compliance_violations": None,
        },
        {"choices": [{"delta": {}, "finish_reason": ""}], "usage": {"total_tokens": 2, "cost": 0.1}},
    )
    assert (answer.turns, answer.next, answer.image_prompt, answer.finish_reason) == (["a", "b"], False, "owl", "length")
    assert answer.usage == Usage(total_tokens=2)
    assert answer.raw["usage"] == {"total_tokens": 2, "cost": 0.1}
    assert answer.compliance_violations == ["gore"]


def test_extras_are_taken_from_a_message_too() -> None:
    frames = [
        {"choices": [{"delta": {"content": "a"}}]},
        {"choices": [{"message": {"content": "a", "image_prompt": "fox", "turns": ["a"]}}]},
    ]
    answer = whole(*frames)
    assert (answer.text, answer.image_prompt, answer.turns) == ("a", "fox", ["a"])


def test_violations_of_the_choice_are_joined_to_those_of_the_answer() -> None:
    answer = whole(
        {"choices": [{"delta": {}, "compliance_violations": ["gore"]}, {"index": 1, "delta": {}, "compliance_violations": ["rape"]}]},
        {"choices": [], "compliance_violations": ["gore", "drug_use"]},
    )
    assert answer.compliance_violations == ["gore", "drug_use"]
    assert answer.choices[1].compliance_violations == ["rape"]


def test_the_head_is_the_first_that_was_sent() -> None:
    answer = whole({}, {"id": "c1", "model": "m"}, {"id": "c2", "created": 5, "model": "n"})
    assert (answer.id, answer.model, answer.created, answer.object) == ("c1", "m", 5, "chat.completion")


def _piece(index: int | None = None, id: str | None = None, name: str | None = None, arguments: str | None = None) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece = {"index": index, "id": id, "function": function or None}
    return {key: value for key, value in piece.items() if value is not None}


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(
            [_piece(5, "b", "g", "["), _piece(1, "a", "f", "{"), _piece(5, arguments="]"), _piece(1, arguments="}")],
            [("a", "f", "{}"), ("b", "g", "[]")],
            id="in the order of the indexes, without filling gaps",
        ),
        pytest.param(
            [_piece(0, "", ""), _piece(0, "a", "f"), _piece(0, "b", "g")], [("a", "f", "")], id="the first id and name that are not empty"
        ),
        pytest.param(
            [_piece(None, "a", "f", "1"), _piece(None, "b", "f", "2"), _piece(None, "a", None, "3")],
            [("a", "f", "13"), ("b", "f", "2")],
            id="without index by id",
        ),
        pytest.param(
            [_piece(3, "a", "f"), _piece(arguments="1"), _piece(name="f", arguments="2")],
            [("a", "f", "12")],
            id="without index and id the call that got the last piece",
        ),
        pytest.param(
            [_piece(name="f", arguments="1"), _piece(name="g", arguments="2")],
            [(None, "f", "1"), (None, "g", "2")],
            id="another name begins another call",
        ),
        pytest.param([_piece(name="f"), _piece(None, "a", None, "1")], [("a", "f", "1")], id="an id that comes late"),
        pytest.param([_piece(0, None, "f")], [(None, "f", "")], id="no id"),
        pytest.param([_piece(0, "a")], [("a", None, "")], id="no function"),
        pytest.param(
            [_piece(0, "a", "f", "1"), _piece(None, "b", "g"), _piece(None, "a", None, "2")],
            [("a", "f", "12"), ("b", "g", "")],
            id="with and without index",
        ),
    ],
)
def test_tool_calls_are_put_together(pieces: list[dict[str, Any]], expected: list[tuple[str | None, str | None, str]]) -> None:
    assert calls(*pieces) == expected


def test_the_type_of_a_tool_call_is_function_unless_sent() -> None:
    answer = deltas({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})
    assert answer.tool_calls == [ToolCall(id="a", type="function", function=FunctionCall(name="f", arguments="{}"))]


def test_finished_means_every_choice_seen() -> None:
    assert not accumulated({"choices": []}).is_finished
    two = {"choices": [{"index": 0, "delta": {}}, {"index": 1, "delta": {}, "finish_reason": "stop"}]}
    assert not accumulated(two).is_finished
    assert accumulated(two, {"choices": [{"index": 0, "finish_reason": "stop"}]}).is_finished


def test_partial_is_none_until_something_came() -> None:
    assert accumulated().partial() is None
    assert accumulated({"id": "c", "choices": []}).partial() is None
    usage = accumulated({"choices": [], "usage": {"total_tokens": 1}}).partial(HttpInfo(status=200, headers={}), "r1")
    assert usage is not None
    assert (usage.choices, usage.request_id, usage.http and usage.http.status) == ([], "r1", 200)


def test_a_snapshot_does_not_change_later() -> None:
    accumulator = accumulated({"choices": [{"delta": {"content": "a"}}]})
    early = accumulator.partial()
    accumulator.add(decode_chunk(b'{"choices":[{"delta":{"content":"b"}}]}'))
    assert early is not None
    assert (early.text, accumulator.completion().text) == ("a", "ab")


def test_raw_of_a_streamed_answer_is_put_together() -> None:
    answer = whole({"id": "c", "choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]})
    message = {"role": "assistant", "content": "a"}
    assert answer.raw == {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


_HALVES = st.text(st.characters(exclude_categories=()), max_size=4)


@given(st.lists(_HALVES, max_size=6))
def test_halves_split_over_frames_join_in_all_texts(texts: list[str]) -> None:
    pieces = [{"content": text, "reasoning": text, "tool_calls": [{"index": 0, "function": {"arguments": text}}]} for text in texts]
    answer = deltas(*pieces)
    expected = "".join(texts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert answer.text == expected
    assert (answer.reasoning or "") == expected
    assert "".join(call.function.arguments for call in answer.tool_calls) == expected
    expected.encode()
