from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.emulator import Emulator, Script
from animus.errors import ConfigurationError
from tests.emulator.caller import CHAT, Caller

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "emulator-script.json"


def test_answers_come_in_order_and_then_the_built_in_ones(emulator: Emulator, caller: Caller) -> None:
    emulator.script(["One", {"content": "Two"}])
    assert [caller.message()["content"][:5] for _ in range(3)] == ["One", "Two", "Hello"]
    assert emulator.answers.left == 0


def test_strict_script_ends_in_an_error(emulator: Emulator, caller: Caller) -> None:
    emulator.script(["One"], strict=True)
    caller.message()
    response = caller.chat()
    assert (response.status_code, response.json()["detail"]) == (500, "The script has no answer left for POST /v3/chat/completions")


def test_everything_an_answer_can_say(emulator: Emulator, caller: Caller) -> None:
    emulator.script(
        [
            {
                "content": "A. B.",
                "reasoning": "Hm.",
                "turns": ["A.", "B."],
                "next": True,
                "image_prompt": "a fox",
                "finish_reason": "length",
                "usage": {"total_tokens": 99},
                "compliance_violations": ["gore"],
            }
        ]
    )
    body = caller.chat().json()
    assert body["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "A. B.",
                "reasoning": "Hm.",
                "turns": ["A.", "B."],
                "next": True,
                "image_prompt": "a fox",
            },
            "finish_reason": "length",
            "compliance_violations": ["gore"],
        }
    ]
    assert (body["usage"], body["compliance_violations"]) == ({"total_tokens": 99}, ["gore"])


def test_usage_is_counted_unless_it_is_given(emulator: Emulator, caller: Caller) -> None:
    emulator.script(["three little words", {"content": "x", "usage": None}])
    assert caller.chat().json()["usage"]["completion_tokens"] == 3
    assert "usage" not in caller.chat().json()


def test_tool_calls_in_several_rounds(emulator: Emulator, caller: Caller) -> None:
    emulator.script(
        [
            {"tool_calls": [{"name": "a", "arguments": {"x": 1}}, {"name": "b"}]},
            {"tool_calls": [{"name": "c", "arguments": "{not json", "id": "mine"}]},
            {"tool_calls": [{"id": "full", "type": "function", "function": {"name": "d", "arguments": "{}"}}], "content": "Text too"},
            "Done",
        ]
    )
    first = caller.chat().json()["choices"][0]
    assert (first["message"]["content"], first["finish_reason"]) == (None, "tool_calls")
    assert first["message"]["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "a", "arguments": '{"x": 1}'}},
        {"id": "call_2", "type": "function", "function": {"name": "b", "arguments": "{}"}},
    ]
    assert caller.message()["tool_calls"] == [{"id": "mine", "type": "function", "function": {"name": "c", "arguments": "{not json"}}]
    third = caller.message()
    assert (third["content"], third["tool_calls"][0]["id"]) == ("Text too", "full")
    assert caller.message()["content"] == "Done"


def contents(raw: bytes) -> list[str]:
    events = [json.loads(frame.removeprefix(b"data: ")) for frame in raw.split(b"\n\n")[:-2]]
    return [event["choices"][0]["delta"]["content"] for event in events if "content" in event["choices"][0]["delta"]]


def test_chunks_cut_the_stream(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"chunks": ["He", "", "llo"], "chunk_delay": 0.001}, {"chunks": ["He", "llo"]}])
    assert contents(caller.chat(stream=True).content) == ["He", "", "llo"]
    assert caller.message()["content"] == "Hello"


def test_halves_of_surrogate_pairs_survive(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"chunks": ["\ud83d", "\ude00"]}])
    assert contents(caller.chat(stream=True).content) == ["\ud83d", "\ude00"]


def test_status_and_body(emulator: Emulator, caller: Caller) -> None:
    emulator.script(
        [
            {"status": 429, "headers": {"Retry-After": "3"}, "json": {"message": "slow down"}},
            {"status": 500},
            {"status": 204},
            {"status": 502, "body": "<html>"},
            {"json": None},
        ]
    )
    busy = caller.chat()
    assert (busy.status_code, busy.headers["Retry-After"], busy.json()) == (429, "3", {"message": "slow down"})
    assert caller.chat().json() == {"detail": "Scripted error"}
    assert caller.chat().status_code == 204
    page = caller.chat()
    assert (page.status_code, page.text, page.headers["Content-Type"]) == (502, "<html>", "text/html; charset=utf-8")
    assert caller.chat().content == b"null"


def test_exact_frames(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"sse": [{"json": {"ä": 1}}, {"data": "x"}, {"sleep": 0.001}, {"raw": ": hi\r\n"}, {"done": True}]}])
    response = caller.chat()
    assert response.content == 'data: {"ä":1}\n\ndata: x\n\n: hi\r\ndata: [DONE]\n\n'.encode()
    assert response.headers["Content-Type"] == "text/event-stream"


def test_answers_wait_for_their_requests(emulator: Emulator, caller: Caller) -> None:
    emulator.script(
        [
            {"when": {"contains": "cat"}, "content": "Meow"},
            {"when": {"path": "/v2/chat/completions"}, "content": "Old"},
            {"when": {"path": "/generate/image", "contains": "fox"}, "json": {"output": "http://x/fox.png"}},
        ]
    )
    assert caller.message("A dog")["content"] != "Meow"
    assert caller.message("A CAT")["content"] == "Meow"
    assert "dog" in caller.post("/generate/image", json={"prompt": "dog"}).request.body.decode()  # type: ignore[union-attr]
    assert caller.post("/generate/image", json={"prompt": "a fox"}).json() == {"output": "http://x/fox.png"}
    assert emulator.answers.left == 1


