"""Renewing in time, without anybody waiting."""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable
from typing import Any

import pytest

from animus.errors import TokenSourceError
from animus.events import TokenRefreshed, TokenRefreshFailed
from animus.refresh.manager import TokenManager
from animus.testing import ManualClock
from animus.tokens.token import Token
from animus.tokens.window import margin_of
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted, held_elsewhere

Managed = Callable[..., TokenManager]


def tokens(clock: ManualClock, life: float | None) -> Callable[[], Token]:
    """Give a function that gives numbered tokens with so long a life."""
    counter = iter(range(1, 100_000))
    return lambda: Token(f"t{next(counter)}", None if life is None else clock.time() + life)


def settled(manager: TokenManager) -> None:
    """Wait for the threads of a manager."""
    for errand in list(manager._flights._errands):
        assert errand.ended.wait(20)


# ---- lives ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("life", [1, 10, 60, 240, 3600])
def test_a_token_is_renewed_once_in_its_window_and_never_given_beyond_its_end(life: float, managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, life), background=False)
    manager = managed(source)
    begin = clock.time()
    for _ in range(200):
        token = manager.token()
        assert token.expires_at is not None
        assert clock.time() < token.expires_at
        clock.advance(life / 40)
    passed = clock.time() - begin
    until_renewal = life - margin_of(life)
    assert math.floor(passed / until_renewal) - 2 <= len(source.asked) - 1 <= math.ceil(passed / until_renewal)


@pytest.mark.parametrize("life", [1, 10, 60, 3600])
def test_a_token_that_nobody_asks_for_is_not_renewed(life: float, managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, life))
    manager = managed(source)
    manager.token()
    clock.advance(life * 100)
    assert manager.token().value == "t2"
    assert len(source.asked) == 2


def test_a_token_without_end_is_asked_for_once(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, None))
    manager = managed(source)
    for _ in range(100):
        assert manager.token().value == "t1"
        clock.advance(1e7)
    assert len(source.asked) == 1


def test_a_valid_token_is_handed_out_without_a_lock(managed: Managed, clock: ManualClock) -> None:
    manager = managed(Scripted(tokens(clock, 3600)))
    manager.token()
    with held_elsewhere(manager._lock, manager._flights._lock):
        assert manager.token().value == "t1"
        clock.advance(100)  # long enough to look at both clocks again, which does not wait for the lock either
        assert manager.token().value == "t1"


# ---- clocks --------------------------------------------------------------------------------------------


def test_the_machine_slept(managed: Managed, clock: ManualClock) -> None:
    manager = managed(Scripted(tokens(clock, 3600)))
    manager.token()
    clock.set_time(clock.time() + 7200)
    clock.advance(1)
    assert manager.token().value == "t2"


def test_the_wall_clock_is_put_back(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, 3600))
    manager = managed(source)
    manager.token()
    clock.set_time(clock.time() - 86400)
    clock.advance(3000)
    assert manager.token().value == "t1"
    clock.advance(600)
    assert manager.token().value == "t2"


def test_the_wall_clock_jumps_to_and_fro(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, 3600), background=False)
    manager = managed(source)
    start = clock.time()
    for jump in (1e9, -1e9, 5, -5, 1e6, -1e6, 0):
        clock.set_time(start + jump)
        clock.advance(2)
        manager.token()
        manager.token()
    assert len(source.asked) <= 8


# ---- the window ----------------------------------------------------------------------------------------


