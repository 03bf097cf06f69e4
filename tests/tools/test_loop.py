"""The loop over a callable that completes."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from animus.errors import ApiError, ConfigurationError, StreamInterruptedError, ToolError
from animus.events import Event
from animus.models.chat import ChatCompletion, decode_completion
from animus.testing.clock import ManualClock
from animus.tools import Toolbox, ToolRunResult, run_tools
from tests.tools.samples import add, call, fail, get_weather

LOOK_UP: dict[str, Any] = {"type": "function", "function": {"name": "look_up"}}
QUESTION: dict[str, Any] = {"role": "user", "content": "What is one and two?"}


def completion(text: str | None = None, *calls: dict[str, object]) -> ChatCompletion:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = calls
    return decode_completion(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())


class Model:
    """Gives its answers in order, the last one again and again; an exception among them is raised."""

    def __init__(self, *answers: ChatCompletion | BaseException) -> None:
        self._answers = list(answers)
        self.asked: list[list[dict[str, Any]]] = []

    def __call__(self, messages: list[dict[str, Any]]) -> ChatCompletion:
        self.asked.append(messages)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


def test_loop_until_the_model_is_done() -> None:
    one, two = call("add", '{"a": 1, "b": 2}', "x"), call("get_weather", '{"city": "Oslo"}', "y")
    model = Model(completion(None, one, two), completion("It is three, and fair."))
    said: list[Event] = []
    result = run_tools(model, [QUESTION], [add, get_weather], say=said.append, ids={"chat_id": "c"})
    assert result.text == "It is three, and fair."
    assert result.messages == (
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [one, two]},
        {"role": "tool", "tool_call_id": "x", "content": "3"},
        {"role": "tool", "tool_call_id": "y", "content": "Oslo: 21 degrees celsius"},
        {"role": "assistant", "content": "It is three, and fair."},
    )
    assert model.asked == [[QUESTION], list(result.messages[:4])]
    assert (result.rounds, len(result.completions), [r.name for r in result.results]) == (1, 2, ["add", "get_weather"])
    assert [event.name for event in said] == ["tool_call_start", "tool_call_complete"] * 2
    assert {getattr(event, "chat_id", None) for event in said} == {"c"}


def test_answer_without_calls() -> None:
    result = run_tools(Model(completion("Hello")), [QUESTION], [add])
    assert (result.text, result.rounds, result.results) == ("Hello", 0, ())


def test_nothing_of_the_callers_is_changed() -> None:
    messages = [dict(QUESTION)]
    run_tools(Model(completion(None, call("add", '{"a": 1}')), completion("2")), messages, [add])
    assert messages == [QUESTION]


def test_calls_without_id_are_answered_with_the_same_one() -> None:
    result = run_tools(Model(completion(None, call("add", '{"a": 1}', None)), completion("2")), [QUESTION], [add])
    assert result.messages[1]["tool_calls"][0]["id"] == result.messages[2]["tool_call_id"] == "call_1"


def test_call_of_a_definition_ends_the_loop() -> None:
    asked = call("look_up", '{"q": 1}')
    result = run_tools(Model(completion("Let me see.", asked)), [QUESTION], [add, LOOK_UP])
    assert result.completion is not None
    assert [one.function.name for one in result.completion.tool_calls] == ["look_up"]
    assert result.messages[-1] == {"role": "assistant", "content": "Let me see.", "tool_calls": [asked]}


def test_model_mends_its_mistake() -> None:
    model = Model(completion(None, call("add", '{"b": 2}', "1")), completion(None, call("add", '{"a": 1, "b": 2}', "2")), completion("3"))
    result = run_tools(model, [QUESTION], [add])
    assert [r.content for r in result.results] == ["Error: the arguments of add are not valid: a is missing", "3"]
    assert result.text == "3"


def test_limit_keeps_all_and_can_be_continued() -> None:
    answers = [completion(f"step {number}", call("add", f'{{"a": {number}}}', f"id_{number}")) for number in range(9)]
    with pytest.raises(ToolError) as raised:
        run_tools(Model(*answers), [QUESTION], [add], limits={"rounds": 3})
    partial = raised.value.partial
    assert (raised.value.limit, partial.rounds, len(partial.completions)) == ("rounds", 3, 4)
    assert [result.content for result in partial.results[:3]] == ["1", "2", "3"]
    calls = [call["id"] for message in partial.messages for call in message.get("tool_calls", ())]
    assert [message["tool_call_id"] for message in partial.messages if message["role"] == "tool"] == calls
    assert run_tools(Model(completion("So it is three.")), partial.messages, [add]).messages[:-1] == partial.messages


def test_endless_identical_calls_are_ended_by_default() -> None:
    model = Model(completion(None, call("add", '{"a": 1}')))
    with pytest.raises(ToolError) as raised:
        run_tools(model, [QUESTION], [add])
    assert (raised.value.limit, len(model.asked)) == ("identical_calls", 4)


def test_seconds_count_the_answers_between_the_calls() -> None:
    clock = ManualClock()
    number = 0

    def complete(messages: list[dict[str, Any]]) -> ChatCompletion:
        nonlocal number
        number += 1
        clock.advance(50)
        return completion(None, call("add", f'{{"a": {number}}}'))

    with pytest.raises(ToolError) as raised:
        run_tools(complete, [QUESTION], [add], clock=clock)
    assert (raised.value.limit, number) == ("seconds", 4)


def test_error_of_the_api_has_what_was_gathered() -> None:
    model = Model(completion(None, call("add", '{"a": 1}')), ApiError("gone", status=500))
    with pytest.raises(ApiError) as raised:
        run_tools(model, [QUESTION], [add])
    assert [result.content for result in raised.value.partial.results] == ["2"]
    assert len(raised.value.partial.messages) == 3


def test_partial_of_a_stream_is_kept() -> None:
    half = completion("half")
    with pytest.raises(StreamInterruptedError) as raised:
        run_tools(Model(StreamInterruptedError("torn", partial=half)), [QUESTION], [add])
    assert raised.value.partial is half


def test_interrupt_has_what_was_gathered() -> None:
    with pytest.raises(KeyboardInterrupt) as raised:
        run_tools(Model(completion(None, call("add", '{"a": 1}')), KeyboardInterrupt()), [QUESTION], [add])
    assert raised.value.partial.rounds == 1  # type: ignore[attr-defined]


def test_raised_error_has_cause_and_partial_and_pickles() -> None:
    with pytest.raises(ToolError) as raised:
        run_tools(Model(completion(None, call("fail"))), [QUESTION], [fail], raise_errors=True)
    assert isinstance(raised.value.__cause__, ValueError)
    copy = pickle.loads(pickle.dumps(raised.value))
    assert copy.partial.messages == raised.value.partial.messages
    assert copy.results[0].content == "Error: ValueError: out of order"


def test_toolbox_brings_its_own_options() -> None:
    box = Toolbox([add], before=lambda request: "seven")
    result = run_tools(Model(completion(None, call("add", '{"a": 1}')), completion("done")), [QUESTION], box)
    assert result.results[0].content == "seven"


def test_refused_arguments() -> None:
    with pytest.raises(ValueError, match=r"messages\[0\] must be a mapping"):
        run_tools(Model(completion("x")), ["hi"], [add])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="second tool"):
        run_tools(Model(completion("x")), [QUESTION], [add, add])


def test_result_before_the_first_answer() -> None:
    assert (ToolRunResult().completion, ToolRunResult().text) == (None, "")
