"""Calls of one round at once."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from animus.errors import ToolError
from animus.events import Event, ToolCallEvent
from animus.tools import Toolbox, ToolLimits, ToolRun
from tests.tools.samples import call

_PATIENCE = 30.0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def _calls(name: str, count: int) -> list[dict[str, object]]:
    return [call(name, f'{{"number": {number}}}', str(number)) for number in range(count)]


class Gates:
    """Functions that wait until they are let go, each by its number."""

    def __init__(self, count: int) -> None:
        self.begun = [threading.Event() for _ in range(count)]
        self.open = [threading.Event() for _ in range(count)]

    def work(self, number: int) -> int:
        self.begun[number].set()
        assert self.open[number].wait(_PATIENCE)
        return number


def _heard(events: list[Event]) -> list[str]:
    return [f"{event.name.rpartition('_')[2]} {event.tool_call_id}" for event in events if isinstance(event, ToolCallEvent)]


def test_all_calls_of_a_round_run_at_once() -> None:
    barrier = threading.Barrier(4, timeout=_PATIENCE)

    def meet(number: int) -> int:
        barrier.wait()
        return number

    results = ToolRun(Toolbox([meet], parallel=True)).round(_calls("meet", 4))
    assert [result.content for result in results] == ["0", "1", "2", "3"]


def test_results_in_order_of_calls_and_events_in_order_of_completion() -> None:
    gates = Gates(3)
    said: list[Event] = []
    threads: set[threading.Thread] = set()

    def say(event: Event) -> None:
        said.append(event)
        threads.add(threading.current_thread())
        heard = _heard(said)
        if heard[-1] == "start 2":
            gates.open[1].set()
        if heard[-1] == "complete 1":
            gates.open[2].set()
        if heard[-1] == "complete 2":
            gates.open[0].set()

    results = ToolRun(Toolbox([gates.work], parallel=True)).round(_calls("work", 3), say=say)
    assert [result.content for result in results] == ["0", "1", "2"]
    assert _heard(said) == ["start 0", "start 1", "start 2", "complete 1", "complete 2", "complete 0"]
    assert threads == {threading.current_thread()}


def test_no_more_at_once_than_told() -> None:
    lock = threading.Lock()
    running, most = 0, 0
    pair = threading.Barrier(2, timeout=_PATIENCE)

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait()
        with lock:
            running -= 1
        pair.wait()
        return number

    results = ToolRun(Toolbox([work], parallel=2)).round(_calls("work", 6))
    assert [result.content for result in results] == [str(number) for number in range(6)]
    assert most == 2


def test_workers_see_the_context_of_the_caller_each_its_own_copy() -> None:
    user = contextvars.ContextVar("user", default="nobody")
    user.set("ada")
    barrier = threading.Barrier(2, timeout=_PATIENCE)

    def who(number: int) -> str:
        seen = user.get()
        user.set(f"worker {number}")
        barrier.wait()
        return f"{seen}, {user.get()}"

    results = ToolRun(Toolbox([who], parallel=True)).round(_calls("who", 2))
    assert [result.content for result in results] == ["ada, worker 0", "ada, worker 1"]
    assert user.get() == "ada"


def test_hooks_are_called_in_the_calling_thread() -> None:
    threads: set[threading.Thread] = set()

    def hook(*given: object) -> None:
        threads.add(threading.current_thread())

    def work(number: int) -> bool:
        return threading.current_thread() in threads

    results = ToolRun(Toolbox([work], parallel=True, before=hook, after=hook)).round(_calls("work", 3))
    assert {result.content for result in results} == {"false"}
    assert threads == {threading.current_thread()}


def test_errors_are_results_like_others() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    results = ToolRun(Toolbox([work], parallel=True)).round(_calls("work", 3))
    assert [result.content for result in results] == ["0", "Error: ValueError: one", "2"]


def test_what_runs_is_waited_for_when_one_fails() -> None:
    gates = Gates(4)

    def work(number: int) -> int:
        if number == 1:
            assert gates.begun[0].wait(_PATIENCE)
            raise ValueError("one")
        return gates.work(number)

    def say(event: Event) -> None:
        if event.name == "tool_call_error":
            gates.open[0].set()

    with pytest.raises(ToolError) as raised:
        ToolRun(Toolbox([work], parallel=2, raise_errors=True)).round(_calls("work", 4), say=say)
    contents = [result.content for result in raised.value.results]
    assert contents[:2] == ["0", "Error: ValueError: one"]
    assert all(content.startswith("Not called: ") for content in contents[2:])
    assert not gates.begun[2].is_set()


def test_what_runs_is_waited_for_when_a_limit_is_reached() -> None:
    gates = Gates(1)

    def work(number: int) -> int:
        return gates.work(0)

    calls = [call("work", '{"number": 1}', str(number)) for number in range(4)]

    def say(event: Event) -> None:
        if _heard([event]) == ["start 1"]:
            gates.open[0].set()

    with pytest.raises(ToolError) as raised:
        ToolRun(Toolbox([work], parallel=True), limits=ToolLimits(identical_calls=2)).round(calls, say=say)
    assert raised.value.limit == "identical_calls"
    assert [result.is_error for result in raised.value.results] == [False, False, True, True]


def test_cut_spares_those_that_have_not_begun_and_waits_for_the_others() -> None:
    gates, cut = Gates(4), threading.Event()

    def say(event: Event) -> None:
        if _heard([event]) == ["start 1"]:
            cut.set()
            gates.open[0].set()

    results = ToolRun(Toolbox([gates.work], parallel=True)).round(_calls("work", 4), say=say, cut=cut)
    assert [result.content for result in results] == ["0", *["Cancelled: this call was not made."] * 3]
    assert not any(gate.is_set() for gate in gates.begun[1:])


def test_interrupt_in_a_worker_is_raised_in_the_caller() -> None:
    gates = Gates(2)

    def work(number: int) -> int:
        if number == 1:
            raise KeyboardInterrupt
        return gates.work(number)

    run = ToolRun(Toolbox([work], parallel=True))
    with pytest.raises(KeyboardInterrupt):
        run.round(_calls("work", 2))
    gates.open[0].set()
    for thread in threading.enumerate():
        if thread.name.startswith("animus-tool"):
            assert thread.daemon
            thread.join(_PATIENCE)
    assert [result.is_error for result in run.last_results] == [True, True]


def test_without_threads_to_be_had_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(number: int) -> bool:
        return threading.current_thread() is threading.main_thread()

    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    results = ToolRun(Toolbox([work], parallel=True)).round(_calls("work", 2))
    assert [result.content for result in results] == ["true", "true"]


def test_closed_steps_leave_alone_what_runs() -> None:
    gates = Gates(3)
    run = ToolRun(Toolbox([gates.work], parallel=2))
    steps = run.steps(_calls("work", 3))
    heard: list[Any] = [next(steps), next(steps)]
    gates.open[0].set()
    heard.append(next(steps))
    assert _heard(heard) == ["start 0", "start 1", "complete 0"]
    steps.close()
    gates.open[1].set()
    for thread in threading.enumerate():
        if thread.name.startswith("animus-tool"):
            thread.join(_PATIENCE)
    assert [result.content for result in run.last_results] == [
        "0",
        "Cancelled: this call was begun; what came of it is not known.",
        "Cancelled: this call was not made.",
    ]
