"""Sharing tokens through a store."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus._clock import SYSTEM_CLOCK
from animus.errors import AuthenticationError, ConfigurationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, store_key
from animus.testing import ManualClock
from tests.refresh.sources import Caller, Gate, Scripted

Managed = Callable[..., TokenManager]


@pytest.fixture
def store(clock: ManualClock) -> MemoryTokenStore:
    return MemoryTokenStore(clock=clock)


def living(value: str, seconds: float = 3600) -> dict[str, Any]:
    return {"token": value, "expires_in": seconds}


def test_siblings_share_one_fetch(managed: Managed, store: MemoryTokenStore) -> None:
    first, second = Scripted(living("t1")), Scripted(living("t2"))
    assert managed(first, store=store).token().value == "t1"
    assert managed(second, store=store).token().value == "t1"
    assert second.asked == []


def test_identities_and_sources_never_share(managed: Managed, store: MemoryTokenStore) -> None:
    made = [
        managed(Scripted(living(f"token-of-{fingerprint}-{identity}"), fingerprint=fingerprint), store=store, identity=identity)
        for fingerprint in ("a", "b")
        for identity in (None, "u1", "u2")
    ]
    for _ in range(2):
        for manager in made:
            assert manager.token().value == f"token-of-{manager.source.fingerprint}-{manager.identity}"


def test_two_identities_under_load_never_send_each_others_token(managed: Managed) -> None:
    source = CallableTokenSource(lambda request: living(f"token-of-{request.identity}"))
    # the real clock: a manual one jumps over the time limit as soon as a thread has to wait for another
    store, clock = MemoryTokenStore(), SYSTEM_CLOCK
    managers = {user: managed(source, store=store, identity=user, clock=clock) for user in ("u1", "u2")}

    def ask(user: str) -> set[str]:
        seen = set()
        for number in range(200):
            token = managers[user].token()
            seen.add(str(token.value))
            if number % 7 == 0:
                managers[user].clear()
        return seen

    callers = [(user, Caller(lambda user=user: ask(user))) for user in ("u1", "u2") * 4]
    for user, caller in callers:
        assert caller.finish() == {f"token-of-{user}"}


def test_functions_need_an_identity(managed: Managed, store: MemoryTokenStore) -> None:
    for source in (CallableTokenSource(lambda: "t"), UrlTokenSource("https://back.end/token", headers=dict)):
        with pytest.raises(ConfigurationError, match="identity"):
            managed(source, store=store)
        managed(source, store=store, identity="u1")
        managed(source)


@pytest.mark.parametrize("identity", ["", "  ", 7])
def test_an_identity_is_a_text(managed: Managed, identity: Any) -> None:
    with pytest.raises(ConfigurationError, match="identity"):
        managed(Scripted("t"), identity=identity)


def test_what_costs_nothing_is_not_stored(managed: Managed, store: MemoryTokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", "t")
    for source in (StaticTokenSource("t"), EnvironmentTokenSource()):
        managed(source, store=store).token()
    assert repr(store) == "<MemoryTokenStore with 0 tokens>"


def test_a_stored_token_that_is_over_or_about_to_be_is_not_taken(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    managed(Scripted(living("t1")), store=store).token()
    clock.advance(3600)
    source = Scripted(living("t2"))
    assert managed(source, store=store).token().value == "t2"
    clock.advance(3545)
    late = Scripted(living("t3"))
    third = managed(late, store=store)
    assert third.token().value == "t2"  # it lives, and so serves at once
    assert late.asked == []


def test_a_renewal_takes_what_a_sibling_has_renewed(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    sources = [Scripted(living("t1"), living("t2"), background=False), Scripted(living("x1"), living("x2"), background=False)]
    one, other = (managed(source, store=store) for source in sources)
    assert one.token().value == other.token().value == "t1"
    clock.advance(3545)
    assert one.token().value == "t2"
    assert other.token().value == "t2"
    assert len(sources[0].asked) == 2
    assert sources[1].asked == []


def test_a_refused_token_is_not_taken_from_the_store(managed: Managed, store: MemoryTokenStore) -> None:
    one, other = managed(Scripted(living("t1"), living("t2")), store=store), managed(Scripted(living("x")), store=store)
    other.token()
    assert one.token().value == "x"
    one.invalidate("x")
    assert one.token().value == "t1"
    other.invalidate("x")
    assert other.token().value == "t1"


def test_a_clear_empties_the_place(managed: Managed, store: MemoryTokenStore) -> None:
    manager = managed(Scripted(living("t1"), living("t2")), store=store)
    manager.token()
    manager.clear()
    assert store.load(store_key("scripted", None)) is None
    assert manager.token().value == "t2"


def test_a_fetch_from_before_the_clear_does_not_fill_it(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate(living("t1"))
    manager = managed(Scripted(gate, TokenSourceError("no", reason="unauthorized")), store=store)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    manager.clear()
    gate.opened.set()
    with pytest.raises(TokenSourceError):
        leader.finish()
    assert store.load(store_key("scripted", None)) is None


def test_two_managers_fetch_one_after_the_other(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate(living("t1"))
    slow, quick = Scripted(gate), Scripted(living("t2"))
    first = Caller(managed(slow, store=store).token)
    assert gate.entered.wait(20)
    second = Caller(managed(quick, store=store).token)
    clock.wait_until_blocked(1)
    gate.opened.set()
    assert first.finish().value == second.finish().value == "t1"
    assert quick.asked == []


def test_a_sibling_that_hangs_is_not_waited_for_for_ever(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    with store.lock(store_key("scripted", None), 0):
        assert managed(Scripted(living("t1")), store=store).token().value == "t1"
    assert sum(wait or 0 for wait in clock.waits) == 15.0


class Broken:
    """A store that fails at everything."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def _fail(self, what: str) -> Any:
        self.calls.append(what)
        raise OSError(f"disk full at {what} of eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl")

    def load(self, key: str) -> StoredToken | None:
        return self._fail("load")  # type: ignore[no-any-return]

    def save(self, key: str, stored: StoredToken) -> None:
        self._fail("save")

    def delete(self, key: str) -> None:
        self._fail("delete")

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        yield
        self._fail("unlock")


