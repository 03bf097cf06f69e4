"""Processes that share a store ask the provider once, whatever happens to one of them."""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenRequest
from animus.sources.url import UrlTokenSource
from animus.stores.file import FileTokenStore
from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.stores.redis import RedisTokenStore
from animus.tokens.token import Token
from tests.forking import Child, Signal, fork_in_c, plain_fork, together
from tests.refresh.sources import Caller
from tests.sources.provider import Answer, Provider, serving
from tests.tokens.minting import mint

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

assert redis.Redis  # loaded here, and not by 32 children at once
MakeStore = Callable[[], TokenStore]


@pytest.fixture(params=["file", "redis"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    if request.param == "file":
        return functools.partial(FileTokenStore, tmp_path / "tokens")
    return functools.partial(RedisTokenStore, request.getfixturevalue("redis_url"), prefix=f"{secrets.token_hex(8)}:", timeout=10.0)


class Counting:
    """Answers a new token to each request."""

    def __init__(self, provider: Provider, seconds: float = 0.0) -> None:
        self.provider = provider
        self.number = 0
        self.lock = threading.Lock()
        provider.script = [Answer(before=lambda: time.sleep(seconds))]
        provider.next = self.next  # type: ignore[method-assign]

    def next(self, asked: Any) -> Answer:
        with self.lock:
            self.provider.requests.append(asked)
            self.number += 1
            number = self.number
        return Answer({"accessToken": mint(4102444800, sub=f"token {number}")}, before=self.provider.script[0].before)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@contextlib.contextmanager
def managing(provider: Provider, make_store: MakeStore, **settings: Any) -> Iterator[TokenManager]:
    manager = TokenManager(UrlTokenSource(provider.url, timeout=30.0), store=make_store(), **settings)
    try:
        yield manager
    finally:
        manager.close()
        close = getattr(manager.store, "close", None)
        if close is not None:
            close()


class Hurried:
    """Waits for a lock no longer than half of half a second; asking itself may take its time."""

    timeout = 0.5

    def __init__(self, provider: Provider) -> None:
        self._source = UrlTokenSource(provider.url, timeout=30.0)
        self.fingerprint, self.close = self._source.fingerprint, self._source.close

    def fetch(self, request: TokenRequest) -> Token:
        return self._source.fetch(TokenRequest(force=request.force))


def test_32_processes_ask_once(provider: Provider, make_store: MakeStore) -> None:
    Counting(provider, 0.05)

    def work() -> str:
        with managing(provider, make_store) as manager:
            return manager.token().value

    tokens = together(32, work)
    assert len(set(tokens)) == 1
    assert len(provider.requests) == 1


def test_32_processes_forked_from_one_that_has_the_client_ask_once(provider: Provider, make_store: MakeStore) -> None:
    Counting(provider, 0.05)
    with managing(provider, make_store) as manager:
        tokens = together(32, lambda: manager.token().value)
        assert len(set(tokens)) == 1
        assert manager.token().value == tokens[0]
    assert len(provider.requests) == 1


def test_a_token_that_the_api_refused_is_replaced_once_for_all(provider: Provider, make_store: MakeStore) -> None:
    Counting(provider, 0.02)
    with managing(provider, make_store) as manager:
        first = manager.token().value

        def work() -> str:
            assert manager.token().value == first
            manager.invalidate(first)
            return manager.token().value

        tokens = together(16, work)
        assert len(set(tokens)) == 1
        assert tokens[0] != first
    assert len(provider.requests) == 2


def test_a_refused_token_is_left_to_nobody(provider: Provider, make_store: MakeStore) -> None:
    Counting(provider)
    with managing(provider, make_store) as manager:
        refused = manager.token().value
        provider.next = lambda asked: Answer("", status=401)  # type: ignore[method-assign]
        manager.invalidate(refused)
        with pytest.raises(TokenSourceError):
            manager.token()
        assert manager.store is not None
        assert manager.store.load(store_key(manager.source.fingerprint, None)) is None
        # but what a sibling has put there meanwhile is theirs
        sibling = StoredToken(mint(4102444800, sub="sibling"), 4102444800.0)
        manager.store.save(store_key(manager.source.fingerprint, None), sibling)
        manager._failed = None
        assert manager.token().value == sibling.value


def test_identities_never_meet(provider: Provider, make_store: MakeStore) -> None:
    Counting(provider)

    def work() -> dict[str, str]:
        found = {}
        for user in ("ada", "grace"):
            with managing(provider, make_store, identity=user) as manager:
                found[user] = str(manager.token().value)
        return found

    seen = together(8, work)
    assert all(found == seen[0] for found in seen)
    assert seen[0]["ada"] != seen[0]["grace"]
    assert len(provider.requests) == 2


# ---- when one of them dies or hangs --------------------------------------------------------------------


class Held:
    """The first request is answered when the test says so; the others at once."""

    def __init__(self, provider: Provider) -> None:
        self.came, self.go_on = threading.Event(), threading.Event()
        counting = Counting(provider)

        def next_answer(asked: Any) -> Answer:
            answer = counting.next(asked)
            if counting.number == 1:
                self.came.set()
                answer.before = lambda: self.go_on.wait(30) and None
            return answer

        provider.next = next_answer  # type: ignore[method-assign]


@pytest.fixture
def held(provider: Provider) -> Iterator[Held]:
    held = Held(provider)
    yield held
    held.go_on.set()


def test_kill_9_while_fetching_leaves_one_fetch_to_the_others(provider: Provider, make_store: MakeStore, held: Held) -> None:
    def work() -> str:
        with managing(provider, make_store) as manager:
            return manager.token().value

    holder = Child(work)
    assert held.came.wait(20)
    others = [Child(work) for _ in range(8)]
    holder.kill(signal.SIGKILL)
    assert holder.wait() == -signal.SIGKILL
    assert len({other.result() for other in others}) == 1
    assert len(provider.requests) == 2


@contextlib.contextmanager
def a_killed_holder_with_a_living_child(
    provider: Provider, make_store: MakeStore, held: Held, fork: Callable[[], int]
) -> Iterator[tuple[Signal, Signal]]:
    """Have a process fetch, fork, and be killed; give what has its child use the store, and what tells that it does."""
    forks, forked, go_on, done, ends = signals = [Signal() for _ in range(5)]

    def work() -> None:
        with managing(provider, make_store) as manager:
            fetching = Caller(manager.token)
            forks.wait()
            if fork() == 0:
                try:
                    forked.set()
                    go_on.wait()
                    assert manager.store is not None
                    with manager.store.lock("another", 20):
                        done.set()
                    ends.wait()
                finally:
                    os._exit(0)
            fetching.join(30)

    holder = Child(work)
    try:
        assert held.came.wait(20)
        forks.set()
        forked.wait()
        holder.kill(signal.SIGKILL)
        assert holder.wait() == -signal.SIGKILL  # by its pid: the child has its pipe open, which does not end
        yield go_on, done
    finally:
        go_on.set()
        ends.set()
        for each in signals:
            each.close()


def test_a_killed_holder_whose_child_lives_on_keeps_nobody_out(provider: Provider, make_store: MakeStore, held: Held) -> None:
    with a_killed_holder_with_a_living_child(provider, make_store, held, plain_fork), managing(provider, make_store) as manager:
        assert manager.store is not None
        with manager.store.lock(store_key(manager.source.fingerprint, None), 20):
            pass
        assert manager.token().value
    assert len(provider.requests) == 2


@pytest.mark.parametrize("make_store", ["file"], indirect=True)
def test_a_child_that_was_forked_in_c_keeps_the_lock_of_its_killed_parent_until_it_uses_the_store(
    provider: Provider, make_store: MakeStore, held: Held
) -> None:
    with a_killed_holder_with_a_living_child(provider, make_store, held, fork_in_c) as (go_on, done):
        store = make_store()
        manager = TokenManager(Hurried(provider), store=store)
        key = store_key(manager.source.fingerprint, None)
        with pytest.raises(TimeoutError), store.lock(key, 0):
            pass  # else this test shows nothing
        token = manager.token()  # without the lock, after half of the time
        assert len(provider.requests) == 2
        go_on.set()
        done.wait()
        with store.lock(key, 20):
            pass
        assert make_store().load(key) == StoredToken.of(token)
        manager.close()
    assert len(provider.requests) == 2


@pytest.mark.parametrize("fork", [pytest.param(plain_fork, id="os.fork"), pytest.param(fork_in_c, id="fork in C")])
def test_a_child_forked_while_its_parent_fetches_takes_what_the_parent_gets(
    provider: Provider, make_store: MakeStore, held: Held, fork: Callable[[], int]
) -> None:
    with managing(provider, make_store) as manager:
        fetching = Caller(manager.token)
        assert held.came.wait(20)
        child = Child(lambda: manager.token().value, fork)
        held.go_on.set()
        assert child.result() == fetching.finish().value
    assert len(provider.requests) == 1


def test_a_waiter_leaves_by_its_own_deadline(provider: Provider, make_store: MakeStore, held: Held) -> None:
    with managing(provider, make_store) as holder, managing(provider, make_store) as waiter:
        fetching = Caller(holder.token)
        assert held.came.wait(20)
        with pytest.raises(TokenSourceError) as caught:
            waiter.token(time.monotonic() + 0.05)
        assert caught.value.reason == "timeout"
        held.go_on.set()
        assert waiter.token().value == fetching.finish().value
    assert len(provider.requests) == 1


def test_whoever_waits_takes_the_token_even_if_its_holder_never_lets_go(provider: Provider, make_store: MakeStore, held: Held) -> None:
    with managing(provider, make_store) as manager:
        assert manager.store is not None
        key = store_key(manager.source.fingerprint, None)
        with manager.store.lock(key, 0):
            waiting = Caller(manager.token)
            manager.store.save(key, StoredToken("stored-by-somebody", 4102444800.0))
            assert waiting.finish().value == "stored-by-somebody"
    assert provider.requests == []


def test_a_holder_that_was_stopped_stops_nobody_for_ever(make_store: MakeStore, provider: Provider) -> None:
    Counting(provider)
    with managing(provider, make_store) as manager:
        assert manager.store is not None
        key, store = store_key(manager.source.fingerprint, None), manager.store
        holds = Signal()

        def hold() -> None:
            with store.lock(key, 5):
                holds.set()
                time.sleep(60)

        holder = Child(hold)
        holds.wait()
        holder.kill(signal.SIGSTOP)
        try:
            quick = TokenManager(Hurried(provider), store=store)
            assert quick.token().value
            quick.close()
        finally:
            holder.kill(signal.SIGKILL)
            holder.wait()
            holds.close()


@pytest.mark.parametrize("fork", [pytest.param(plain_fork, id="os.fork"), pytest.param(fork_in_c, id="fork in C")])
def test_a_child_that_was_forked_under_the_lock_does_not_end_it(make_store: MakeStore, fork: Callable[[], int]) -> None:
    store, sibling = make_store(), make_store()
    with store.lock("key", 5):
        context = store.lock("other", 5)
        context.__enter__()

        def leave() -> None:
            with store.lock("a third", 0):
                context.__exit__(None, None, None)
                for key in ("other", "a third"):
                    with pytest.raises(TimeoutError), sibling.lock(key, 0):
                        pass

        Child(leave, fork).result()
        with pytest.raises(TimeoutError), sibling.lock("other", 0):
            pass
        context.__exit__(None, None, None)
        with sibling.lock("other", 0):
            pass
    for each in (store, sibling):
        close = getattr(each, "close", None)
        if close is not None:
            close()


@pytest.mark.parametrize("make_store", ["file"], indirect=True)
def test_no_child_is_forked_between_opening_a_lock_file_and_knowing_of_it(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store()
    assert isinstance(store, FileTokenStore)
    really_open, opened, is_open = store._folder.open_to_lock, [], threading.Event()

    def open_and_linger(name: str) -> int:
        opened.append(really_open(name))
        is_open.set()
        time.sleep(0.05)
        return opened[0]

    monkeypatch.setattr(store._folder, "open_to_lock", open_and_linger)
    locking = Caller(lambda: store.lock("key", 0).__enter__())
    assert is_open.wait(20)

    def work() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(opened[0])

    Child(work).result()
    locking.finish()
