"""The policy as a value, and the budget."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.http.failure import Failure
from animus.testing.clock import ManualClock
from animus.transport.budget import RetryBudget
from animus.transport.call import Call, Cancellation
from animus.transport.pauses import Pauses
from animus.transport.policy import RetryPolicy, repeats_failure
from tests.forking import Child


def test_what_users_may_give() -> None:
    default = RetryPolicy(repeats=7)
    assert RetryPolicy.make(None, default) is default
    assert RetryPolicy.make(RetryPolicy(base=1), default) == RetryPolicy(base=1)
    assert RetryPolicy.make({"base": 1}, default) == RetryPolicy(repeats=7, base=1)
    assert RetryPolicy.make(0, default) == RetryPolicy(repeats=0)
    assert RetryPolicy.make(False, default) == RetryPolicy(repeats=0)
    assert RetryPolicy.make(True, default) == default
    for nonsense in ("3", 1.5, [1], -1):
        with pytest.raises(ConfigurationError):
            RetryPolicy.make(nonsense)
    with pytest.raises(ConfigurationError, match="repeat_unanswered"):
        RetryPolicy.make({"repeatUnanswered": True})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("repeats", -1),
        ("repeats", 1.5),
        ("repeats", True),
        ("base", -1),
        ("cap", float("nan")),
        ("retry_after_cap", "60"),
        ("repeat_unanswered", 1),
        ("budget", -1),
        ("idempotency_header", 7),
    ],
)
def test_nonsense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"retry.{name}"):
        RetryPolicy(**{name: value})


def test_it_travels() -> None:
    policy = RetryPolicy(idempotency_header="Idempotency-Key")
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.told_so
    assert not RetryPolicy().told_so


def test_what_nothing_helps_against_is_not_repeated() -> None:
    policy = RetryPolicy(repeat_unanswered=True)
    for failure in (Failure("tls", None, "x"), Failure("invalid", None, "x"), Failure("unanswered", "deadline", "x")):
        assert not repeats_failure(policy, "GET", failure)
    assert not repeats_failure(policy, "GET", Failure("never_connected", "deadline", "x"))


def test_keys_are_made_once_and_differ() -> None:
    policy = RetryPolicy(idempotency_header="Idempotency-Key")
    from animus.http.timeouts import Timeouts

    one, two = (Call(Timeouts(), policy, ManualClock()) for _ in range(2))
    assert one.idempotency_key != two.idempotency_key
    assert len(one.idempotency_key or "") == 32
    assert Call(Timeouts(), RetryPolicy(), ManualClock()).idempotency_key is None


# ---- budget ----------------------------------------------------------------------------------------------


def test_a_budget_is_used_up_and_given_back() -> None:
    budget = RetryBudget(2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    for _ in range(4):
        budget.give_back()
    assert not budget.take()
    budget.give_back()
    assert [budget.take(), budget.take()] == [True, False]
    for _ in range(100):
        budget.give_back()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_no_budget_is_none() -> None:
    budget = RetryBudget(0)
    budget.give_back()
    assert not budget.take()


def test_a_budget_is_exact_over_threads() -> None:
    budget, taken = RetryBudget(50), []
    barrier = threading.Barrier(8)

    def take() -> None:
        barrier.wait(10)
        for _ in range(20):
            if budget.take():
                taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(taken) == 50


# ---- pauses ----------------------------------------------------------------------------------------------


def test_a_pause_takes_its_time() -> None:
    clock = ManualClock()
    assert Pauses(clock).sleep(3.5)
    assert clock.waits == [3.5]


def test_there_are_no_pauses_after_the_end() -> None:
    clock = ManualClock()
    pauses = Pauses(clock)
    inner = Pauses(clock, within=pauses)
    inner.end()
    assert (inner.ended, pauses.ended) == (True, False)
    assert not inner.sleep(1)
    assert pauses.sleep(1)
    pauses.end()
    assert not pauses.sleep(1)
    assert Pauses(clock, within=pauses).ended
    assert clock.waits == [1]


def test_a_cancelled_call_does_not_pause() -> None:
    clock, cancellation = ManualClock(), Cancellation()
    cancellation.cancel()
    assert cancellation.cancelled
    assert not Pauses(clock).sleep(1, cancellation)
    assert clock.waits == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_a_full_budget_and_nobody_asleep() -> None:
    clock = ManualClock(auto_advance=False)
    budget, pauses = RetryBudget(1), Pauses(clock)
    assert budget.take()
    sleeper = threading.Thread(target=pauses.sleep, args=(60,), daemon=True)
    sleeper.start()
    clock.wait_until_blocked()
    with budget._lock:
        child = Child(lambda: [budget.take(), len(pauses._sleeping), pauses.end()])
    assert child.result() == [True, 0, None]
    pauses.end()
    sleeper.join(10)
    assert not sleeper.is_alive()
