"""However many ask, the source is asked once."""

from __future__ import annotations

import contextvars
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from animus import MemoryTokenStore
from animus._clock import SYSTEM_CLOCK
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.chain import ChainTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenRequest
from animus.sources.url import UrlTokenSource
from animus.stores.protocol import store_key
from animus.testing import ManualClock
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted
from tests.sources.provider import Answer, serving
from tests.tokens.minting import mint

Managed = Callable[..., TokenManager]


@pytest.fixture
def standing() -> ManualClock:
    """A clock for tests in which several threads wait."""
    return ManualClock(1795600000.0, auto_advance=False)


def refusal() -> TokenSourceError:
    return TokenSourceError("no", reason="unauthorized", hint="sign in")


def riders(manager: TokenManager, count: int) -> list[Caller]:
    """Have so many threads wait for the flight that is under way."""
    flight = manager._flights._current
    assert flight is not None
    before = flight.riders
    callers = [Caller(manager.token) for _ in range(count)]
    while flight.riders < before + count:
        time.sleep(0.001)
    return callers


def time_is_up_for_one(manager: TokenManager, standing: ManualClock, limit: float) -> None:
    """Have a thread wait for the flight, until its time limit is over."""
    caller = Caller(manager.token)
    standing.wait_until_blocked(1)
    standing.advance(limit)
    with pytest.raises(TokenSourceError, match="time limit"):
        caller.finish()


# ---- the storm -----------------------------------------------------------------------------------------


def test_a_hundred_threads_ask_a_provider_once() -> None:
    with serving() as provider:
        provider.script[0].before = lambda: time.sleep(0.05)
        source = UrlTokenSource(provider.url)
        manager = TokenManager(source)
        barrier = threading.Barrier(100)

        def call() -> str:
            barrier.wait()
            return manager.token().value

        callers = [Caller(call) for _ in range(100)]
        tokens = {caller.finish() for caller in callers}
        manager.close()
        assert len(provider.requests) == 1
        assert len(tokens) == 1


def test_a_hundred_threads_get_one_refusal_each_a_copy() -> None:
    with serving() as provider:
        manager = TokenManager(UrlTokenSource(provider.url))

        def all_wait() -> None:
            end = time.monotonic() + 8
            while time.monotonic() < end and (flight := manager._flights._current) is not None and flight.riders < 100:
                time.sleep(0.002)

        provider.script = [Answer("", status=401, before=all_wait)]
        callers = [Caller(manager.token) for _ in range(100)]
        for caller in callers:
            with pytest.raises(TokenSourceError):
                caller.finish()
        manager.close()
        assert len(provider.requests) == 1
        errors = [caller.error for caller in callers]
        assert len({id(error) for error in errors}) == 100
        assert {str(error) for error in errors} == {str(errors[0])}


def test_copies_keep_the_cause_and_have_tracebacks_of_their_own(managed: Managed) -> None:
    cause = ValueError("broken")
    manager = managed(Scripted(cause))
    errors = []
    for _ in range(3):
        with pytest.raises(TokenSourceError) as caught:
            manager.token()
        errors.append(caught.value)
    assert all(error.__cause__ is cause and error.reason == "failed" for error in errors)
    lengths = {len(traceback.extract_tb(error.__traceback__)) for error in errors}
    assert max(lengths) < 12


