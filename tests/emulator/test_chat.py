from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
import requests
from hypothesis import given, strategies as st

from animus.emulator import Emulator
from animus.emulator.answer import Answer
from animus.emulator.builtin import CATEGORIES, answers_to, image_prompt_of, turns_of
from animus.emulator.chat_request import read_chat_request
from animus.emulator.frames import DONE, Heading, stream
from animus.emulator.problem import Problem
from animus.emulator.toolplay import arguments_for
from tests.emulator.caller import CHAT, Caller

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}, "days": {"type": "integer"}},
            "required": ["location", "unit"],
        },
    },
}
TIP = {
    "type": "function",
    "function": {
        "name": "calculate_tip",
        "parameters": {"properties": {"bill_amount": {"type": "number"}, "tip_percentage": {"type": "number"}}},
    },
}


def frames(response: requests.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream"
    *events, done, rest = response.content.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def test_answer_has_the_documented_form(caller: Caller) -> None:
    body = caller.chat("Hello", model="m").json()
    assert (body["id"], body["object"], body["model"]) == ("chat-0001", "chat.completion", "m")
    assert isinstance(body["created"], int)
    [choice] = body["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    words = len(choice["message"]["content"].split())
    assert body["usage"] == {"prompt_tokens": 1, "completion_tokens": words, "total_tokens": words + 1}
    assert body["compliance_violations"] == []


def test_both_versions_answer(caller: Caller, emulator: Emulator) -> None:
    url = f"{emulator.rest_base_url}{CHAT}"
    assert caller.session.post(url, json={"messages": [{"role": "user", "content": "Hi"}]}, timeout=20).status_code == 200


def test_answers_are_always_the_same(caller: Caller) -> None:
    assert caller.message("What is it?") == caller.message("What is it?")
    assert caller.message("What is it?") != caller.message("What is that?")


def test_unknown_fields_are_ignored(caller: Caller) -> None:
    assert caller.chat(frobnicate=True, messages=[{"role": "user", "content": "Hi", "timestamp": "x", "groupId": 3}]).status_code == 200


@pytest.mark.parametrize(
    ("earlier", "text", "expected"),
    [
        ([], "Hi there", "Hello!"),
        ([], "Thank you!", "You are welcome"),
        ([], "My name is Ada.", "Ada"),
        (["My name is Ada."], "What is my name?", "Your name is Ada."),
        ([], "What is my name?", "not told me"),
        (["The first thing"], "The second thing", 'you said "The first thing"'),
        ([], "Tell me something about the sea.", "much to say about the sea,"),
        ([], "x" * 200, "x" * 79 + "…"),
    ],
)
def test_small_talk(caller: Caller, earlier: list[str], text: str, expected: str) -> None:
    messages = [{"role": "user", "content": said} for said in [*earlier, text]]
    assert expected in caller.message(messages=messages)["content"]


def test_several_choices(caller: Caller) -> None:
    choices = caller.chat(n=3).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 3


def test_max_tokens_counts_words(caller: Caller) -> None:
    choice = caller.chat("Hello", max_tokens=3).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello! I am", "length")


@pytest.mark.parametrize("stop", [" am", [" a stand-in", " am", ""]])
def test_stop_ends_the_text(caller: Caller, stop: Any) -> None:
    choice = caller.chat("Hello", stop=stop).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello! I", "stop")


@pytest.mark.parametrize("field", ["reasoning", "show_reasoning"])
def test_reasoning_when_asked_for(caller: Caller, field: str) -> None:
    assert "Hello" in caller.message(**{field: True})["reasoning"]
    assert "reasoning" not in caller.message(**{field: False})


@pytest.mark.parametrize("category", CATEGORIES)
def test_trigger_words_are_violations(caller: Caller, category: str) -> None:
    body = caller.chat(f"Say {category.replace('_', ' ')}!").json()
    assert body["compliance_violations"] == body["choices"][0]["compliance_violations"] == [category]
    assert body["choices"][0]["message"]["content"]


def test_no_moderation_when_it_is_off(caller: Caller) -> None:
    body = caller.chat("murder", compliance=False).json()
    assert "compliance_violations" not in body
    assert "compliance_violations" not in body["choices"][0]


@pytest.mark.parametrize("auto_turn", [True, {"enabled": True, "maxTurns": 2}])
def test_turns_and_next(caller: Caller, auto_turn: Any) -> None:
    message = caller.message("Tell me a story", autoTurn=auto_turn)
    assert message["turns"] == message["content"].split("\n")
    assert (len(message["turns"]), message["next"]) == (3, True)
    assert caller.message("Hello", autoTurn=auto_turn)["next"] is False


@pytest.mark.parametrize("auto_turn", [False, None, {"enabled": False}, {}])
def test_no_turns_when_not_asked_for(caller: Caller, auto_turn: Any) -> None:
    assert not {"turns", "next"} & set(caller.message("Tell me a story", autoTurn=auto_turn))


def test_follow_up_ends_the_story(caller: Caller) -> None:
    messages = [{"role": "user", "content": "A story!"}, {"role": "assistant", "content": "Once…"}]
    message = caller.message(messages=messages, autoTurn=True)
    assert message["next"] is False
    assert message["content"] != caller.message("A story!")["content"]


def test_picture_when_asked_for(caller: Caller) -> None:
    assert caller.message("Please draw me a red fox!", check_image_generation=True)["image_prompt"] == "a red fox"
    assert "image_prompt" not in caller.message("Please draw me a red fox!")
    assert "image_prompt" not in caller.message("Hello", check_image_generation=True)


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("Can you send me a picture of the sea?", "the sea"),
        ("Draw a cat.", "a cat"),
        ("A selfie", "A selfie"),
        ("Hello", None),
    ],
)
def test_what_is_on_the_picture(text: str, prompt: str | None) -> None:
    assert image_prompt_of(text) == prompt


