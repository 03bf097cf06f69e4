"""Typed completions and chunks."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given

from animus.models.answer import HttpInfo, Origin
from animus.models.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    FunctionCall,
    Message,
    ShapeError,
    ToolCall,
    Usage,
    decode_chunk,
    decode_completion,
)
from tests.models.answers import ANSWERS

ANSWER: dict[str, Any] = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "vivian-llama3.1-8b-1.0-fp8",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "reasoning": "A greeting.",
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                "turns": ["Hel", "lo"],
                "next": False,
                "image_prompt": "a fox",
            },
            "finish_reason": "stop",
            "compliance_violations": ["gore"],
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "cost": 0.5},
    "compliance_violations": ["drug_use", "gore"],
    "system_fingerprint": "fp",
}


def _answer(**changes: Any) -> ChatCompletion:
    return decode_completion(json.dumps({**ANSWER, **changes}).encode())


def _saying(**message: Any) -> ChatCompletion:
    return _answer(choices=[{"message": message}])


def test_the_properties_read_choice_0() -> None:
    answer = _answer()
    assert answer.text == "Hello"
    assert answer.message == answer.choices[0].message
    assert answer.reasoning == "A greeting."
    assert answer.tool_calls == [ToolCall(id="c1", function=FunctionCall(name="f", arguments="{}"))]
    assert answer.turns == ["Hel", "lo"]
    assert answer.next is False
    assert answer.image_prompt == "a fox"
    assert answer.finish_reason == "stop"
    assert answer.usage == Usage(prompt_tokens=5, completion_tokens=7, total_tokens=12)
    assert answer.compliance_violations == ["drug_use", "gore"]


def test_choice_0_is_the_one_with_that_index() -> None:
    choices = [{"index": 1, "message": {"content": "B"}}, {"index": 0, "message": {"content": "A"}}]
    assert _answer(choices=choices).text == "A"
    assert _answer(choices=choices[:1]).text == "B"


def test_without_choices_everything_is_empty() -> None:
    answer = decode_completion(b"{}")
    assert (answer.text, answer.message, answer.reasoning, answer.tool_calls, answer.turns) == ("", None, None, [], [])
    assert (answer.next, answer.image_prompt, answer.finish_reason, answer.compliance_violations) == (None, None, None, [])
    assert answer._repr_markdown_() == "*(no answer)*"


def test_raw_is_the_json_as_sent() -> None:
    assert _answer().raw == ANSWER
    stray = _saying(content="x", mood=["odd"], role=7)
    assert stray.raw["choices"][0]["message"] == {"content": "x", "mood": ["odd"], "role": 7}
    assert stray.text == "x"


def test_raw_is_new_each_time() -> None:
    answer = _answer()
    answer.raw["choices"].clear()
    assert answer.raw == ANSWER


def test_http_and_request_id_are_kept() -> None:
    http = HttpInfo(status=200, headers={"x-request-id": "r1"}, elapsed=0.5, attempts=2)
    answer = decode_completion(b"{}", http)
    assert answer.http is http
    assert answer.request_id == "r1"
    assert decode_completion(b"{}").http is None
    assert decode_completion(b"{}").request_id is None


def test_an_answer_made_by_hand_has_a_raw_too() -> None:
    answer = ChatCompletion(choices=[Choice(message=Message(content="Hi"), finish_reason="stop")])
    assert answer.raw == {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
    assert answer.http is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices":[{"message":{"content":"kept"}}],"x":NaN}',
        b'{"choices":[{"message":{"content":"kept"}}],"created":%s}' % (b"9" * 5000),
        b'{"choices":[],"choices":[{"message":{"content":"kept"}}]}',
        b'\xef\xbb\xbf{"choices":[{"message":{"content":"kept"}}]}',
        b'{"choices":[{"message":{"content":"kept","image_prompt":"\\ud83d"}}]}',
        b'{"choices":[{"message":{"content":"kept"}}],"x":"\xff"}',
        b'{"choices":[{"message":{"content":"kept"}}],"<origin>":{"body":"{}"}}',
        b'{"choices":[{"message":{"content":"kept"}}],"error":1e999}',
    ],
)
def test_a_paid_answer_is_not_lost_to_odd_json(body: bytes) -> None:
    answer = decode_completion(body)
    assert answer.text == "kept"
    assert answer.raw["choices"][0]["message"]["content"] == "kept"


def test_lone_surrogates_are_replaced_but_in_raw() -> None:
    answer = decode_completion(b'{"choices":[{"message":{"content":"a\\ud83d","tool_calls":[{"id":"\\udc00"}]}}]}')
    assert answer.text == "a�"
    assert answer.tool_calls[0].id == "�"
    assert answer.raw["choices"][0]["message"]["content"] == "a\ud83d"


@given(value=ANSWERS)
def test_all_text_of_an_answer_can_be_written(value: Any) -> None:
    try:
        answer = decode_completion(json.dumps(value).encode())
    except ShapeError:
        return
    for choice in answer.choices:
        for text in (choice.message.content, choice.message.reasoning, *(choice.message.turns or [])):
            (text or "").encode()
    assert answer.raw == value
    assert len(repr(answer)) < 400
    answer._repr_markdown_()


def test_values_pickle_copy_and_compare() -> None:
    answer = decode_completion(json.dumps(ANSWER).encode(), HttpInfo(status=200, headers={"x": "y"}))
    for twin in (pickle.loads(pickle.dumps(answer)), copy.copy(answer), copy.deepcopy(answer)):
        assert twin == answer
        assert twin.raw == ANSWER
        assert twin.http == answer.http
    chunk = decode_chunk(b'{"choices":[{"delta":{"content":"x"}}]}')
    assert pickle.loads(pickle.dumps(chunk)) == chunk
    assert _answer(id="other") != answer
    with pytest.raises(AttributeError):
        answer.id = "other"  # type: ignore[misc]


def test_reprs_are_short_and_say_what_matters() -> None:
    assert repr(_answer()) == "ChatCompletion('Hello', finish_reason='stop', 1 tool calls)"
    long = _saying(content="x" * 1000)
    assert len(repr(long)) < 120
    assert len(repr(long.choices)) < 200
    assert repr(Message(content="Hi")) == "Message(role='assistant', content='Hi')"
    assert repr(decode_chunk(b"{}")) == "ChatCompletionChunk()"
    assert "2 choices" in repr(_answer(choices=[{"message": {}}, {"index": 1, "message": {}}]))


def test_markdown_shows_text_thinking_calls_and_violations() -> None:
    shown = _answer()._repr_markdown_()
    assert shown == "> A greeting.\n\nHello\n\n`f({})`\n\n*Compliance violations: drug_use, gore*"
    two = _answer(choices=[{"message": {"content": "A"}}, {"index": 1, "message": {"content": "B"}, "finish_reason": "length"}])
    assert "**Choice 1**\n\nB\n\n*(ended: length)*" in two._repr_markdown_()


def test_a_chunk_keeps_what_was_sent() -> None:
    data = b'{"choices":[{"delta":{"content":"x"},"finish_reason":null}],"new":1}'
    assert decode_chunk(data).raw == json.loads(data)
    assert decode_chunk(data.decode()).raw == json.loads(data)
    assert ChatCompletionChunk(id="c").raw == {"choices": [], "id": "c"}
    assert ChatCompletion(_origin=Origin()).raw == {"choices": []}


def test_a_chunk_may_end_in_half_a_character() -> None:
    chunk = decode_chunk(r'{"choices":[{"delta":{"content":"a\ud83d"}},{"index":1,"delta":{"content":"other"}}]}')
    assert chunk.text == "a\ud83d"


def test_an_error_is_a_chunk_whatever_else_it_holds() -> None:
    chunk = decode_chunk('{"error":{"message":"no"},"choices":"broken"}')
    assert chunk.error == {"message": "no"}
    assert decode_chunk('{"error":null,"choices":[]}').error is None


@pytest.mark.parametrize("data", [b"42", b"null", b"[]", b"oops", b"", b'{"choices":[{"delta":"x"}]}', b'\xef\xbb\xbf{"choices":[]}'])
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    with pytest.raises(ShapeError):
        decode_chunk(data)
    with pytest.raises(ShapeError):
        decode_chunk(data.decode())
