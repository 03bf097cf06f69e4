"""Dropping a token: refused by the API, or cleared by the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from animus import FileTokenStore, MemoryTokenStore
from animus._clock import SYSTEM_CLOCK
from animus.errors import AuthenticationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.static import StaticTokenSource
from animus.testing import ManualClock
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted

Managed = Callable[..., TokenManager]


# ---- refused -------------------------------------------------------------------------------------------


def test_a_refused_token_is_replaced_and_the_source_knows(managed: Managed, heard: Heard) -> None:
    source = Scripted("t1", "t2")
    manager = managed(source)
    manager.invalidate(manager.token().value)
    assert manager.token().value == "t2"
    assert [request.force for request in source.asked] == [False, True]
    assert heard.names == ["token_refreshed", "token_cleared", "token_refreshed"]
    assert [event.reason for event in heard.events if event.name == "token_cleared"] == ["rejected"]  # type: ignore[attr-defined]


def test_only_the_current_token_is_dropped(managed: Managed, heard: Heard) -> None:
    manager = managed(Scripted("t1", "t2", "t3"))
    manager.invalidate("t0")
    first = manager.token().value
    manager.invalidate(first)
    manager.invalidate(first)
    assert manager.token().value == "t2"
    manager.invalidate(first)  # a slow thread, whose token is long gone
    assert manager.token().value == "t2"
    assert heard.names.count("token_cleared") == 1


def test_a_hundred_refusals_of_one_token_are_one_fetch(managed: Managed) -> None:
    source = Scripted("t1", "t2", "t3")
    manager = managed(source)
    token = manager.token().value
    barrier = threading.Barrier(100)

    def call() -> str:
        barrier.wait()
        manager.invalidate(token)
        return manager.token().value

    callers = [Caller(call) for _ in range(100)]
    assert {caller.finish() for caller in callers} == {"t2"}
    assert len(source.asked) == 2


def test_the_refused_token_again_is_an_error_for_all_who_ask_now(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    manager = managed(StaticTokenSource("t1"))
    token = manager.token().value
    manager.invalidate(token)
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="very token") as caught:
            manager.token()
        assert caught.value.reason == "rejected_token"
        assert not isinstance(caught.value, TokenSourceError)
        manager.invalidate(token)
    assert heard.names == ["token_refreshed", "token_cleared", "token_refresh_failed"]


def test_nothing_of_it_is_remembered_beyond_a_second(managed: Managed, clock: ManualClock) -> None:
    source = Scripted("t1")
    manager = managed(source)
    manager.invalidate(manager.token().value)
    with pytest.raises(AuthenticationError):
        manager.token()
    clock.advance(1.3)
    assert manager.token().value == "t1"
    assert [request.force for request in source.asked] == [False, True, False]


def test_a_failure_in_between_does_not_make_it_forget_the_refusal(managed: Managed, clock: ManualClock) -> None:
    source = Scripted("t1", TokenSourceError("no", reason="unauthorized"), "t1")
    manager = managed(source)
    manager.invalidate(manager.token().value)
    with pytest.raises(TokenSourceError):
        manager.token()
    clock.advance(1.3)
    with pytest.raises(AuthenticationError, match="very token"):
        manager.token()
    assert [request.force for request in source.asked] == [False, True, True]


def test_a_renewal_under_way_that_brings_the_refused_token_is_asked_again(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate("t1")
    source = Scripted({"token": "t1", "expires_in": 100}, gate, "t3")
    manager = managed(source)
    manager.token()
    clock.advance(80)
    assert manager.token().value == "t1"
    assert gate.entered.wait(20)
    manager.invalidate("t1")
    waiting = Caller(manager.token)
    clock.wait_until_blocked(1)
    gate.opened.set()
    assert waiting.finish().value == "t3"
    assert [request.force for request in source.asked] == [False, False, True]


# ---- cleared -------------------------------------------------------------------------------------------


def test_after_a_clear_the_source_is_asked_anew(managed: Managed, heard: Heard) -> None:
    source = Scripted("t1", "t2")
    manager = managed(source)
    manager.token()
    manager.clear()
    assert manager.token().value == "t2"
    assert [request.force for request in source.asked] == [False, False]
    assert heard.names == ["token_refreshed", "token_cleared", "token_refreshed"]
    assert [event.reason for event in heard.events if event.name == "token_cleared"] == ["cleared"]  # type: ignore[attr-defined]


def test_a_clear_forgets_failures_and_refusals(managed: Managed) -> None:
    manager = managed(Scripted(TokenSourceError("no", reason="unauthorized"), "t1"))
    with pytest.raises(TokenSourceError):
        manager.token()
    manager.clear()
    assert manager.token().value == "t1"
    manager.invalidate("t1")
    manager.clear()
    assert manager.token().value == "t1"


def test_a_fetch_from_before_the_clear_is_used_by_nobody(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate("token-of-the-one-who-left")
    source = Scripted(gate, "t2")
    manager = managed(source)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    waiter = Caller(manager.token)
    clock.wait_until_blocked(1)
    manager.clear()
    late = Caller(manager.token)
    clock.wait_until_blocked(1)
    gate.opened.set()
    assert {caller.finish().value for caller in (leader, waiter, late)} == {"t2"}
    assert len(source.asked) == 2
    assert source.most == 1


def test_a_renewal_from_before_the_clear_is_not_used_either(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    gate = Gate("t2")
    source = Scripted({"token": "t1", "expires_in": 100}, gate, "t3")
    manager = managed(source)
    manager.token()
    clock.advance(80)
    manager.token()
    assert gate.entered.wait(20)
    [errand] = manager._flights._errands
    manager.clear()
    gate.opened.set()
    assert errand.ended.wait(20)
    assert manager.token().value == "t3"
    assert heard.names == ["token_refreshed", "token_cleared", "token_refreshed"]


@pytest.mark.parametrize("kind", ["no store", "memory", "file"])
def test_clearing_while_all_threads_ask_never_brings_an_old_token_back(managed: Managed, tmp_path: Path, kind: str) -> None:
    user = ["u0"]
    store = {"no store": lambda: None, "memory": MemoryTokenStore, "file": lambda: FileTokenStore(tmp_path / "tokens")}[kind]()
    manager = managed(Scripted(lambda: f"token-of-{user[0]}"), store=store, clock=SYSTEM_CLOCK)
    stop = threading.Event()
    signed_in = ["u0"]
    wrong: list[str] = []

    def ask() -> None:
        while not stop.is_set():
            number = int(signed_in[0][1:])
            value = str(manager.token().value)
            if int(value.rpartition("u")[2]) < number:
                wrong.append(value)

    callers = [Caller(ask) for _ in range(8)]
    for number in range(1, 60 if kind == "file" else 300):
        user[0] = f"u{number}"
        manager.clear()
        signed_in[0] = user[0]  # whoever asks from now on must get this one's token, or a later one's
    stop.set()
    for caller in callers:
        caller.finish()
    assert wrong == []