def test_a_broken_store_is_told_once_and_done_without(managed: Managed, caplog: pytest.LogCaptureFixture) -> None:
    store = Broken()
    manager = managed(Scripted(living("t1"), living("t2")), store=store)
    assert manager.token().value == "t1"
    manager.clear()
    assert manager.token().value == "t2"
    assert set(store.calls) == {"load", "save", "delete", "unlock"}
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 4
    assert "c2lnbmF0dXJl" not in caplog.text


def test_what_a_store_should_not_give_is_nothing(managed: Managed, store: MemoryTokenStore) -> None:
    store._tokens[store_key("scripted", None)] = "a text"  # type: ignore[assignment]
    assert managed(Scripted(living("t1")), store=store).token().value == "t1"


# ---- what a store that fails has told ------------------------------------------------------------------


class Moody(MemoryTokenStore):
    """Fails at what the test says."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.fails: dict[str, str] = {}

    def _may_fail(self, what: str) -> None:
        if what in self.fails:
            raise OSError(self.fails[what])

    def load(self, key: str) -> StoredToken | None:
        self._may_fail("load")
        return super().load(key)

    def save(self, key: str, stored: StoredToken) -> None:
        self._may_fail("save")
        super().save(key, stored)

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        self._may_fail("lock")
        with super().lock(key, timeout):
            yield


def warnings_in(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.levelno >= logging.WARNING for record in caplog.records)


def test_one_condition_is_told_once_for_all_that_it_spoils_and_all_who_meet_it(
    managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Moody(clock)
    store.fails = dict.fromkeys(("load", "save", "lock"), "the folder is open to others")
    for user in ("ada", "grace", "edsger"):
        manager = managed(Scripted(living("t1"), living("t2")), store=store, identity=user)
        manager.token()
        manager.clear()
        manager.token()
    assert warnings_in(caplog) == 1


def test_a_condition_that_was_over_is_told_anew(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    store = Moody(clock)
    manager = managed(Scripted(*(living(f"t{number}") for number in range(20))), store=store)

    def renew() -> int:
        clock.advance(3600)
        manager.token()
        return warnings_in(caplog)

    store.fails = {"save": "no space left"}
    assert (renew(), renew()) == (1, 1)
    store.fails = {"save": "no space left", "load": "no such device"}
    assert (renew(), renew()) == (2, 2)
    store.fails = {}
    assert renew() == 2
    store.fails = {"save": "no space left"}
    assert (renew(), renew()) == (3, 3)


def test_stores_do_not_share_what_was_told(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        store = Moody(clock)
        store.fails = {"save": "no space left"}
        managed(Scripted(living("t1")), store=store).token()
    assert warnings_in(caplog) == 2


class Unhashable(Moody):
    """As a dataclass may be."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable)


