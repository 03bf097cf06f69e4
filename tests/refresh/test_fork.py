"""A forked child works, whatever its parent was doing."""

from __future__ import annotations

import os
import pickle
import time
import traceback
import warnings
from collections.abc import Callable

import pytest

from animus import _fork
from animus.refresh.manager import TokenManager
from animus.sources.url import UrlTokenSource
from animus.stores.memory import MemoryTokenStore
from animus.testing import ManualClock
from tests.refresh.sources import Caller, Gate, Scripted
from tests.sources.provider import serving

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(work: Callable[[], object]) -> None:
    """Run ``work`` in a child; fail if it raises, or is not done in 20 seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: forking with threads is what is tested
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


def test_while_a_fetch_is_blocked() -> None:
    gate = Gate("t1")
    source = Scripted(gate, "t2")
    manager = TokenManager(source, store=MemoryTokenStore(), identity="u1")
    caller = Caller(manager.token)
    assert gate.entered.wait(20)
    waiter = Caller(manager.token)

    def child() -> None:
        assert manager.token().value == "t2"
        manager.clear()
        manager.invalidate("x")
        manager.close()

    in_child(child)
    gate.opened.set()
    assert caller.finish().value == waiter.finish().value == "t1"


def test_while_every_lock_is_held() -> None:
    manager = TokenManager(Scripted("t1", "t2"), store=MemoryTokenStore())
    with manager._lock, manager._flights._lock:
        in_child(lambda: manager.token() and manager.clear())


def test_a_valid_token_is_kept() -> None:
    source = Scripted("t1")
    manager = TokenManager(source)
    manager.token()

    def child() -> None:
        assert manager.token().value == "t1"
        assert len(source.asked) == 1

    in_child(child)


def test_a_renewing_thread_of_the_parent_is_not_waited_for(clock: ManualClock) -> None:
    gate = Gate("t2")
    manager = TokenManager(Scripted({"token": "t1", "expires_in": 100}, gate, "t3"), clock=clock)
    manager.token()
    clock.advance(80)
    manager.token()
    assert gate.entered.wait(20)

    def child() -> None:
        clock.advance(20)
        assert manager.token().value == "t3"
        manager.close()

    in_child(child)
    gate.opened.set()
    manager.close()


def test_over_http_parent_and_child_do_not_share_a_connection() -> None:
    with serving() as provider:
        manager = TokenManager(UrlTokenSource(provider.url))
        manager.token()

        def child() -> None:
            manager.clear()
            manager.token()

        in_child(child)
        manager.clear()
        manager.token()
        assert len(provider.requests) == 3
        manager.close()


def test_all_that_has_a_lock_is_registered() -> None:
    store = MemoryTokenStore()
    manager = TokenManager(Scripted("t1"), store=store)
    registered = _fork.registered()
    for thing in (store, manager, manager._flights):
        assert any(thing is other for other in registered)


class Travelling:
    """A source that pickle can find."""

    fingerprint = "travelling"

    def fetch(self, request: object) -> str:
        return "token-that-stays-at-home"


def test_pickling_takes_the_settings_and_leaves_the_token() -> None:
    manager = TokenManager(Travelling(), identity="u1", store=MemoryTokenStore())
    manager.token()
    data = pickle.dumps(manager)
    assert b"stays-at-home" not in data
    twin = pickle.loads(data)
    assert (twin.identity, type(twin.source), type(twin.store)) == ("u1", Travelling, MemoryTokenStore)
    assert twin._held is None
    assert twin.token().value == "token-that-stays-at-home"
