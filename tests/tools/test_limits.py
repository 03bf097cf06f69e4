"""Limits end the run, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from animus.errors import ConfigurationError, ToolError
from animus.testing.clock import ManualClock
from animus.tools import Toolbox, ToolLimits, ToolRun
from tests.tools.samples import add, call


def _add(number: int) -> dict[str, object]:
    return call("add", f'{{"a": {number}}}', f"call_{number}")


def test_defaults_are_finite() -> None:
    limits = ToolLimits()
    assert None not in (limits.rounds, limits.seconds, limits.identical_calls)


@pytest.mark.parametrize(
    "value", [{"rounds": 0}, {"seconds": 0}, {"identical_calls": 0}, {"rounds": 1.5}, {"round": 3}, {"seconds": "3"}, 7]
)
def test_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="tool_limits"):
        ToolLimits.make(value)


def test_made_from_a_mapping() -> None:
    default = ToolLimits(rounds=2)
    assert ToolLimits.make({"seconds": None}, default) == ToolLimits(rounds=2, seconds=None)
    assert ToolLimits.make(None, default) is default
    assert ToolLimits.make(default) is default
    assert ToolLimits.make(None) == ToolLimits()


def test_one_round_too_many() -> None:
    run = ToolRun(Toolbox([add]), limits=ToolLimits(rounds=2))
    assert [run.round([_add(number)])[0].content for number in (1, 2)] == ["2", "3"]
    with pytest.raises(ToolError) as raised:
        run.round([_add(3), _add(4)])
    assert raised.value.limit == "rounds"
    assert "more than 2 rounds" in str(raised.value)
    assert [result.call_id for result in raised.value.results] == ["call_3", "call_4"]
    assert all(result.content.startswith("Not called: the model wanted") for result in raised.value.results)
    assert len(run.results) == 4
    assert run.rounds == 2


def test_time_is_looked_at_before_each_call_and_round() -> None:
    clock = ManualClock()

    def work(number: int) -> int:
        clock.advance(4)
        return number

    run = ToolRun(Toolbox([work]), limits=ToolLimits(seconds=10), clock=clock)
    clock.advance(100)  # what was before the first call does not count
    run.round([call("work", '{"number": 1}')])
    with pytest.raises(ToolError) as raised:
        run.round([call("work", f'{{"number": {number}}}', f"call_{number}") for number in (2, 3, 4)])
    assert raised.value.limit == "seconds"
    assert [result.content for result in raised.value.results[:2]] == ["2", "3"]
    assert raised.value.results[2].is_error
    with pytest.raises(ToolError, match="longer than 10 s"):
        run.round([call("work")])


def test_identical_calls_are_counted_over_all_rounds() -> None:
    run = ToolRun(Toolbox([add]), limits=ToolLimits(identical_calls=2))
    run.round([call("add", '{"a": 1, "b": 2}', "1"), call("add", '{"a": 2, "b": 1}', "2")])
    run.round([call("add", ' {"b":2,"a":1}', "3")])
    with pytest.raises(ToolError) as raised:
        run.round([call("add", '{"a": 5}', "4"), call("add", '{"a": 1, "b": 2}', "5"), call("add", '{"a": 6}', "6")])
    assert raised.value.limit == "identical_calls"
    assert [result.content for result in raised.value.results][0] == "6"
    assert [result.is_error for result in raised.value.results] == [False, True, True]


def test_calls_that_cannot_be_made_are_counted_too() -> None:
    run = ToolRun(Toolbox([add]), limits=ToolLimits(identical_calls=2))
    run.round([call("nothing"), call("add", "{")])
    run.round([call("nothing"), call("add", "{")])
    with pytest.raises(ToolError, match="nothing called more than 2 times"):
        run.round([call("nothing")])


def test_limits_can_be_switched_off() -> None:
    clock = ManualClock()
    run = ToolRun(Toolbox([add]), limits={"rounds": None, "seconds": None, "identical_calls": None}, clock=clock)
    for _ in range(50):
        clock.advance(1000)
        assert run.round([_add(1)])[0].content == "2"
    assert run.rounds == 50
