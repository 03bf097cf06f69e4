"""Limits as values."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.http.timeouts import Deadline, Timeouts
from animus.testing.clock import ManualClock


def test_everything_is_finite_by_default_but_the_whole_call() -> None:
    assert Timeouts() == Timeouts(connect=10.0, read=120.0, first_event=120.0, idle=60.0, deadline=None)


@pytest.mark.parametrize("name", ["connect", "read", "first_event", "idle", "deadline"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "10", True, [1]])
def test_nonsense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"timeouts.{name}"):
        Timeouts(**{name: value})


def test_what_users_may_give() -> None:
    default = Timeouts(connect=3)
    assert Timeouts.make(None, default) is default
    assert Timeouts.make(Timeouts(read=1), default) == Timeouts(read=1)
    assert Timeouts.make({"read": 1}, default) == Timeouts(connect=3, read=1)
    assert Timeouts.make(5, default) == Timeouts(connect=3, deadline=5)
    assert Timeouts.make(None) == Timeouts()
    for nonsense in ("5", True, [1], 0):
        with pytest.raises(ConfigurationError):
            Timeouts.make(nonsense)
    with pytest.raises(ConfigurationError, match="first_event"):
        Timeouts.make({"firstEvent": 1})


def test_it_travels() -> None:
    assert pickle.loads(pickle.dumps(Timeouts(read=1))) == Timeouts(read=1)


def test_a_deadline_runs() -> None:
    clock = ManualClock()
    deadline = Deadline(10, clock)
    assert (deadline.remaining(), deadline.over(), deadline.within(4), deadline.within(None)) == (10, False, 4, 10)
    clock.advance(9)
    assert (deadline.remaining(), deadline.over(), deadline.within(4)) == (1, False, 1)
    clock.advance(1)
    assert (deadline.remaining(), deadline.over()) == (0, True)
    clock.advance(1)
    assert (deadline.remaining(), deadline.over()) == (-1, True)


def test_no_deadline_never_ends() -> None:
    deadline = Deadline(None, ManualClock())
    assert (deadline.end, deadline.remaining(), deadline.over(), deadline.within(4), deadline.within(None)) == (None, None, False, 4, None)
