"""The promises of a store's locks, as tests."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from animus._cause import describe
from animus.stores.protocol import TokenStore
from animus.testing.suites.checks import PATIENCE, PROMPT, InThread, all_at_once, in_thread, pause
from animus.testing.suites.child import Child, needs_fork
from animus.testing.suites.making import MakesStores

_SOON = 0.05  # seconds to wait for a lock that is taken
_LONG = 1.0  # seconds a lock is held where its holder takes long


class LockPromises(MakesStores):
    """What a lock promises: to the threads of a client, to several clients, and to other processes if the store is shared."""

    def test_the_lock_of_a_key_is_held_by_one(self, store: TokenStore) -> None:
        """However many threads of several clients want it; all get it in the end."""
        inside: list[int] = []
        most: list[int] = []

        def work(each: TokenStore) -> None:
            with each.lock(self.key, PATIENCE):
                inside.append(1)
                most.append(len(inside))
                pause(0.02)  # else the others would hardly have the time to be there, too
                inside.pop()

        with self.another(store) as other:
            all_at_once([functools.partial(work, each) for each in (store, other)] * 4, "whoever waits for the lock gets it in the end")
        assert max(most) == 1, f"{max(most)} held the lock of one key at once: lock() keeps nobody out"

    @pytest.mark.parametrize("timeout", [0, _SOON], ids=["at once", "soon"])
    def test_a_lock_that_is_taken_is_given_up_in_time(self, store: TokenStore, timeout: float) -> None:
        """With a TimeoutError, on being called or entered, so that a hanging process does not stop all others."""
        with self.another(store) as other, store.lock(self.key, PATIENCE):
            _assert_kept_out(self._tried(other, timeout), "another client")

    def test_a_lock_is_kept_for_as_long_as_its_holder_needs_it(self, store: TokenStore) -> None:
        """A fetch takes seconds; who waits for it may be told to wait as long."""
        with self.another(store) as other, store.lock(self.key, PATIENCE):
            error = self._tried(other, _LONG)
            assert error is not None, f"a lock was lost while it was held, within {_LONG:g} s: a lease is longer than a fetch, or renewed"
            _assert_kept_out(error, "another client")

    def test_who_waits_for_a_lock_gets_it(self, store: TokenStore) -> None:
        """As soon as its holder leaves it, and not only if it is free at once."""
        with self.another(store) as other:
            with store.lock(self.key, PATIENCE):
                waiting = InThread(lambda: _error_of(lambda: other.lock(self.key, PATIENCE)))
                pause(0.2)
            error = waiting.finish(PATIENCE, f"a lock that was left {PATIENCE:g} s ago is not had by who waits for it")
        assert error is None, f"told to wait {PATIENCE:g} s for a lock that was free after 0.2 s, lock() gave up: {_shown(error)}"

    def test_locks_of_different_keys_do_not_meet(self, store: TokenStore) -> None:
        """One user's slow provider keeps nobody else waiting."""
        with self.another(store) as other, store.lock(self.key, PATIENCE):
            error = self._tried(other, PATIENCE, key=self.other_key)
        assert error is None, f"the lock of one key keeps out who wants that of another: {_shown(error)}"

    def test_a_lock_is_free_again_whatever_happens_inside(self, store: TokenStore) -> None:
        """Also when the source fails, and without any time to wait for it."""
        came_out = False
        try:
            with store.lock(self.key, PATIENCE):
                raise _InsideError
        except _InsideError:
            came_out = True
        assert came_out, "an exception inside of a lock was swallowed: it has to come out"
        error = self._tried(store, 0)
        assert error is None, f"the lock is not free after an exception inside: leave it in a finally clause ({_shown(error)})"

    def test_a_lock_may_be_left_in_another_thread(self, store: TokenStore) -> None:
        """When a fetch hangs, somebody else leaves its lock."""
        lock = store.lock(self.key, PATIENCE)
        lock.__enter__()

        def leave() -> None:
            lock.__exit__(None, None, None)

        in_thread(leave, "a lock may be left in another thread than it was entered in")
        error = self._tried(store, 0)
        assert error is None, f"a lock that was left in another thread is not free: {_shown(error)}"

    def test_the_holder_of_a_lock_reads_and_writes(self, store: TokenStore) -> None:
        """That is what happens inside."""

        def work() -> None:
            with store.lock(self.key, PATIENCE):
                assert store.load(self.key) is None, "there is a token before any was saved: begin each test with an empty store"
                store.save(self.key, self.stored)
                assert store.load(self.key) == self.stored, "the holder of a lock does not find what it has saved"
                store.delete(self.key)

        in_thread(work, "the holder of a lock reads and writes")

    # ---- among processes -------------------------------------------------------------------------------

    @needs_fork
    def test_a_lock_keeps_other_processes_out(self, store: TokenStore) -> None:
        """That is what it is for: one fetch, however many workers a server has."""
        self._skip_unless_shared()
        with self._holder():
            _assert_kept_out(self._tried(store, _SOON), "another process")

    @needs_fork
    def test_a_holder_that_dies_does_not_hold_it_for_ever(self, store: TokenStore) -> None:
        """Whatever killed it: nobody else could fetch a token without waiting in vain first."""
        self._skip_unless_shared()
        with self._holder() as child:
            child.kill()
            error = self._tried(store, self.frees_within)
        assert error is None, (
            f"a lock is not free {self.frees_within:g} s after its holder was killed ({_shown(error)}): have it end with its holder or "
            "by itself, and set frees_within to the seconds that takes"
        )

    @needs_fork
    def test_a_holder_that_was_slow_does_not_free_the_lock_of_the_next(self, store: TokenStore) -> None:
        """A lock that ends by itself may have gone to somebody else when its first holder leaves it."""
        self._skip_unless_shared()
        with self._holder() as child:
            child.stop()
            late = f"told to wait {self.frees_within:g} s at most, lock() still waits: it ignores its timeout"
            InThread(lambda: self._follow(store, child)).finish(self.frees_within + PATIENCE, late)

    def _follow(self, store: TokenStore, child: Child) -> None:
        try:
            lock = store.lock(self.key, self.frees_within)
            lock.__enter__()
        except TimeoutError:
            return  # it stays with a holder that lives: nobody is the next
        try:
            child.go_on()
            child.tell()
            child.heard("left", "a holder that was slow leaves its lock")
            with self.another(store) as other:
                error = self._tried(other, _SOON)
        finally:
            lock.__exit__(None, None, None)
        assert error is not None, "a slow holder freed the lock of the next one: who leaves looks first whether it still is the holder"

    @needs_fork
    def test_a_forked_child_goes_on_with_it(self, store: TokenStore) -> None:
        """Servers fork their workers when the application is loaded, with the client in it."""
        store.save(self.key, self.stored)  # whatever it opens is open now
        with store.lock(self.key, PATIENCE):
            pass

        def work(child: Child) -> None:
            found = store.load(self.key) == self.stored
            with store.lock(self.key, PATIENCE):
                store.save(self.key, self.stored)
            child.say("found" if found else "nothing")

        with Child(work) as child:
            child.heard("found", "a store works in a forked child: open connections where they are needed, or anew after a fork")
        assert store.load(self.key) == self.stored, "a forked child has spoilt the parent's store: it may use none of its connections"

    def _holder(self) -> Child:
        """Give a process that holds the lock."""

        def hold(child: Child) -> None:
            lock = self.make_store().lock(self.key, PATIENCE)
            lock.__enter__()
            child.say("held")
            child.wait()
            with contextlib.suppress(Exception):  # it may say that the lock is not its own any more
                lock.__exit__(None, None, None)
            child.say("left")

        child = Child(hold)
        try:
            child.heard("held", "another process gets a lock that is free")
        except BaseException:
            child.__exit__()
            raise
        return child

    def _skip_unless_shared(self) -> None:
        if not self.shared:
            pytest.skip("this store is not shared")

    def _tried(self, store: TokenStore, timeout: float, *, key: str | None = None) -> Exception | None:
        """Take and leave a lock, in another thread since some may be taken twice by the same; give what that raises."""
        attempt = InThread(lambda: _error_of(lambda: store.lock(key or self.key, timeout)))
        error: Exception | None = attempt.finish(
            timeout + PROMPT, f"told to wait {timeout:g} s at most, lock() still waits {PROMPT:g} s later: it ignores its timeout"
        )
        return error


class _InsideError(Exception):
    pass


def _error_of(lock: Callable[[], AbstractContextManager[Any]]) -> Exception | None:
    """Take and leave a lock; give what it raises."""
    try:
        with lock():
            return None
    except Exception as error:
        return error


def _assert_kept_out(error: Exception | None, who: str) -> None:
    assert error is not None, f"{who} got a lock that is held: lock() keeps nobody out there, or gives something instead of a TimeoutError"
    assert isinstance(error, TimeoutError), f"a lock that is not free in time raises a TimeoutError, not {_shown(error)}"


def _shown(error: Exception | None) -> str:
    return "no error" if error is None else describe(error)
