from __future__ import annotations

import copy
import pickle
import threading

import pytest

from animus import _fork
from animus._clock import Clock
from animus.testing import ManualClock


def test_stands_still_until_moved() -> None:
    clock: Clock = ManualClock(1000.0, monotonic=5.0)
    assert (clock.time(), clock.monotonic()) == (1000.0, 5.0)
    assert (clock.time(), clock.monotonic()) == (1000.0, 5.0)


def test_advance_moves_both_clocks() -> None:
    clock = ManualClock(1000.0, monotonic=5.0)
    clock.advance(2.5)
    assert (clock.now, clock.monotonic_now) == (1002.5, 7.5)


def test_advance_never_goes_back() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="set_time"):
        clock.advance(-1)


def test_set_time_moves_the_wall_clock_alone() -> None:
    clock = ManualClock(1000.0, monotonic=5.0)
    clock.set_time(10.0)
    assert (clock.time(), clock.monotonic()) == (10.0, 5.0)


def test_a_wait_jumps_to_its_end() -> None:
    clock = ManualClock(1000.0)
    assert not clock.wait(threading.Event(), 3600)
    assert clock.time() == 4600.0
    assert clock.waits == [3600]


def test_a_wait_for_a_set_event_takes_no_time() -> None:
    clock = ManualClock(1000.0)
    event = threading.Event()
    event.set()
    assert clock.wait(event, 3600)
    assert clock.time() == 1000.0


def test_a_negative_wait_takes_no_time() -> None:
    clock = ManualClock(1000.0)
    assert not clock.wait(threading.Event(), -3)
    assert clock.time() == 1000.0


def waiter(clock: ManualClock, event: threading.Event, timeout: float | None) -> tuple[threading.Thread, list[bool]]:
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(clock.wait(event, timeout)), daemon=True)
    thread.start()
    return thread, results


def test_without_auto_advance_a_wait_ends_when_the_time_has_come() -> None:
    clock = ManualClock(auto_advance=False)
    thread, results = waiter(clock, threading.Event(), 10)
    clock.wait_until_blocked()
    clock.advance(9.5)
    assert clock.blocked == 1
    clock.advance(0.5)
    thread.join(10)
    assert results == [False]
    assert clock.blocked == 0


@pytest.mark.parametrize("auto_advance", [True, False])
def test_a_wait_without_limit_ends_with_its_event(auto_advance: bool) -> None:
    clock = ManualClock(auto_advance=auto_advance)
    event = threading.Event()
    thread, results = waiter(clock, event, None)
    clock.wait_until_blocked()
    event.set()
    thread.join(10)
    assert results == [True]


def test_many_threads_wait_at_once() -> None:
    clock = ManualClock(auto_advance=False)
    waiters = [waiter(clock, threading.Event(), seconds) for seconds in (1, 2, 3)]
    clock.wait_until_blocked(3)
    clock.advance(3)
    for thread, results in waiters:
        thread.join(10)
        assert results == [False]


def test_waiting_for_threads_that_do_not_come_is_an_error() -> None:
    with pytest.raises(TimeoutError, match="0 threads"):
        ManualClock().wait_until_blocked(timeout=0.01)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda clock: pickle.loads(pickle.dumps(clock))])
def test_copies_show_the_same_time(clone: object) -> None:
    clock = ManualClock(1000.0, auto_advance=False)
    clock.advance(1)
    twin = clone(clock)  # type: ignore[operator]
    twin.advance(1)
    assert (clock.now, twin.now, twin.auto_advance) == (1001.0, 1002.0, False)


def test_it_is_reset_after_a_fork() -> None:
    clock = ManualClock()
    assert any(thing is clock for thing in _fork.registered())
    clock._lock.acquire()
    clock._reset_after_fork()
    clock.advance(1)
