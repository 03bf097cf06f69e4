"""The storms of ``benchmarks/storms.py``, counted: who asks how often does not depend on any speed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from animus._clock import SYSTEM_CLOCK
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.testing import ManualClock
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted

Managed = Callable[..., TokenManager]


def storm(count: int, work: Callable[[int], Any]) -> list[Caller]:
    """Have so many threads do ``work(number)`` at once."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Any:
        barrier.wait(60)
        return work(number)

    return [Caller(lambda number=number: run(number)) for number in range(count)]


@pytest.mark.parametrize("threads", [32, 1000])
def test_cold_threads_are_one_fetch(managed: Managed, heard: Heard, threads: int) -> None:
    gate = Gate("t1")
    source = Scripted(gate, "t2")
    manager = managed(source, clock=SYSTEM_CLOCK)  # waits take real time, for the gate is the test's
    callers = storm(threads, lambda _: manager.token().value)
    assert gate.entered.wait(60)
    gate.opened.set()
    assert {caller.finish() for caller in callers} == {"t1"}
    assert len(source.asked) == 1
    assert heard.names == ["token_refreshed"]


def test_a_provider_that_is_down_is_one_fetch_and_32_failures(managed: Managed, heard: Heard) -> None:
    gate = Gate(TokenSourceError("down", reason="server_error", status=503))
    source = Scripted(gate, "t2")
    manager = managed(source, repeats=False, clock=SYSTEM_CLOCK)
    callers = storm(32, lambda _: manager.token())
    assert gate.entered.wait(60)
    gate.opened.set()
    for caller in callers:
        with pytest.raises(TokenSourceError, match="down"):
            caller.finish()
    assert len(source.asked) == 1
    assert heard.names == ["token_refresh_failed"]


class WithoutText(Exception):
    """Cannot be looked at, as a plugin's own may be."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def exceptions(self) -> Any:
        raise RuntimeError("no members")


class RefusedWithoutText(TokenSourceError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize("failure", [WithoutText, RefusedWithoutText])
def test_a_failure_that_cannot_be_looked_at_is_one_fetch_too(managed: Managed, failure: type[Exception]) -> None:
    gate = Gate(failure())
    source = Scripted(gate, "t2")
    manager = managed(source, repeats=False, clock=SYSTEM_CLOCK)
    callers = storm(16, lambda _: manager.token())
    assert gate.entered.wait(60)
    gate.opened.set()
    for caller in callers:
        with pytest.raises(TokenSourceError, match=failure.__name__):
            caller.finish()
    assert len(source.asked) == 1


def test_a_store_whose_failures_cannot_be_looked_at_is_done_without(managed: Managed) -> None:
    class Failing:
        def load(self, *_: Any) -> Any:
            raise WithoutText

        save = delete = lock = load

    gate = Gate({"token": "t1", "expires_in": 3600})
    source = Scripted(gate, "t2")
    manager = managed(source, store=Failing(), clock=SYSTEM_CLOCK)
    callers = storm(16, lambda _: manager.token().value)
    assert gate.entered.wait(60)
    gate.opened.set()
    assert {caller.finish() for caller in callers} == {"t1"}
    assert len(source.asked) == 1


def test_a_provider_that_is_down_is_repeated_once_for_all(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    source = Scripted(TokenSourceError("down", reason="server_error", status=503))
    manager = managed(source)
    callers = storm(32, lambda _: manager.token())
    clock.wait_until_blocked(32)  # one pauses before it asks again, the others wait for it
    clock.advance(0.6)
    for caller in callers:
        with pytest.raises(TokenSourceError) as caught:
            caller.finish()
        assert caught.value.attempts == 2
    assert len(source.asked) == 2


def test_staggered_refusals_are_one_renewal(managed: Managed, heard: Heard) -> None:
    source = Scripted("t1", "t2", "t3")
    manager = managed(source)
    token = manager.token().value
    # each thread's refusal comes when the one before has its new token: no two of them at once
    turns = [threading.Event() for _ in range(33)]
    turns[0].set()

    def refused(number: int) -> str:
        assert turns[number].wait(60)
        manager.invalidate(token)
        try:
            return str(manager.token().value)
        finally:
            turns[number + 1].set()

    assert {caller.finish() for caller in storm(32, refused)} == {"t2"}
    assert len(source.asked) == 2
    assert heard.names.count("token_cleared") == 1


def test_a_renewal_under_load_is_one_and_nobody_waits_for_it(managed: Managed, clock: ManualClock) -> None:
    gate = Gate("t2")
    source = Scripted({"token": "t1", "expires_in": 100}, gate, "t3")
    manager = managed(source)
    manager.token()
    clock.advance(80)
    # the gate is shut until all of them have what they wanted
    assert {caller.finish() for caller in storm(32, lambda _: [manager.token().value for _ in range(50)][-1])} == {"t1"}
    assert gate.entered.wait(60)
    [errand] = manager._flights._errands
    gate.opened.set()
    assert errand.ended.wait(60)
    assert manager.token().value == "t2"
    assert len(source.asked) == 2