def test_a_store_without_a_hash_is_a_store(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    store = Unhashable.__new__(Unhashable)
    MemoryTokenStore.__dict__["_reset_after_fork"](store)
    store._clock, store._tokens, store.fails = clock, {}, {"save": "no space left"}
    manager = managed(Scripted(living("t1"), living("t2")), store=store)
    manager.token()
    clock.advance(3600)
    assert manager.token().value == "t2"
    assert warnings_in(caplog) == 1


# ---- refused, and somebody else's ----------------------------------------------------------------------


def test_a_refused_token_leaves_the_store_although_the_source_has_no_other(managed: Managed, store: MemoryTokenStore) -> None:
    manager = managed(Scripted(living("t1"), TokenSourceError("no", reason="unauthorized")), store=store)
    manager.invalidate(manager.token().value)
    with pytest.raises(TokenSourceError):
        manager.token()
    assert store.load(store_key("scripted", None)) is None


def test_a_refused_token_that_a_sibling_has_replaced_leaves_the_siblings_alone(managed: Managed, store: MemoryTokenStore) -> None:
    source = Scripted(living("t1"), living("t3"))
    manager = managed(source, store=store)
    manager.invalidate(manager.token().value)
    store.save(store_key("scripted", None), StoredToken("t2"))
    assert manager.token().value == "t2"
    assert len(source.asked) == 1


def test_the_refused_token_is_forgotten_but_never_adopted_again(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    source = Scripted(living("t1"), living("t1"), living("t4"))
    manager = managed(source, store=store)
    manager.invalidate(manager.token().value)
    with pytest.raises(AuthenticationError, match="very token"):
        manager.token()
    clock.advance(1.3)
    assert manager.token().value == "t4"


def test_whoever_waits_leaves_as_soon_as_the_token_is_there(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    source = Scripted(living("mine"))
    with store.lock(store_key("scripted", None), 0):
        clock.auto_advance = False
        waiting = Caller(managed(source, store=store).token)
        clock.wait_until_blocked(1)
        store.save(store_key("scripted", None), StoredToken("theirs"))
        clock.advance(0.25)
        assert waiting.finish().value == "theirs"
    assert source.asked == []
    assert clock.waits == [0.25]


class Slow(MemoryTokenStore):
    """Its lock is never free, and it takes longer to say so than it was given."""

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        self._clock.wait(threading.Event(), 4.0)
        raise TimeoutError("a network that is slow")
        yield


def test_a_store_that_takes_its_time_does_not_get_more_than_its_share(managed: Managed, clock: ManualClock) -> None:
    assert managed(Scripted(living("t1")), store=Slow(clock=clock)).token().value == "t1"
    assert len(clock.waits) == 5  # the last one without any time


def test_a_store_with_another_clock_is_not_waited_for_for_ever(managed: Managed) -> None:
    other = MemoryTokenStore(clock=ManualClock())
    with other.lock(store_key("scripted", None), 0):
        assert managed(Scripted(living("t1")), store=other).token().value == "t1"
