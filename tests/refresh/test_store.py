"""Sharing tokens through a store."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
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
from animus.tokens.token import LiveKitDetails, Token
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted
from tests.tokens.minting import mint

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


def test_a_caller_in_a_hurry_leaves_while_a_sibling_hangs(managed: Managed, store: MemoryTokenStore, clock: ManualClock) -> None:
    clock.auto_advance = False
    manager = managed(Scripted(living("t1")), store=store)
    with store.lock(store_key("scripted", None), 0):
        caller = Caller(lambda: manager.token(deadline=clock.monotonic() + 2))
        clock.wait_until_blocked(2)
        clock.advance(2)
        with pytest.raises(TokenSourceError, match="deadline"):
            caller.finish()


def test_a_caller_in_a_hurry_that_must_ask_for_itself_waits_for_half_of_its_time(
    managed: Managed, store: MemoryTokenStore, clock: ManualClock
) -> None:
    manager = managed(Scripted(living("t1"), background=False), store=store)
    began = clock.monotonic()
    with store.lock(store_key("scripted", None), 0):
        assert manager.token(deadline=began + 2).value == "t1"
    assert clock.monotonic() - began == 1.0


class Interrupted(MemoryTokenStore):
    """Ctrl-C comes while the token is looked for under the lock, which nobody frees by throwing it away."""

    class Lock:
        held = False

        def __enter__(self) -> None:
            self.held = True

        def __exit__(self, *exc_info: object) -> None:
            self.held = False

    def __init__(self, *, clock: ManualClock) -> None:
        super().__init__(clock=clock)
        self.only = self.Lock()

    def lock(self, key: str, timeout: float) -> Any:
        return self.only

    def load(self, key: str) -> StoredToken | None:
        if self.only.held:
            raise KeyboardInterrupt
        return None


def test_an_interrupted_look_lets_go_of_the_lock(managed: Managed, clock: ManualClock) -> None:
    store = Interrupted(clock=clock)
    with pytest.raises(KeyboardInterrupt):
        managed(Scripted(living("t1")), store=store).token()
    assert not store.only.held


class LocksAtOnce(MemoryTokenStore):
    """Waits, and gives up, when the lock is asked for, not when it is entered."""

    def lock(self, key: str, timeout: float) -> contextlib.AbstractContextManager[None]:
        held = contextlib.ExitStack()
        held.enter_context(super().lock(key, timeout))
        return held  # type: ignore[return-value]


def test_a_lock_may_give_up_when_it_is_asked_for(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    clock.auto_advance = False
    store, gate = LocksAtOnce(clock=clock), Gate(living("t1"))
    first = Caller(managed(Scripted(gate), store=store).token)
    assert gate.entered.wait(20)
    second = Caller(managed(Scripted("never asked"), store=store).token)
    clock.wait_until_blocked(1)
    for waits in range(2, 5):
        clock.advance(0.25)
        while len(clock.waits) < waits:
            time.sleep(0.001)
    gate.opened.set()
    assert first.finish().value == second.finish().value == "t1"
    assert warnings_in(caplog) == 0


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


@pytest.mark.parametrize(
    "stored",
    [
        StoredToken("with a space", 4102444800.0),
        StoredToken("with-\ufffd", 4102444800.0),
        StoredToken("two\nlines", 4102444800.0),
        StoredToken("", 4102444800.0),
        StoredToken("t0", "soon"),  # type: ignore[arg-type]
        StoredToken("t0", 10**400),
        StoredToken("t0", 4102444800.0, livekit=None),  # type: ignore[arg-type]
    ],
)
def test_a_stored_token_that_cannot_be_used_is_replaced(
    managed: Managed, store: MemoryTokenStore, stored: StoredToken, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(store_key("scripted", None), stored)
    assert managed(Scripted(living("t1")), store=store).token().value == "t1"
    assert warnings_in(caplog) == 1
    assert managed(Scripted("never asked"), store=store).token().value == "t1"


def test_a_fingerprint_that_cannot_be_had_is_told_with_the_source(managed: Managed, store: MemoryTokenStore) -> None:
    class Riddle(Scripted):
        @property
        def fingerprint(self) -> str:
            raise RuntimeError("Invalid IPv6 URL")

        @fingerprint.setter
        def fingerprint(self, value: str) -> None: ...

    with pytest.raises(ConfigurationError, match=r"scripted has no fingerprint .* RuntimeError: Invalid IPv6 URL"):
        managed(Riddle("t1"), store=store)
    for nothing in (" ", None, 7):
        with pytest.raises(ConfigurationError, match="the fingerprint of scripted must be a non-blank string"):
            managed(Scripted("t1", fingerprint=nothing), store=store)


# ---- logout --------------------------------------------------------------------------------------------


class Overtaken(MemoryTokenStore):
    """Something else happens before a token is deleted."""

    before_delete: Callable[[], object] = staticmethod(lambda: None)

    def delete(self, key: str) -> None:
        self.before_delete()
        super().delete(key)


def test_who_asks_while_the_store_is_cleared_does_not_get_the_old_token(managed: Managed, clock: ManualClock) -> None:
    store, meanwhile = Overtaken(clock=clock), []
    manager = managed(Scripted(living("before"), living("after")), store=store)
    manager.token()
    store.before_delete = lambda: meanwhile.append(str(manager.token().value))
    manager.clear()
    assert [*meanwhile, str(manager.token().value)] == ["after", "after"]


def test_a_store_that_cannot_delete_gives_no_old_token_back(managed: Managed, clock: ManualClock) -> None:
    def fail() -> None:
        raise OSError("read-only")

    store = Overtaken(clock=clock)
    sources = Scripted(living("before"), living("after")), Scripted(living("of-a-sibling"))
    manager, sibling = (managed(source, store=store) for source in sources)
    manager.token()
    store.before_delete = fail
    manager.clear()
    assert manager.token().value == "after"
    assert sibling.token().value == "after", "what it asked for has taken the old one's place"
    sibling.invalidate("after")
    sibling.token()
    manager.invalidate("after")
    assert manager.token().value == "of-a-sibling", "from then on it shares again"


class Saving(MemoryTokenStore):
    """Something happens before and after the first token is written; deleting may fail."""

    before: Callable[[], object] = staticmethod(lambda: None)
    after: Callable[[], object] = staticmethod(lambda: None)
    deletes = True
    saved = 0

    def save(self, key: str, stored: StoredToken) -> None:
        self.saved += 1
        first = self.saved == 1
        if first:
            self.before()
        super().save(key, stored)
        if first:
            self.after()

    def delete(self, key: str) -> None:
        if not self.deletes:
            raise OSError("read-only")
        super().delete(key)


def fail(text: str) -> None:
    raise OSError(text)


@pytest.mark.parametrize("answers", [True, False], ids=["it is saved", "the answer of the store is lost"])
@pytest.mark.parametrize("cleans", [True, False], ids=["it is taken away", "it cannot be taken away"])
def test_what_is_written_behind_a_logout_is_not_used(managed: Managed, clock: ManualClock, answers: bool, cleans: bool) -> None:
    store = Saving(clock=clock)
    manager = managed(Scripted(living("before"), living("after")), store=store)

    def logout() -> None:
        manager.clear()
        store.deletes = cleans

    store.before = logout
    store.after = (lambda: None) if answers else (lambda: fail("time-out"))
    manager.token()
    assert manager.token().value == "after"
    store.deletes = True
    stored = store.load(store_key("scripted", None))
    assert stored is not None
    assert stored.value == "after"


def test_what_is_being_written_while_there_is_a_logout_is_not_taken(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    store, written, go_on = Saving(clock=clock), threading.Event(), threading.Event()

    def hang() -> None:
        written.set()
        assert go_on.wait(20)

    store.after = hang
    manager = managed(Scripted(living("before"), living("after"), timeout=10.0, own_thread=True), store=store)
    first = Caller(manager.token)
    assert written.wait(20)
    assert first.finish().value == "before", "nobody waits for the store"
    manager.clear()
    store.save(store_key("scripted", None), StoredToken("before", clock.time() + 3600))
    clock.advance(10)
    assert Caller(manager.token).finish().value == "after"
    go_on.set()


def test_who_waits_does_not_wait_for_the_store(managed: Managed, clock: ManualClock, heard: Heard) -> None:
    clock.auto_advance = False
    store, saving, go_on = Saving(clock=clock), threading.Event(), threading.Event()

    def hang() -> None:
        saving.set()
        assert go_on.wait(20)

    store.before = hang
    gate = Gate(living("t1"))
    manager = managed(Scripted(gate, "never asked"), store=store)
    leader = Caller(manager.token)
    assert gate.entered.wait(20)
    follower = Caller(manager.token)
    clock.wait_until_blocked(1)
    gate.opened.set()
    assert saving.wait(20)
    assert follower.finish().value == manager.token().value == "t1"
    assert heard.names == []
    go_on.set()
    assert leader.finish().value == "t1"
    assert heard.names == ["token_refreshed"]


def test_a_token_that_is_over_when_it_was_stored_is_not_handed_out(managed: Managed, clock: ManualClock) -> None:
    class Slowly(MemoryTokenStore):
        def save(self, key: str, stored: StoredToken) -> None:
            clock.advance(2)
            super().save(key, stored)

    source = Scripted(living("t1", 1), living("t2", 10))
    assert managed(source, store=Slowly(clock=clock)).token().value == "t2"
    with pytest.raises(TokenSourceError) as caught:
        managed(Scripted(*(living(f"t{number}", 1) for number in range(3))), store=Slowly(clock=clock)).token()
    assert caught.value.reason == "expired"


def test_a_call_that_hangs_does_not_keep_the_lock_of_the_store(managed: Managed, clock: ManualClock) -> None:
    clock.auto_advance = False
    store, gate = MemoryTokenStore(clock=clock), Gate("late")
    hanging = managed(Scripted(gate, timeout=10.0, own_thread=True), store=store)
    caller = Caller(hanging.token)
    assert gate.entered.wait(20)
    clock.wait_until_blocked(1)
    clock.advance(10)
    with pytest.raises(TokenSourceError, match="time limit"):
        caller.finish()
    with store.lock(store_key("scripted", None), 0):
        gate.opened.set()


def test_a_refused_token_that_the_store_kept_is_not_taken_later(managed: Managed, clock: ManualClock) -> None:
    store = Moody(clock)
    manager = managed(Scripted(living("t1"), living("t2"), living("t3")), store=store)
    manager.token()
    store.fails = dict.fromkeys(("load", "save", "lock"), "it is down")
    manager.invalidate("t1")
    assert manager.token().value == "t2"
    store.fails = {}
    manager.invalidate("t2")
    assert manager.token().value == "t3"


def test_a_token_that_is_refused_while_it_is_on_its_way_is_asked_for_anew(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(living("t1", 100), living("t1", 100), living("t2", 100), background=False)
    manager = managed(source)
    manager.token()
    clock.advance(80)
    source.script[0] = lambda: manager.invalidate("t1") or living("t1", 100)
    assert manager.token().value == "t2"
    assert [request.force for request in source.asked][-1]


def test_a_refused_token_leaves_the_store_whatever_a_sibling_says_of_the_source(managed: Managed, clock: ManualClock) -> None:
    down = TokenSourceError("it is down", reason="server_error", status=503)
    store, key = MemoryTokenStore(clock=clock), store_key("scripted", None)
    refused, renewing = (managed(Scripted(down, background=False), store=store, repeats=False) for _ in range(2))
    store.save(key, StoredToken("t0", clock.time() + 50, 0.0, clock.time() - 3000))  # it is time to renew it
    assert refused.token().value == renewing.token().value == "t0"
    assert renewing.token().value == "t0"
    assert store.load_failure(key) is not None
    refused.invalidate("t0")
    with pytest.raises(TokenSourceError, match="it is down"):
        refused.token()
    assert store.load(key) is None


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


def test_a_condition_whose_text_varies_is_told_once(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    store = Moody(clock)
    manager = managed(Scripted(*(living(f"t{number}", 100) for number in range(40))), store=store)
    for number in range(20):
        store.fails = {"save": f"<Connection object at 0x7f{number:08x}> to port {50000 + number}: refused after {number / 7} s"}
        clock.advance(200)
        manager.token()
    assert warnings_in(caplog) == 1
    for number in range(40):
        store.fails = {"save": "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}")}
        clock.advance(200)
        manager.token()
    assert warnings_in(caplog) == 16


@pytest.mark.parametrize("secret", ["an-opaque-key-0123456789", mint(4102444800)])
def test_a_store_that_shows_what_it_was_given_shows_nothing(managed: Managed, clock: ManualClock, caplog: Any, secret: str) -> None:
    class Talkative(MemoryTokenStore):
        def save(self, key: str, stored: StoredToken) -> None:
            raise OSError(f"cannot write {stored.to_json()}")

    source = Scripted(Token(secret, livekit={"voice": LiveKitDetails("wss://x", f"room-{secret}")}))
    managed(source, store=Talkative(clock=clock)).token()
    assert warnings_in(caplog) == 1
    assert secret not in caplog.text


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
