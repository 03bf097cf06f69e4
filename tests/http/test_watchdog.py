"""The watchdog: its thread, its guards, and what a fork leaves of both."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.http import watchdog as module
from animus.http.watchdog import Guard, Watchdog, current_guard, guarded_by, shut_socket
from tests.forking import Child


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    watchdog = Watchdog()
    yield watchdog
    for guard in list(watchdog._guards):
        guard.release()
    watchdog.close()
    assert watchdog._thread is None


class Pair:
    """A connection with itself; ``read`` blocks until it is shut."""

    def __init__(self) -> None:
        self.sock, self.other = socket.socketpair()
        self.sock.settimeout(10)

    def read(self) -> bytes:
        return self.sock.recv(1)

    def is_shut(self) -> bool:
        self.other.settimeout(0.01)
        try:
            return self.other.recv(1) == b""
        except TimeoutError:
            return False

    def close(self) -> None:
        self.sock.close()
        self.other.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()


def _threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "animus-watchdog"]


def test_a_limit_wakes_a_blocked_read(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("idle", 0.02)
    assert pair.read() == b""
    assert guard.fired == guard.exceeded() == "idle"
    assert guard.remaining() == 0.0
    assert guard.let_go() is True


def test_the_earliest_limit_fires_first(watchdog: Watchdog) -> None:
    pairs = [Pair() for _ in range(3)]
    guards = [watchdog.guard() for _ in pairs]
    for guard, pair, seconds in zip(guards, pairs, (30, 0.05, 0.01), strict=True):
        guard.attach(pair)
        guard.arm("deadline", seconds)
    assert pairs[2].read() == b""
    assert guards[1].fired is None or pairs[1].is_shut()
    assert pairs[1].read() == b""
    assert [guard.fired for guard in guards] == [None, "deadline", "deadline"]
    for pair in pairs:
        pair.close()


def test_arming_anew_puts_it_off(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("first_event", 0.03)
    guard.arm("idle", 30)
    other, other_pair = watchdog.guard(), Pair()
    other.attach(other_pair)
    other.arm("deadline", 0.06)
    assert other_pair.read() == b""
    assert guard.fired is None
    assert 20 < (guard.remaining() or 0) <= 30
    assert guard.exceeded() is None
    other_pair.close()


@pytest.mark.parametrize("end", [Guard.disarm, Guard.release])
def test_what_is_disarmed_does_not_fire(watchdog: Watchdog, pair: Pair, end: Callable[[Guard], None]) -> None:
    guard, other, other_pair = watchdog.guard(), watchdog.guard(), Pair()
    guard.attach(pair)
    guard.arm("idle", 0.01)
    end(guard)
    other.attach(other_pair)
    other.arm("deadline", 0.03)
    assert other_pair.read() == b""
    assert guard.fired is None
    assert guard.remaining() is None
    assert not pair.is_shut()
    other_pair.close()


def test_what_connects_later_is_shut_at_once(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.shut()
    assert not pair.is_shut()
    guard.attach(pair)
    assert pair.is_shut()


def test_what_went_back_to_its_pool_is_left_alone(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.attach(pair)
    assert guard.let_go() is False
    guard.shut()
    assert not pair.is_shut()
    assert guard.let_go() is True


def test_another_way_to_end_a_read(watchdog: Watchdog) -> None:
    called = threading.Event()

    def shut() -> None:
        called.set()
        raise RuntimeError("already released")

    guard = watchdog.guard()
    guard.attach_shutdown(shut)
    guard.arm("deadline", 0.01)
    assert called.wait(10)
    late = watchdog.guard()
    late.shut()
    called.clear()
    late.attach_shutdown(shut)
    assert called.is_set()


def test_connections_find_the_guard_of_their_thread(watchdog: Watchdog) -> None:
    guard, inner = watchdog.guard(), watchdog.guard()
    seen: list[Any] = []
    with guarded_by(guard):
        thread = threading.Thread(target=lambda: seen.append(current_guard()))
        thread.start()
        thread.join()
        with guarded_by(inner):
            seen.append(current_guard())
        with guarded_by(None):
            seen.append(current_guard())
        seen.append(current_guard())
    assert [*seen, current_guard()] == [None, inner, None, guard, None]


def test_shutting_nothing_is_allowed() -> None:
    shut_socket(None)
    with socket.socket() as sock:  # connected to nothing
        shut_socket(sock)
    shut_socket(object())


# ---- the thread ------------------------------------------------------------------------------------------


def test_there_is_one_thread_and_only_when_it_is_needed(watchdog: Watchdog) -> None:
    before = _threads()
    guards = [watchdog.guard() for _ in range(10)]
    assert _threads() == before
    for guard in guards:
        guard.arm("deadline", 30)
    assert set(_threads()) - set(before) == {watchdog._thread}
    for guard in guards:
        guard.release()
    watchdog.close()
    assert watchdog._thread is None


def test_the_thread_ends_by_itself(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    guard = watchdog.guard()
    guard.arm("deadline", 30)
    thread = watchdog._thread
    assert thread is not None
    guard.release()
    watchdog.guard().arm("deadline", 0.0)  # wakes it
    thread.join(10)
    assert not thread.is_alive()
    guard.arm("deadline", 30)
    assert watchdog._thread not in (None, thread)


def test_it_does_not_sleep_for_who_has_gone(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.01)
    guard = watchdog.guard()
    guard.arm("deadline", 60)
    thread = watchdog._thread
    assert thread is not None
    guard.release()
    thread.join(10)
    assert not thread.is_alive()


def test_calls_do_not_wake_it(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[None] = []
    clear = watchdog._clear_wake
    monkeypatch.setattr(watchdog, "_clear_wake", lambda: (rounds.append(None), clear()))
    for _ in range(200):
        guard = watchdog.guard()
        guard.arm("deadline", 60)
        guard.release()
    assert len(rounds) < 10


def test_a_start_that_is_interrupted_leaves_the_next_one_free(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, pair: Pair
) -> None:
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        watchdog.guard().arm("deadline", 30)
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 0.01)
    assert pair.read() == b""
    watchdog._wake.put(None)
    started[0].join(10)
    assert not started[0].is_alive()


def test_closing_in_the_middle_of_a_start_does_not_wait_for_it(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal handler may."""
    start = threading.Thread.start

    def closed(thread: threading.Thread) -> None:
        watchdog.close()
        start(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", closed)
        guard = watchdog.guard()
        guard.arm("deadline", 30)
    thread = watchdog._thread
    assert thread is not None
    guard.release()
    thread.join(10)
    assert not thread.is_alive()


def test_closing_leaves_exchanges_under_way_their_limit(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 0.05)
    thread = watchdog._thread
    assert thread is not None
    watchdog.close()
    assert pair.read() == b""
    guard.release()
    thread.join(10)
    assert not thread.is_alive()


def test_it_can_be_used_after_closing(watchdog: Watchdog, pair: Pair) -> None:
    watchdog.close()
    watchdog.close()
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 0.01)
    assert pair.read() == b""