@pytest.mark.parametrize(
    ("text", "turns"),
    [("One. Two! Three?", ["One.", "Two!", "Three?"]), ("One. Two.\n\nThree.", ["One. Two.", "Three."]), ("One", ["One"]), ("", [])],
)
def test_how_turns_are_split(text: str, turns: list[str]) -> None:
    assert turns_of(text) == turns


def test_tool_round(caller: Caller) -> None:
    question = {"role": "user", "content": "How is the weather in New York today?"}
    choice = caller.chat(messages=[question], tools=[WEATHER, TIP]).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", None)
    [call] = choice["message"]["tool_calls"]
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert json.loads(call["function"]["arguments"]) == {"location": "New York", "unit": "celsius"}
    result = {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}
    final = caller.message(messages=[question, choice["message"], result], tools=[WEATHER, TIP])
    assert final["content"] == "The tool get_weather says: 21 degrees"
    assert "tool_calls" not in final


def test_several_tools_at_once(caller: Caller) -> None:
    question = {"role": "user", "content": "Weather in Rome, and calculate_tip for 85.5 at 20 percent"}
    message = caller.message(messages=[question], tools=[WEATHER, TIP])
    calls = message["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "calculate_tip"]
    assert json.loads(calls[1]["function"]["arguments"]) == {"bill_amount": 85.5, "tip_percentage": 20}
    assert len({call["id"] for call in calls}) == 2
    results = [{"role": "tool", "tool_call_id": call["id"], "content": str(number)} for number, call in enumerate(calls)]
    final = caller.message(messages=[question, message, *results])
    assert final["content"] == "The tool get_weather says: 0\nThe tool calculate_tip says: 1"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", None),
        ("auto", None),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "calculate_tip"}}, ["calculate_tip"]),
    ],
)
def test_tool_choice(caller: Caller, choice: Any, names: list[str] | None) -> None:
    calls = caller.message("Hello", tools=[WEATHER, TIP], tool_choice=choice).get("tool_calls")
    assert (calls and [call["function"]["name"] for call in calls]) == names


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {}),
        ({"properties": {"a": {"type": "boolean"}, "b": {"type": "array"}, "c": {"type": "null"}}}, {"a": True, "b": [], "c": None}),
        ({"properties": {"a": {"const": 3}, "b": {"default": 4}, "c": {"examples": [5]}}}, {"a": 3, "b": 4, "c": 5}),
        ({"properties": {"a": {"type": "object", "properties": {"b": {"type": ["integer", "null"]}}}}}, {"a": {"b": 7}}),
        ({"properties": {"a": {"type": "string"}, "b": True}, "required": ["a", "gone"]}, {"a": "Paris"}),
    ],
)
def test_arguments_fit_the_schema(schema: Any, expected: dict[str, Any]) -> None:
    assert arguments_for(schema, "the 7 bridges of Paris") == expected


