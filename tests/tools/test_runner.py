"""Rounds of calls, one after the other."""

from __future__ import annotations

import contextvars
import threading
from typing import Any

import pytest

from animus.errors import ToolError
from animus.events import Event, ToolCallComplete, ToolCallError, ToolCallStart
from animus.tools import Replace, Toolbox, ToolCallRequest, ToolLimits, ToolRun, Veto
from tests.tools.samples import Place, add, call, fail, get_weather

IDS = {"chat_id": "chat_1", "conversation_id": "conv_1", "message_type": "regular"}


def _round(tools: list[Any], calls: list[Any], *, cut: threading.Event | None = None, **options: Any) -> tuple[list[str], list[Event]]:
    said: list[Event] = []
    results = ToolRun(Toolbox(tools, **options)).round(calls, say=said.append, ids=IDS, cut=cut)
    return [result.content for result in results], said


def test_results_and_events_in_order_of_the_calls() -> None:
    calls = [call("add", '{"a": 1}', "x"), call("get_weather", '{"city": "Oslo"}', "y")]
    contents, said = _round([add, get_weather], calls)
    assert contents == ["2", "Oslo: 21 degrees celsius"]
    first: dict[str, Any] = {"tool_call_id": "x", "tool_name": "add", "arguments": '{"a": 1}', **IDS}
    assert said[:2] == [ToolCallStart(**first), ToolCallComplete(result="2", **first)]
    assert [event.name for event in said] == ["tool_call_start", "tool_call_complete"] * 2


def test_function_that_raises_is_told_to_the_model() -> None:
    contents, said = _round([fail, add], [call("fail", '{"text": "no fuel"}'), call("add", '{"a": 1}')])
    assert contents == ["Error: ValueError: no fuel", "2"]
    assert isinstance(said[1], ToolCallError)
    assert isinstance(said[1].error, ValueError)


def test_function_that_raises_ends_the_run_if_told_so() -> None:
    said: list[Event] = []
    run = ToolRun(Toolbox([fail, add], raise_errors=True))
    with pytest.raises(ToolError) as raised:
        run.round([call("add", '{"a": 1}', "1"), call("fail", "{}", "2"), call("add", '{"a": 2}', "3")], say=said.append)
    assert isinstance(raised.value.__cause__, ValueError)
    assert "'fail' raised ValueError: out of order" in str(raised.value)
    assert [result.content for result in raised.value.results] == [
        "2",
        "Error: ValueError: out of order",
        "Not called: the tool 'fail' raised ValueError: out of order.",
    ]
    assert tuple(raised.value.results) == run.last_results == run.results
    assert len(said) == 4


def test_what_the_model_gets_wrong_is_told_even_then() -> None:
    contents, said = _round([add], [call("add", '{"a": "x"}'), call("plus")], raise_errors=True)
    assert contents[0] == "Error: the arguments of add are not valid: a: Expected `int`, got `str`"
    assert contents[1] == "Error: there is no tool 'plus' that can be called; there are: add"
    assert [type(event) for event in said] == [ToolCallStart, ToolCallError] * 2


def test_result_that_has_no_text() -> None:
    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("mute")

    def look() -> Mute:
        return Mute()

    assert _round([look], [call("look")])[0] == ["Error: RuntimeError: mute"]


def test_function_that_gives_a_coroutine() -> None:
    async def later() -> int:
        return 1

    def look() -> Any:
        return later()

    contents, _ = _round([look], [call("look")])
    assert contents == ["Error: TypeError: the function is async, and this package is synchronous"]


def test_calls_without_ids_get_some() -> None:
    results = ToolRun(Toolbox([add])).round([call("add", '{"a": 1}', None), call("add", '{"a": 2}', None), {"function": None}])
    assert [result.call_id for result in results] == ["call_1", "call_2", "call_3"]
    assert results[2].is_error


def test_keyboard_interrupt_passes_through() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    run = ToolRun(Toolbox([add, stop]))
    with pytest.raises(KeyboardInterrupt):
        run.round([call("add", '{"a": 1}', "1"), call("stop", "{}", "2"), call("add", '{"a": 2}', "3")])
    assert [result.content for result in run.last_results] == [
        "2",
        "Cancelled: this call was begun; what came of it is not known.",
        "Cancelled: this call was not made.",
    ]


def test_functions_run_in_the_calling_thread_and_context() -> None:
    user = contextvars.ContextVar("user", default="nobody")
    user.set("ada")

    def who() -> str:
        return f"{user.get()} {threading.current_thread() is threading.main_thread()}"

    assert _round([who], [call("who")])[0] == ["ada True"]


# ---- cutting -------------------------------------------------------------------------------------------


def test_cut_before_the_round() -> None:
    cut = threading.Event()
    cut.set()
    contents, said = _round([add], [call("add", '{"a": 1}')], cut=cut)
    assert contents == ["Cancelled: this call was not made."]
    assert said == []


def test_cut_by_a_function_spares_those_that_have_not_begun() -> None:
    cut = threading.Event()

    def leave() -> str:
        cut.set()
        return "left"

    contents, _ = _round([leave, add], [call("leave"), call("add", '{"a": 1}')], cut=cut)
    assert contents == ["left", "Cancelled: this call was not made."]