def test_the_wait_of_a_storm_is_woken_not_polled(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("t1")
    manager = managed(Scripted(gate), clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    followers = riders(manager, 20)
    gate.opened.set()
    assert {caller.finish().value for caller in [leader, *followers]} == {"t1"}
    assert len(standing.waits) <= 20


# ---- failures ------------------------------------------------------------------------------------------


def test_a_failure_is_remembered_for_about_a_second(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(refusal())
    manager = managed(source)
    for moment, asked in [(0.0, 1), (0.7, 1), (0.56, 2), (0.74, 2), (0.52, 3)]:
        clock.advance(moment)
        with pytest.raises(TokenSourceError):
            manager.token()
        assert len(source.asked) == asked


def test_the_memory_varies_by_chance(clock: ManualClock) -> None:
    ends = set()
    for _ in range(50):
        manager = TokenManager(Scripted(refusal()), clock=clock)
        with pytest.raises(TokenSourceError):
            manager.token()
        assert manager._failed is not None
        ends.add(manager._failed.until - clock.monotonic())
    assert len(ends) > 40
    assert min(ends) >= 0.75
    assert max(ends) <= 1.25


def test_a_success_follows_a_failure(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    manager = managed(Scripted(refusal(), "t1"))
    with pytest.raises(TokenSourceError):
        manager.token()
    clock.advance(1.3)
    assert manager.token().value == "t1"
    assert heard.names == ["token_refresh_failed", "token_refreshed"]


# ---- deadlines -----------------------------------------------------------------------------------------


def test_a_waiter_leaves_by_its_deadline_and_the_others_stay(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("t1")
    source = Scripted(gate)
    manager = managed(source, clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    hurried = Caller(lambda: manager.token(deadline=standing.monotonic() + 5))
    patient = Caller(manager.token)
    standing.wait_until_blocked(2)
    standing.advance(5)
    with pytest.raises(TokenSourceError, match="caller's deadline") as caught:
        hurried.finish()
    assert caught.value.reason == "timeout"
    gate.opened.set()
    assert leader.finish().value == patient.finish().value == "t1"
    assert len(source.asked) == 1


def test_the_leaders_caller_leaves_by_its_deadline_too(standing: ManualClock, managed: Managed, heard: Heard) -> None:
    gate = Gate("t1")
    source = Scripted(gate)
    manager = managed(source, clock=standing)
    hurried = Caller(lambda: manager.token(deadline=standing.monotonic() + 5))
    assert gate.entered.wait(20)
    patient = Caller(manager.token)
    standing.wait_until_blocked(2)
    standing.advance(5)
    with pytest.raises(TokenSourceError, match="caller's deadline"):
        hurried.finish()
    gate.opened.set()
    assert patient.finish().value == "t1"
    assert len(source.asked) == 1
    assert heard.names == ["token_refreshed"]


def test_a_deadline_that_is_over_asks_nobody(managed: Managed, clock: ManualClock) -> None:
    source = Scripted("t1")
    manager = managed(source)
    with pytest.raises(TokenSourceError, match="deadline"):
        manager.token(deadline=clock.monotonic())
    assert source.asked == []
    manager.token()
    assert manager.token(deadline=clock.monotonic() - 1).value == "t1"


def test_the_source_is_told_the_flights_end_not_a_callers_deadline(managed: Managed, clock: ManualClock) -> None:
    source = Scripted("t1", timeout=7.0)
    managed(source, identity="u1").token(deadline=clock.monotonic() + 100)
    [request] = source.asked
    assert (request.deadline, request.identity, request.force) == (clock.monotonic() + 7, "u1", False)


def test_waiters_leave_when_the_sources_time_is_over(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("t1")
    source = Scripted(gate, "t2", timeout=10.0)
    manager = managed(source, clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    time_is_up_for_one(manager, standing, 10.3)
    # the failure is remembered; then the next flight waits for its turn, since a source is asked by one thread at a time
    with pytest.raises(TokenSourceError, match="time limit"):
        manager.token()
    standing.advance(1.3)
    second = Caller(manager.token)
    standing.wait_until_blocked(1)
    gate.opened.set()
    assert second.finish().value in ("t1", "t2")
    leader.join(20)
    assert source.most == 1


def test_a_token_that_comes_too_late_serves_the_next(standing: ManualClock, managed: Managed, heard: Heard) -> None:
    gate = Gate("t1")
    source = Scripted(gate, timeout=10.0, own_thread=True)
    manager = managed(source, clock=standing)
    time_is_up_for_one(manager, standing, 10)
    errand = next(iter(manager._flights._errands))
    gate.opened.set()
    assert errand.ended.wait(20)
    assert manager.token().value == "t1"
    assert heard.names == ["token_refresh_failed", "token_refreshed"]


def test_a_call_that_hangs_disables_no_source_that_can_be_left_behind(standing: ManualClock, managed: Managed) -> None:
    gates = [Gate("late") for _ in range(4)]
    source = Scripted(*gates[:3], "t1", gates[3], "t2", timeout=10.0, own_thread=True)
    manager = managed(source, clock=standing)

    def given_up() -> None:
        time_is_up_for_one(manager, standing, 10)
        standing.advance(1.3)

    for _ in range(3):
        given_up()
    assert Caller(manager.token).finish().value == "t1"
    manager.clear()
    given_up()
    assert source.most == 4
    # four have not come back: the fifth waits for the last of them
    waiting = Caller(manager.token)
    standing.wait_until_blocked(1)
    gates[3].opened.set()
    assert waiting.finish().value in ("late", "t2")
    for gate in gates:
        gate.opened.set()


def test_a_renewal_that_hangs_is_given_up_and_tried_again(standing: ManualClock, managed: Managed, heard: Heard) -> None:
    gate = Gate("never used")
    source = Scripted({"token": "t1", "expires_in": 1000}, gate, {"token": "t2", "expires_in": 1000}, timeout=10.0, own_thread=True)
    manager = managed(source, clock=standing)
    assert Caller(manager.token).finish().value == "t1"
    standing.advance(945)
    assert manager.token().value == "t1"
    assert gate.entered.wait(20)
    standing.advance(10)
    assert manager.token().value == "t1"
    assert heard.names == ["token_refreshed", "token_refresh_failed"]
    [hanging] = manager._flights._errands
    standing.advance(2)
    manager.token()
    for errand in set(manager._flights._errands) - {hanging}:
        assert errand.ended.wait(20)
    assert manager.token().value == "t2"
    gate.opened.set()


def test_a_renewal_that_hangs_beyond_the_tokens_end_is_not_waited_for(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("never used")
    source = Scripted({"token": "t1", "expires_in": 1000}, gate, "t2", timeout=10.0, own_thread=True)
    manager = managed(source, clock=standing)
    assert Caller(manager.token).finish().value == "t1"
    standing.advance(945)
    manager.token()
    assert gate.entered.wait(20)
    standing.advance(60)
    assert Caller(manager.token).finish().value == "t2"
    gate.opened.set()


def test_a_token_that_comes_after_the_limit_and_a_logout_is_used_by_nobody(standing: ManualClock, managed: Managed) -> None:
    gate = Gate({"token": "before", "livekit": {"voice": {"url": "wss://x", "token": mint(4102444800)}}})
    source = Scripted(gate, "after", timeout=10.0, own_thread=True)
    store = MemoryTokenStore(clock=standing)
    manager = managed(source, clock=standing, store=store)
    time_is_up_for_one(manager, standing, 10)
    manager.clear()
    [errand] = manager._flights._errands
    gate.opened.set()
    assert errand.ended.wait(20)
    assert store.load(store_key("scripted", None)) is None
    assert not manager._realtime.knows("voice")
    assert Caller(manager.token).finish().value == "after"


def test_one_of_many_that_come_back_is_enough(standing: ManualClock, managed: Managed) -> None:
    gates = [Gate("late") for _ in range(4)]
    source = Scripted(*gates, "t1", timeout=10.0, own_thread=True)
    manager = managed(source, clock=standing)
    for _ in range(4):
        time_is_up_for_one(manager, standing, 10)
        manager.clear()  # so that nobody uses what comes late
    waiting = Caller(manager.token)
    standing.wait_until_blocked(1)
    gates[1].opened.set()
    assert waiting.finish().value == "t1"
    for gate in gates:
        gate.opened.set()


@pytest.mark.parametrize("own_thread", [True, False])
def test_logouts_during_a_fetch_do_not_queue_up(standing: ManualClock, managed: Managed, own_thread: bool) -> None:
    gate = Gate("before")
    source = Scripted(gate, "after", own_thread=own_thread)
    manager = managed(source, clock=standing)
    callers = [Caller(manager.token) for _ in range(4)]
    assert gate.entered.wait(20)
    for _ in range(20):
        manager.clear()
        callers.append(Caller(manager.token))
    gate.opened.set()
    assert {str(caller.finish().value) for caller in callers} == {"after"}
    assert len(source.asked) == 2


def test_who_leads_in_a_hurry_says_so_and_leaves_the_lead_to_others(standing: ManualClock, managed: Managed) -> None:
    def honour(request: TokenRequest) -> str:
        assert request.deadline is not None
        if request.clock.wait(threading.Event(), request.left):
            raise AssertionError
        raise TokenSourceError("no time", reason="timeout")

    asked: list[float | None] = []

    def fetch(request: TokenRequest) -> str:
        asked.append(request.left)
        return honour(request) if len(asked) == 1 else "t1"

    manager = managed(CallableTokenSource(fetch, background=False), clock=standing)
    leader = Caller(lambda: manager.token(deadline=standing.monotonic() + 2))
    standing.wait_until_blocked(1)
    others = riders(manager, 3)
    standing.advance(2)
    with pytest.raises(TokenSourceError, match="no time"):
        leader.finish()
    assert {other.finish().value for other in others} == {"t1"}
    assert asked == [2.0, 30.0]


def test_who_is_in_a_hurry_does_not_wait_for_a_turn(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("t1")
    source = Scripted(gate, "t2", timeout=10.0, background=False)
    manager = managed(source, clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    time_is_up_for_one(manager, standing, 10.3)
    standing.advance(1.3)
    hurried = Caller(lambda: manager.token(deadline=standing.monotonic() + 2))
    standing.wait_until_blocked(1)
    standing.advance(2)
    with pytest.raises(TokenSourceError, match="deadline"):
        hurried.finish()
    gate.opened.set()
    leader.join(20)
    assert manager.token().value == "t1", "what comes late serves the next"
    assert len(source.asked) == 1


def test_a_chain_that_uses_its_own_client_is_told_so() -> None:
    managers: list[TokenManager] = []
    chain = ChainTokenSource({"itself": CallableTokenSource(lambda: managers[0].token().value, timeout=20)})
    managers.append(TokenManager(chain))
    with pytest.raises(TokenSourceError, match="uses the client that it is the source of"):
        managers[0].token()


def test_a_function_with_a_time_limit_is_left_behind() -> None:
    stop = threading.Event()
    manager = TokenManager(CallableTokenSource(lambda: str(stop.wait(20)), timeout=0.05))
    with pytest.raises(TokenSourceError) as caught:
        manager.token()
    assert caught.value.reason == "timeout"
    stop.set()
    manager.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "animus-token"]


def test_a_function_without_one_runs_in_its_callers_thread() -> None:
    threads: list[int] = []
    manager = TokenManager(CallableTokenSource(lambda: str(threads.append(threading.get_ident()))))
    manager.token()
    assert threads == [threading.get_ident()]


def test_a_thread_gets_the_callers_context() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    user.set("u1")
    manager = TokenManager(CallableTokenSource(lambda: f"token-of-{user.get()}", timeout=20))
    assert manager.token().value == "token-of-u1"
    manager.close()


def test_without_threads_the_caller_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    source = Scripted("t1", own_thread=True)
    manager = TokenManager(source)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_start)
        assert manager.token().value == "t1"
    assert source.threads == [threading.current_thread()]


def test_a_closed_manager_still_gives_tokens_but_starts_no_thread() -> None:
    source = Scripted("t1", own_thread=True)
    manager = TokenManager(source)
    manager.close()
    assert manager.token(deadline=SYSTEM_CLOCK.monotonic() + 1).value == "t1"
    assert source.threads == [threading.current_thread()]


# ---- interrupts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("settings", [{}, {"own_thread": True}])
def test_an_interrupted_leader_hands_over(
    interrupt: type[BaseException], settings: dict[str, Any], standing: ManualClock, managed: Managed, heard: Heard
) -> None:
    gate = Gate(interrupt())
    source = Scripted(gate, "t2", **settings)
    manager = managed(source, clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    followers = riders(manager, 10)
    gate.opened.set()
    assert {caller.finish().value for caller in followers} == {"t2"}
    with pytest.raises(interrupt):
        leader.finish()
    assert len(source.asked) == 2
    assert source.most == 1
    assert heard.names == ["token_refreshed"]


def test_each_of_many_interrupts_ends_one_caller(standing: ManualClock, managed: Managed) -> None:
    gate = Gate(KeyboardInterrupt())
    source = Scripted(gate, KeyboardInterrupt(), KeyboardInterrupt(), "t4")
    manager = managed(source, clock=standing)
    callers = [Caller(manager.token)]
    assert gate.entered.wait(20)
    callers += riders(manager, 6)
    gate.opened.set()
    for caller in callers:
        caller.join(20)
    assert [type(caller.error) for caller in callers].count(KeyboardInterrupt) == 3
    assert [caller.value.value for caller in callers if caller.value] == ["t4"] * 4


def test_an_interrupt_with_nobody_waiting_leaves_nothing_behind(managed: Managed) -> None:
    manager = managed(Scripted(KeyboardInterrupt(), "t2"))
    with pytest.raises(KeyboardInterrupt):
        manager.token()
    assert manager._flights.idle
    assert manager.token().value == "t2"


def test_a_waiter_may_be_interrupted_without_harm(standing: ManualClock, managed: Managed) -> None:
    gate = Gate("t1")
    source = Scripted(gate)
    manager = managed(source, clock=standing)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    [waiter, other] = riders(manager, 2)
    assert waiter.ident is not None
    raise_in(waiter, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        waiter.finish()
    gate.opened.set()
    assert leader.finish().value == other.finish().value == "t1"
    assert len(source.asked) == 1


def raise_in(thread: threading.Thread, interrupt: type[BaseException]) -> None:
    import ctypes

    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(interrupt)) == 1


# ---- odd sources ---------------------------------------------------------------------------------------


def test_a_source_that_uses_its_own_client_is_told_so() -> None:
    manager: TokenManager

    def fetch() -> str:
        return manager.token().value

    manager = TokenManager(CallableTokenSource(fetch))
    with pytest.raises(TokenSourceError, match="uses the client"):
        manager.token()


@pytest.mark.parametrize("value", [None, "", b"x", 7, {}, {"livekit": {"voice": {"token": "x"}}}])
def test_a_value_of_another_kind_has_the_wrong_shape(value: Any, managed: Managed) -> None:
    with pytest.raises(TokenSourceError) as caught:
        managed(Scripted(value)).token()
    assert (caught.value.reason, caught.value.source) == ("wrong_shape", "scripted")


def test_no_exception_holds_its_frames_in_a_circle(managed: Managed) -> None:
    import gc
    import weakref

    def fail() -> str:
        raise ValueError("x")

    manager = managed(Scripted(fail), emitter=None)

    class Witness:
        pass

    def call() -> weakref.ref[Witness]:
        witness = Witness()
        try:
            manager.token()
        except TokenSourceError:
            return weakref.ref(witness)
        raise AssertionError

    gc.collect()
    gc.disable()
    try:
        witness = call()
        manager.clear()  # a remembered failure keeps its cause, which keeps its frames
        assert witness() is None
    finally:
        gc.enable()