def test_stream_has_the_documented_form(caller: Caller) -> None:
    chunks = frames(caller.chat("Hello", stream=True))
    assert {(chunk["id"], chunk["object"]) for chunk in chunks} == {("chat-0001", "chat.completion.chunk")}
    assert chunks[0]["choices"] == [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]
    fragments = [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:-1]]
    assert len(fragments) > 5
    assert "".join(fragments) == caller.message("Hello")["content"]
    assert chunks[-1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert chunks[-1]["usage"]["completion_tokens"] > 5
    assert not any("usage" in chunk for chunk in chunks[:-1])


def test_stream_is_chunked_and_the_connection_kept(caller: Caller, emulator: Emulator) -> None:
    response = caller.chat("Hello", stream=True)
    assert response.headers["Transfer-Encoding"] == "chunked"
    caller.chat("Hello")
    assert len({request.connection for request in emulator.requests}) == 1


def test_streamed_extras(caller: Caller) -> None:
    chunks = frames(caller.chat("Draw a story of gore", stream=True, reasoning=True, autoTurn=True, check_image_generation=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert "".join(delta.get("reasoning", "") for delta in deltas).startswith("The user says")
    assert set(deltas[-1]) == {"turns", "next", "image_prompt"}
    assert chunks[-1]["compliance_violations"] == chunks[-1]["choices"][0]["compliance_violations"] == ["gore"]


def test_streamed_choices_are_told_apart(caller: Caller) -> None:
    texts = ["", ""]
    for chunk in frames(caller.chat("Hello", stream=True, n=2)):
        [choice] = chunk["choices"]
        texts[choice["index"]] += choice["delta"].get("content", "")
    assert texts == [choice["message"]["content"] for choice in caller.chat("Hello", n=2).json()["choices"]]


def test_streamed_tool_calls_come_in_pieces(caller: Caller) -> None:
    chunks = frames(caller.chat("weather in Rome and calculate_tip for 5", stream=True, tools=[WEATHER, TIP]))
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for piece in chunk["choices"][0]["delta"].get("tool_calls", ()):
            if "id" in piece:
                calls[piece["index"]] = {"name": piece["function"]["name"], "arguments": ""}
            calls[piece["index"]]["arguments"] += piece["function"]["arguments"]
    assert [call["name"] for call in calls.values()] == ["get_weather", "calculate_tip"]
    assert json.loads(calls[0]["arguments"]) == {"location": "Rome", "unit": "celsius"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@given(st.text(), st.text() | st.none(), st.lists(st.text(), max_size=3) | st.none())
def test_frames_hold_the_whole_text(content: str, reasoning: str | None, turns: list[str] | None) -> None:
    heading = Heading(id="c", created=1, model="m")
    *events, done = stream(heading, [Answer(content=content, reasoning=reasoning, turns=turns)])
    deltas = [json.loads(event.removeprefix(b"data: "))["choices"][0]["delta"] for event in events]
    assert done == DONE
    assert "".join(delta.get("content", "") for delta in deltas) == content
    assert "".join(delta.get("reasoning", "") for delta in deltas) == (reasoning or "")
    assert deltas[-1].get("turns") == turns


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", ["body", 0]),
        (b"{", ["body", 1]),
        (b"[]", ["body"]),
        (b"{}", ["body", "messages"]),
        ({"messages": "x"}, ["body", "messages"]),
        ({"messages": [1]}, ["body", "messages", 0]),
        ({"messages": [{"content": "x"}]}, ["body", "messages", 0, "role"]),
        ({"messages": [{"role": "robot", "content": "x"}]}, ["body", "messages", 0, "role"]),
        ({"messages": [{"role": "user"}]}, ["body", "messages", 0, "content"]),
        ({"messages": [{"role": "user", "content": 5}]}, ["body", "messages", 0, "content"]),
        ({"messages": [{"role": "tool", "content": "x"}]}, ["body", "messages", 0, "tool_call_id"]),
        ({"messages": [{"role": "assistant", "tool_calls": [1]}]}, ["body", "messages", 0, "tool_calls", 0]),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]}]},
            ["body", "messages", 0, "tool_calls", 0, "id"],
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {}}}]}]},
            ["body", "messages", 0, "tool_calls", 0, "function", "arguments"],
        ),
        ({"messages": [], "stream": "yes"}, ["body", "stream"]),
        ({"messages": [], "stream": 1}, ["body", "stream"]),
        ({"messages": [], "n": True}, ["body", "n"]),
        ({"messages": [], "n": 0}, ["body", "n"]),
        ({"messages": [], "temperature": 2.1}, ["body", "temperature"]),
        (b'{"messages": [], "length_penalty": NaN}', ["body", "length_penalty"]),
        ({"messages": [], "max_tokens": 1.5}, ["body", "max_tokens"]),
        ({"messages": [], "stop": [1]}, ["body", "stop", 0]),
        ({"messages": [], "tools": [1]}, ["body", "tools", 0]),
        ({"messages": [], "tools": [{"type": "function"}]}, ["body", "tools", 0, "function"]),
        ({"messages": [], "tool_choice": "maybe"}, ["body", "tool_choice"]),
        ({"messages": [], "autoTurn": "on"}, ["body", "autoTurn"]),
    ],
)
def test_malformed_bodies_are_422(caller: Caller, body: Any, place: list[Any]) -> None:
    response = caller.post(CHAT, data=body if isinstance(body, bytes) else json.dumps(body))
    assert response.status_code == 422
    [error] = response.json()["detail"]
    assert error["loc"] == place
    assert error["msg"]