def test_cut_by_a_receiver_spares_the_call_it_was_told_of() -> None:
    cut = threading.Event()
    called: list[int] = []

    def note(number: int) -> None:
        called.append(number)

    said: list[Event] = []

    def say(event: Event) -> None:
        said.append(event)
        cut.set()

    results = ToolRun(Toolbox([note])).round([call("note", '{"number": 1}'), call("note", '{"number": 2}')], say=say, cut=cut)
    assert (called, [result.is_error for result in results]) == ([], [True, True])
    assert [type(event) for event in said] == [ToolCallStart, ToolCallError]


def test_receiver_that_raises_leaves_a_result_for_each_call() -> None:
    def say(event: Event) -> None:
        if isinstance(event, ToolCallComplete):
            raise RuntimeError("receiver")

    run = ToolRun(Toolbox([add]))
    with pytest.raises(RuntimeError, match="receiver"):
        run.round([call("add", '{"a": 1}', "1"), call("add", '{"a": 2}', "2")], say=say)
    assert [result.content for result in run.last_results] == ["2", "Cancelled: this call was not made."]


def test_closed_steps_call_nothing_further() -> None:
    called: list[int] = []

    def note(number: int) -> None:
        called.append(number)

    run = ToolRun(Toolbox([note]))
    steps = run.steps([call("note", '{"number": 1}'), call("note", '{"number": 2}')])
    assert [next(steps).name, next(steps).name, next(steps).name] == ["tool_call_start", "tool_call_complete", "tool_call_start"]
    steps.close()
    assert called == [1]
    assert [result.is_error for result in run.results] == [False, True]


# ---- hooks ---------------------------------------------------------------------------------------------


def test_before_sees_checked_arguments() -> None:
    def visit(place: Place, nights: int = 1) -> str:
        return place.city

    seen: list[ToolCallRequest] = []

    def before(request: ToolCallRequest) -> None:
        seen.append(request)

    text = '{"place": {"city": "Oslo"}}'
    assert _round([visit], [call("visit", text, "x"), call("visit", "{}"), call("other")], before=before)[0][0] == "Oslo"
    assert seen == [ToolCallRequest(id="x", name="visit", arguments={"place": Place("Oslo")}, text=text, round=1)]


def test_before_vetoes() -> None:
    called: list[int] = []

    def note(number: int) -> None:
        called.append(number)

    contents, said = _round([note], [call("note", '{"number": 1}')], before=lambda request: Veto("ask the user first"))
    assert (contents, called) == (["Not allowed: ask the user first"], [])
    assert [type(event) for event in said] == [ToolCallStart, ToolCallError]


@pytest.mark.parametrize(
    ("given", "content"), [("cached", "cached"), (Replace(None), "null"), ({"a": 1}, '{"a":1}'), (Replace(True), "true"), (0, "0")]
)
def test_before_replaces(given: object, content: str) -> None:
    contents, said = _round([fail], [call("fail")], before=lambda request: given)
    assert contents == [content]
    assert isinstance(said[1], ToolCallComplete)


@pytest.mark.parametrize("given", [True, False])
def test_before_that_gives_a_truth_value_is_a_mistake(given: bool) -> None:
    with pytest.raises(ToolError, match="Give None to go on"):
        _round([add], [call("add", '{"a": 1}')], before=lambda request: given)


def test_after_sees_what_the_function_gave() -> None:
    seen: list[Any] = []

    def look(city: str) -> Place:
        return Place(city)

    def after(request: ToolCallRequest, value: Any) -> Any:
        seen.append((request.name, value))
        return {"Rome": None, "Oslo": "closed", "Bonn": Replace(None), "Bern": Veto("secret")}[value.city]

    calls = [call("look", f'{{"city": "{city}"}}') for city in ("Rome", "Oslo", "Bonn", "Bern")]
    contents, said = _round([look], calls, after=after)
    assert contents == ['{"city":"Rome","country":null,"unit":"celsius"}', "closed", "null", "Not allowed: secret"]
    assert seen[0] == ("look", Place("Rome"))
    assert isinstance(said[-1], ToolCallError)


def test_after_sees_replacements_but_no_errors() -> None:
    seen: list[Any] = []

    def before(request: ToolCallRequest) -> object:
        return 7 if request.name == "add" else None

    _round([add, fail], [call("add", '{"a": 1}'), call("fail")], before=before, after=lambda request, value: seen.append(value))
    assert seen == [7]


@pytest.mark.parametrize("name", ["before", "after"])
def test_hook_that_raises_ends_the_run(name: str) -> None:
    def hook(*given: object) -> None:
        raise KeyError("hook")

    hooks: Any = {name: hook}
    with pytest.raises(ToolError, match=f"the {name} hook raised KeyError: 'hook' at the tool 'add'") as raised:
        ToolRun(Toolbox([add], **hooks)).round([call("add", '{"a": 1}', "1"), call("add", '{"a": 2}', "2")])
    assert isinstance(raised.value.__cause__, KeyError)
    assert [result.is_error for result in raised.value.results] == [True, True]


def test_round_is_counted_for_the_hooks() -> None:
    seen: list[int] = []
    run = ToolRun(Toolbox([add], before=lambda request: seen.append(request.round)), limits=ToolLimits(identical_calls=None))
    run.round([call("add", '{"a": 1}')])
    run.round([call("add", '{"a": 1}')] * 2)
    assert seen == [1, 2, 2]