def test_one_thread_renews_and_all_others_go_on_with_the_valid_token(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    clock.auto_advance = False
    gate = Gate(lambda: Token("t2", clock.time() + 3600))
    source = Scripted(tokens(clock, 3600), gate)
    manager = managed(source)
    manager.token()
    clock.advance(3545)
    callers = [Caller(manager.token) for _ in range(30)]
    assert {caller.finish().value for caller in callers} == {"t1"}
    assert gate.entered.wait(20)
    clock.advance(5)
    assert manager.token().value == "t1"
    assert [thread.name for thread in threading.enumerate() if thread.name == "animus-token"] == ["animus-token"]
    assert all(thread.daemon for thread in source.threads[1:])
    gate.opened.set()
    settled(manager)
    assert manager.token().value == "t2"
    assert len(source.asked) == 2
    assert source.asked[1].force is False
    last = heard.events[-1]
    assert isinstance(last, TokenRefreshed)
    assert (last.background, last.expires_at, last.source, last.elapsed) == (True, clock.time() + 3600, "scripted", 5.0)
    assert not [thread for thread in threading.enumerate() if thread.name == "animus-token"]


def test_the_thread_has_a_copy_of_the_callers_context(managed: Managed, clock: ManualClock) -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    manager = managed(Scripted(lambda: Token(f"token-of-{user.get()}", clock.time() + 3600)))
    user.set("u1")
    manager.token()
    clock.advance(3550)
    user.set("u2")
    manager.token()
    settled(manager)
    assert manager.token().value == "token-of-u2"
    user.set("u1")


def test_without_background_a_caller_renews(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, 3600), background=False)
    manager = managed(source)
    manager.token()
    clock.advance(3550)
    assert manager.token().value == "t2"
    assert set(source.threads) == {threading.current_thread()}


def test_without_background_the_others_do_not_wait_for_that_caller(managed: Managed, clock: ManualClock) -> None:
    gate = Gate("t2")
    source = Scripted(tokens(clock, 3600), gate, background=False)
    manager = managed(source)
    manager.token()
    clock.advance(3550)
    renewing = Caller(manager.token)
    assert gate.entered.wait(20)
    assert manager.token().value == "t1"
    gate.opened.set()
    assert renewing.finish().value == "t2"


def test_an_interrupt_of_the_renewing_caller_is_his_alone(managed: Managed, clock: ManualClock) -> None:
    manager = managed(Scripted(tokens(clock, 3600), KeyboardInterrupt(), "t3", background=False))
    manager.token()
    clock.advance(3550)
    with pytest.raises(KeyboardInterrupt):
        manager.token()
    assert manager.token().value == "t3"


def test_a_failed_renewal_is_only_told_and_tried_again_later_and_later(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    source = Scripted(tokens(clock, 3600), TokenSourceError("no", reason="unauthorized"))
    manager = managed(source)
    manager.token()
    clock.advance(3540)
    times = []
    for _ in range(590):
        before = len(source.asked)
        assert manager.token().value == "t1"
        settled(manager)
        if len(source.asked) > before:
            times.append(round(clock.monotonic() - 1000 - 3540, 1))
        clock.advance(0.1)
    assert times == [0.0, 1.0, 3.0, 7.0, 15.0, 31.0]
    failed = heard.events[-1]
    assert isinstance(failed, TokenRefreshFailed)
    assert failed.background
    clock.advance(2)
    with pytest.raises(TokenSourceError):
        manager.token()
    assert heard.events[-1].background is False  # type: ignore[attr-defined]


def test_the_end_of_the_token_ends_the_pause(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, 3600), TokenSourceError("no", reason="unauthorized"), lambda: Token("t9", clock.time() + 9))
    manager = managed(source)
    manager.token()
    clock.advance(3599.5)
    assert manager.token().value == "t1"
    settled(manager)
    clock.advance(0.5)
    assert manager.token().value == "t9"


def test_a_success_ends_the_growth_of_pauses(managed: Managed, clock: ManualClock) -> None:
    no = TokenSourceError("no", reason="unauthorized")
    give = tokens(clock, 3600)
    source = Scripted(give, no, no, give, no, give, background=False)
    manager = managed(source)
    manager.token()
    for step, asked in [(3540, 2), (1, 3), (2, 4), (3540, 5), (0.9, 5), (0.1, 6)]:
        clock.advance(step)
        manager.token()
        assert len(source.asked) == asked