def test_all_errors_are_told_at_once(caller: Caller) -> None:
    assert len(caller.chat(n=0, stream="x", temperature=-1).json()["detail"]) == 3


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "messages must not be empty"),
        ([{"role": "tool", "content": "x", "tool_call_id": "call_1"}], "messages[0] answers a tool call that no earlier message makes"),
    ],
)
def test_messages_that_do_not_fit_are_400(caller: Caller, messages: list[Any], text: str) -> None:
    response = caller.chat(messages=messages)
    assert (response.status_code, response.json()) == (400, {"detail": text})


SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2))
FIELDS = st.sampled_from(["messages", "stream", "n", "temperature", "tools", "tool_choice", "stop", "autoTurn", "max_tokens", "model"])
MESSAGES = st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "tool_call_id"]), JSON | st.just("user")), max_size=3)


@given(st.dictionaries(FIELDS, JSON | MESSAGES))
def test_any_body_is_read_or_refused(body: dict[str, Any]) -> None:
    with contextlib.suppress(Problem):
        assert answers_to(read_chat_request(json.dumps(body).encode()))


def test_parts_of_a_message_are_read(caller: Caller) -> None:
    parts = [{"type": "text", "text": "My name is Ada."}, {"type": "image_url", "image_url": {"url": "http://x"}}]
    assert "Ada" in caller.message(messages=[{"role": "user", "content": parts}])["content"]