def test_answers_may_be_used_several_times(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"content": "Twice", "times": 2}, {"content": "Always", "times": None}])
    assert [caller.message()["content"] for _ in range(4)] == ["Twice", "Twice", "Always", "Always"]


def test_delay(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"content": "Late", "delay": 0.01}])
    assert caller.message()["content"] == "Late"


def test_a_message_for_another_path_is_told_apart(emulator: Emulator, caller: Caller) -> None:
    emulator.script([{"when": {"path": "/generate/image"}, "content": "x"}])
    assert 'use "json"' in caller.post("/generate/image", json={"prompt": "x"}).json()["detail"]


def test_malformed_requests_use_up_nothing(emulator: Emulator, caller: Caller) -> None:
    emulator.script(["One"])
    assert caller.post(CHAT, data=b"{").status_code == 422
    assert emulator.answers.left == 1


def test_scripts_add_up(emulator: Emulator) -> None:
    emulator.script(["One"])
    emulator.script({"strict": True, "answers": ["Two"]})
    assert (emulator.answers.left, emulator.answers.strict) == (2, True)
    assert repr(emulator.answers) == "<Script 2 answers left, strict>"
    emulator.script([], strict=False)
    assert emulator.answers.strict is False


def test_first_script_comes_back_with_a_reset(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text('{"strict": true, "answers": ["Eins"]}')
    with Emulator(script=path) as emulator:
        emulator.answers.take("/v3/chat/completions", "")
        emulator.script(["More", "and more"])
        emulator.reset()
        assert (emulator.answers.left, emulator.answers.strict) == (1, True)


def test_the_example_is_a_script(emulator: Emulator, caller: Caller) -> None:
    emulator.script(EXAMPLE)
    assert caller.message("How is the weather?")["tool_calls"][0]["function"]["name"] == "get_weather"
    assert "sunny" in caller.message("How is the weather?")["content"]
    assert caller.message("Paint a lighthouse")["image_prompt"].startswith("a lighthouse")
    assert caller.message("forbidden")["content"] == caller.message("forbidden")["content"]


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([3], "answer 1 of the script must be a string or an object, not number"),
        (["x", {}], "answer 2 of the script answers nothing"),
        ([{"contnt": "x"}], "answer 1 of the script has no setting 'contnt'. Did you mean 'content'"),
        ([{"content": 3}], "'content' in answer 1 of the script must be a string or null, not number"),
        ([{"content": "x", "times": 0}], "'times'.* at least 1"),
        ([{"content": "x", "times": True}], "'times'"),
        ([{"content": "x", "delay": -1}], "'delay' .* must be seconds"),
        ([{"content": "x", "json": {}}], "'content' and 'json', of which only one"),
        ([{"body": "x", "sse": []}], "'body' and 'sse'"),
        ([{"content": "x", "status": 200}], "'content' and 'status'"),
        ([{"status": 42}], "'status' .* from 200 to 599"),
        ([{"sse": [{"jsn": 1}]}], "frame 1 of answer 1 of the script must be an object with one of the keys json, data"),
        ([{"sse": [{"data": 1}]}], "'data' in frame 1 of answer 1 of the script must be a string"),
        ([{"sse": ["data: x"]}], "frame 1"),
        ([{"chunks": ["a"], "content": "b"}], "'chunks' .* do not make up"),
        ([{"tool_calls": []}], "'tool_calls'"),
        ([{"tool_calls": [{"arguments": {}}]}], "needs a 'name'"),
        ([{"tool_calls": [{"nam": "x"}]}], "no setting 'nam'"),
        ([{"tool_calls": [{"function": "x"}]}], "needs a 'function'"),
        ([{"content": "x", "when": {"containing": "x"}}], "'when' in answer 1 of the script has no setting 'containing'"),
        ([{"content": "x", "when": {"contains": 1}}], "'when'"),
        ([{"content": "x", "headers": {"a": 1}}], "'headers'"),
        ({"answer": []}, "A script has no key 'answer'"),
        ({"strict": True}, "a list of answers"),
        ({"answers": [], "strict": 1}, "true or false"),
    ],
)
def test_slips_are_told(answers: Any, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        Script.of(answers)


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"{", "is no JSON"), (b"\xff", "is no JSON"), (b'"x"', "neither a list"), (b"[3]", r"script\.json: answer 1 of the script must be")],
)
def test_slips_in_files_are_told(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "script.json"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=text):
        Script.load(path)


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.json cannot be read: No such file"):
        Script.load(tmp_path / "gone.json")


KEYS = st.sampled_from(["content", "chunks", "tool_calls", "json", "sse", "status", "when", "times", "delay", "usage", "turns", "x"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "data", "function", "contains"]), inner),
    max_leaves=6,
)


@given(st.lists(VALUES | st.dictionaries(KEYS, VALUES, max_size=4), max_size=3))
def test_any_json_is_a_script_or_an_error(answers: list[Any]) -> None:
    try:
        script = Script.of(answers)
    except ConfigurationError:
        return
    for _ in range(3):
        script.take("/v3/chat/completions", "x")