def test_who_keeps_its_token_until_the_end_is_not_asked_all_the_time(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    same = Token("t1", clock.time() + 3600)
    source = Scripted(same, background=False)
    manager = managed(source)
    manager.token()
    clock.advance(3540)
    for _ in range(599):
        assert manager.token().value == "t1"
        clock.advance(0.1)
    assert len(source.asked) == 7
    assert heard.names == ["token_refreshed"]


def test_a_token_that_runs_out_while_it_is_renewed_is_waited_for(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate("t2")
    source = Scripted(tokens(clock, 100), gate)
    manager = managed(source)
    manager.token()
    clock.advance(80)
    assert manager.token().value == "t1"
    assert gate.entered.wait(20)
    clock.advance(20)
    waiting = Caller(manager.token)
    clock.wait_until_blocked(1)
    gate.opened.set()
    assert waiting.finish().value == "t2"
    assert len(source.asked) == 2


def test_without_threads_the_valid_token_is_used_and_it_is_tried_again(
    managed: Managed, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def no_start(self: threading.Thread) -> None:
        tries.append(self.name)
        raise RuntimeError("can't start new thread")

    source = Scripted(tokens(clock, 3600))
    manager = managed(source)
    manager.token()
    clock.advance(3550)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_start)
        for _ in range(20):
            assert manager.token().value == "t1"
            clock.advance(0.2)
    assert 3 <= len(tries) <= 5
    assert manager._flights.idle
    clock.advance(1)
    manager.token()
    settled(manager)
    assert manager.token().value == "t2"


@pytest.mark.parametrize("interrupt", [SystemExit(3), KeyboardInterrupt()])
def test_an_interrupt_in_the_thread_ends_only_that(interrupt: BaseException, managed: Managed, clock: ManualClock) -> None:
    source = Scripted(tokens(clock, 3600), interrupt, "t3")
    manager = managed(source)
    manager.token()
    clock.advance(3550)
    assert manager.token().value == "t1"
    settled(manager)
    assert manager.token().value == "t1"
    assert len(source.asked) == 2
    clock.advance(1)
    manager.token()
    settled(manager)
    assert manager.token().value == "t3"


def test_close_waits_for_the_thread(clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate("t2")
    manager = TokenManager(Scripted(tokens(clock, 3600), gate), clock=clock)
    manager.token()
    clock.advance(3550)
    manager.token()
    assert gate.entered.wait(20)
    closing = Caller(manager.close)
    clock.wait_until_blocked(1)
    gate.opened.set()
    closing.finish()
    assert not [thread for thread in threading.enumerate() if thread.name == "animus-token"]
    clock.advance(3550)
    assert manager.token().value == "t2"


def test_close_does_not_wait_for_ever(clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate("t2")
    manager = TokenManager(Scripted(tokens(clock, 3600), gate), clock=clock)
    manager.token()
    clock.advance(3550)
    manager.token()
    assert gate.entered.wait(20)
    closing = Caller(manager.close)
    clock.wait_until_blocked(1)
    clock.advance(3)
    closing.finish()
    gate.opened.set()
    settled(manager)


def test_close_closes_the_source(managed: Managed) -> None:
    closed: list[int] = []
    managed(Scripted("t", close=lambda: closed.append(1))).close()
    assert closed == [1]


def test_receivers_are_called_after_the_token_is_there(managed: Managed, heard: Heard) -> None:
    seen: list[Any] = []
    manager = managed(Scripted("t1"))
    heard.emitter.on("token_refreshed", lambda event: seen.append(manager.token().value))
    manager.token()
    assert seen == ["t1"]


def test_a_strict_receiver_that_raises_harms_no_flight(managed: Managed, heard: Heard) -> None:
    def fail(event: object) -> None:
        raise ValueError("receiver")

    heard.emitter.strict = True
    heard.emitter.on("token_refreshed", fail)
    manager = managed(Scripted("t1"))
    with pytest.raises(ValueError, match="receiver"):
        manager.token()
    assert manager.token().value == "t1"
    own = managed(Scripted("t1", own_thread=True))
    assert own.token().value == "t1"
