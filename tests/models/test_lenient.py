"""Reading what the strict way has refused."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from animus.models.answer import ShapeError
from animus.models.chat import ChatCompletion, ChatCompletionChunk
from animus.models.lenient import read
from tests.models.answers import ANSWERS, ANY_JSON


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "it is an array, not an object"),
        (None, "it is null, not an object"),
        ({"choices": 3}, "$.choices is a number, not an array"),
        ({"choices": [None]}, "$.choices[0] is null, not an object"),
        ({"choices": [{"message": {}}, {}]}, "$.choices[1].message is missing"),
        ({"choices": [{"message": None}]}, "$.choices[0].message is null"),
        ({"choices": [{"message": "hi"}]}, "$.choices[0].message is a string, not an object"),
        ({"choices": [{"message": {"content": ["hi"]}}]}, "$.choices[0].message.content is an array, not a string"),
        ({"choices": [{"message": {"reasoning": True}}]}, "$.choices[0].message.reasoning is a boolean, not a string"),
        ({"choices": [{"message": {"tool_calls": {}}}]}, "$.choices[0].message.tool_calls is an object, not an array"),
        ({"choices": [{"message": {"tool_calls": ["f"]}}]}, "$.choices[0].message.tool_calls[0] is a string, not an object"),
        (
            {"choices": [{"message": {"tool_calls": [{"function": {"arguments": {"a": 1}}}]}}]},
            "$.choices[0].message.tool_calls[0].function.arguments is an object, not a string",
        ),
    ],
)
def test_a_required_field_of_the_wrong_type_is_told_with_its_place(value: Any, why: str) -> None:
    with pytest.raises(ShapeError) as caught:
        read(ChatCompletion, value)
    assert str(caught.value) == why


def test_any_other_field_of_the_wrong_type_reads_as_none() -> None:
    completion = read(
        ChatCompletion,
        {
            "id": 1,
            "created": "now",
            "model": {},
            "usage": {"prompt_tokens": "many", "completion_tokens": 2.0, "total_tokens": 1.5},
            "compliance_violations": "gore",
            "choices": [
                {
                    "index": "0",
                    "finish_reason": 3,
                    "compliance_violations": [1],
                    "message": {"role": 4, "content": "kept", "turns": ["a", 1], "next": "yes", "image_prompt": []},
                }
            ],
        },
    )
    assert completion.text == "kept"
    assert (completion.id, completion.created, completion.model, completion.finish_reason) == (None, None, None, None)
    assert completion.message is not None
    assert (completion.message.role, completion.turns, completion.next, completion.image_prompt) == ("assistant", [], None, None)
    assert completion.compliance_violations == []
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.total_tokens) == (None, 2, None)


def test_null_reads_as_missing() -> None:
    chunk = read(ChatCompletionChunk, {"choices": [{"index": None, "delta": None, "finish_reason": None}], "usage": None})
    assert chunk == ChatCompletionChunk(choices=[type(chunk.choices[0])()])
    assert read(ChatCompletion, {"choices": None}).choices == []


@pytest.mark.parametrize("cls", [ChatCompletion, ChatCompletionChunk])
@given(value=ANSWERS)
def test_what_the_strict_way_takes_reads_the_same(cls: Any, value: Any) -> None:
    text = json.dumps(value)
    try:
        strict = msgspec.json.decode(text, type=cls)
    except msgspec.ValidationError:
        return
    assert read(cls, json.loads(text)) == strict


@pytest.mark.parametrize("cls", [ChatCompletion, ChatCompletionChunk])
@given(value=ANSWERS | ANY_JSON)
def test_nothing_but_a_shape_error_comes_out(cls: Any, value: Any) -> None:
    try:
        found = read(cls, value)
    except ShapeError:
        return
    assert isinstance(found, cls)