def test_without_threads_to_be_had_work_goes_on(
    watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, pair: Pair
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        watchdog.guard().arm("deadline", 30)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 0.01)
    assert pair.read() == b""


def test_many_threads_arm_and_release_at_once(watchdog: Watchdog) -> None:
    barrier = threading.Barrier(8)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait(10)
            for _ in range(200):
                guard = watchdog.guard()
                guard.arm("deadline", 30)
                guard.arm("idle", 0.0001)
                guard.disarm()
                guard.release()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failed == []
    pair = Pair()
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 0.01)
    assert pair.read() == b""
    pair.close()


def test_the_garbage_collector_may_release_at_any_time(watchdog: Watchdog, pair: Pair) -> None:
    """It runs whenever something is allocated, also in a thread that holds the locks, and then closes streams nobody closed."""
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("idle", 30)

    def collect() -> None:
        with watchdog._lock, guard._lock:
            guard.shut()
            guard.release()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert pair.is_shut()
    assert not watchdog._guards


# ---- forks -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_begins_with_nothing_and_leaves_the_parents_socket_alone(watchdog: Watchdog, pair: Pair) -> None:
    guard = watchdog.guard()
    guard.attach(pair)
    guard.arm("deadline", 30)
    idle = watchdog.guard()
    idle.attach(pair)

    def in_child() -> str | None:
        guard.shut()
        guard.release()
        idle.shut()
        fresh, fresh_pair = watchdog.guard(), Pair()
        fresh.attach(fresh_pair)
        fresh.arm("deadline", 0.01)
        assert fresh_pair.read() == b""
        return fresh.fired

    with guard._lock, watchdog._lock:  # as if another thread held them just now
        child = Child(in_child)
    assert child.result() == "deadline"
    assert not pair.is_shut()
    assert guard.due is not None
