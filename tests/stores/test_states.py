"""Any order of events with several managers on one store: a model of what they may hand out, and when they may ask."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from animus.errors import AuthenticationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenRequest
from animus.stores.file import FileTokenStore
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.testing import ManualClock
from animus.tokens.token import Token

START = 1795600000.0
LIVES = st.sampled_from([5.0, 60.0, 240.0, 900.0, 3600.0, None])
USERS = ("ada", "grace")


class Issuer:
    """The provider of both users. It knows the true end of each token, and whose it is."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.life: float | None = 3600.0
        self.fails = ""
        self.failed_at = float("-inf")
        self.count = 0
        self.ends: dict[str, float] = {}
        self.owner: dict[str, str] = {}
        self.asked = 0

    def fetch(self, request: TokenRequest) -> Token:
        self.asked += 1
        if self.fails:
            self.failed_at = self.clock.monotonic()
            raise TokenSourceError("no", reason=self.fails)
        self.count += 1
        name = f"t{self.count}"
        self.ends[name] = float("inf") if self.life is None else self.clock.monotonic() + self.life
        self.owner[name] = request.identity or ""
        return Token(name, None if self.life is None else self.clock.time() + self.life)


class Source:
    """One client's way to the issuer."""

    background = False
    fingerprint = "issuer"

    def __init__(self, issuer: Issuer) -> None:
        self.fetch = issuer.fetch


class Sharing(RuleBasedStateMachine):
    """Two managers for each of two users, on one store."""

    managers = Bundle("managers")

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.issuer = Issuer(self.clock)
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.make_store()
        self.all: list[TokenManager] = []
        self.refused: set[str] = set()
        self.issued_at_logout: dict[int, int] = {}
        self.wall_moved = False
        self.spoilt = False

    def make_store(self) -> TokenStore:
        return MemoryTokenStore(clock=self.clock)

    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(target=managers)
    def begin(self) -> Any:
        for user in USERS * 2:
            self.all.append(self._manager(user))
        return multiple(*range(len(self.all)))

    def _manager(self, user: str) -> TokenManager:
        return TokenManager(Source(self.issuer), clock=self.clock, store=self.store, identity=user)

    @rule(life=LIVES)
    def lives_change(self, life: float | None) -> None:
        self.issuer.life = life

    @rule(how=st.sampled_from(["", "unauthorized", "server_error"]))
    def the_provider_fails_or_recovers(self, how: str) -> None:
        self.issuer.fails = how

    @rule(seconds=st.one_of(st.floats(0, 5), st.floats(0, 4000)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, -60.0, 60.0, 3600.0, 86400.0]))
    def the_wall_clock_jumps(self, seconds: float) -> None:
        self.clock.set_time(self.clock.time() + seconds)
        self.wall_moved = True

    @rule(number=managers)
    def a_process_is_replaced(self, number: int) -> None:
        old = self.all[number]
        assert old.identity is not None
        self.all[number] = self._manager(old.identity)
        self.issued_at_logout.pop(number, None)

    @rule(number=managers)
    def one_asks(self, number: int) -> None:
        manager = self.all[number]
        asked = self.issuer.asked
        try:
            token = str(manager.token().value)
        except TokenSourceError:
            remembered = self.clock.monotonic() < self.issuer.failed_at + 1.25
            assert self.issuer.fails or remembered or self.wall_moved
            assert self.issuer.asked - asked <= 2
            return
        except AuthenticationError as error:
            assert error.reason == "rejected_token"
            return
        assert self.issuer.owner[token] == manager.identity, "one user got the token of the other"
        assert int(token[1:]) > self.issued_at_logout.get(number, 0), "a logout was undone"
        # a token in a store has wall time alone: nobody can know its end after somebody has moved the clock
        assert self.wall_moved or self.issuer.ends[token] > self.clock.monotonic(), "a token was handed out beyond its end"
        assert self.issuer.asked - asked <= 2

    @rule(number=managers)
    def the_api_refuses(self, number: int) -> None:
        manager = self.all[number]
        held = manager._held
        if held is None:
            return
        refused = str(held.token.value)
        self.refused.add(refused)
        manager.invalidate(refused)
        with contextlib.suppress(AuthenticationError):
            assert manager.token().value != refused
            assert self._stored(manager) != refused or self.is_unreliable, "a refused token was left to the others"

    @rule(number=managers)
    def one_logs_out(self, number: int) -> None:
        manager = self.all[number]
        manager.clear()
        self.issued_at_logout[number] = self.issuer.count
        assert self._stored(manager) is None or self.is_unreliable

    @rule(user=st.sampled_from(USERS))
    def all_of_a_user_ask_and_share(self, user: str) -> None:
        if self.issuer.fails or self.wall_moved or self.issuer.life in (5.0, 60.0) or self.spoilt:
            return
        if self.clock.monotonic() < self.issuer.failed_at + 1.25:
            return
        fresh = [self._manager(user) for _ in range(3)]
        asked = self.issuer.asked
        values = {str(manager.token().value) for manager in fresh}
        assert len(values) == 1
        assert self.issuer.asked - asked <= 1

    @rule(user=st.sampled_from(USERS))
    def all_of_a_user_are_told_what_the_first_has_met(self, user: str) -> None:
        if self.issuer.fails != "server_error" or self.wall_moved or self.spoilt:
            return
        fresh = [self._manager(user) for _ in range(3)]
        asked = self.issuer.asked
        told = 0
        for manager in fresh:
            with contextlib.suppress(TokenSourceError):
                manager.token()
                told -= 1
            told += 1
        assert told in (0, 3), "a failure or a token, but the same for all"
        assert self.issuer.asked - asked <= 2, "one asks, and once more"

    @property
    def is_unreliable(self) -> bool:
        """Whether the store fails at something."""
        return False

    def _stored(self, manager: TokenManager) -> str | None:
        stored = self.store.load(store_key("issuer", manager.identity))
        return None if stored is None else str(stored.value)

    @invariant()
    def nothing_is_left_over(self) -> None:
        for manager in self.all:
            assert manager._flights.idle
            assert "unlocked" in repr(manager._lock)


class Unreliable(MemoryTokenStore):
    """Fails at some steps."""

    fails: frozenset[str] = frozenset()

    def _step(self, name: str) -> None:
        if name in self.fails:
            raise OSError(f"{name} does not work")

    def load(self, key: str) -> StoredToken | None:
        self._step("load")
        return super().load(key)

    def save(self, key: str, stored: StoredToken) -> None:
        self._step("save")
        super().save(key, stored)

    def delete(self, key: str) -> None:
        self._step("delete")
        super().delete(key)

    def load_failure(self, key: str) -> str | None:
        self._step("load_failure")
        return super().load_failure(key)

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        self._step("save_failure")
        super().save_failure(key, text, seconds)

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        self._step("lock")
        with super().lock(key, timeout):
            yield
        self._step("unlock")


class SharingUnreliably(Sharing):
    """The same with a store that fails at any of its steps, now and then."""

    store: Unreliable

    def make_store(self) -> TokenStore:
        return Unreliable(clock=self.clock)

    @property
    def is_unreliable(self) -> bool:
        return bool(self.store.fails)

    def _stored(self, manager: TokenManager) -> str | None:
        stored = MemoryTokenStore.load(self.store, store_key("issuer", manager.identity))
        return None if stored is None else str(stored.value)

    @rule(steps=st.sets(st.sampled_from(["load", "save", "delete", "lock", "unlock", "load_failure", "save_failure"]), max_size=2))
    def some_steps_fail(self, steps: set[str]) -> None:
        self.store.fails = frozenset(steps)
        self.spoilt = bool(steps)

    @rule(number=Sharing.managers, step=st.sampled_from(["delete", "save"]))
    def one_logs_out_and_in_while_a_step_fails(self, number: int, step: str) -> None:
        self.some_steps_fail({step})
        self.one_logs_out(number)
        self.one_asks(number)


class SharingFiles(Sharing):
    """The same with files, which somebody damages, opens to others or takes away now and then."""

    def make_store(self) -> TokenStore:
        return FileTokenStore(Path(self.folder.name) / "tokens", clock=self.clock)

    def _files(self) -> list[Path]:
        assert isinstance(self.store, FileTokenStore)
        return sorted(self.store.folder.glob("animus-*.json")) if self.store.folder.exists() else []

    def _stored(self, manager: TokenManager) -> str | None:
        try:
            return super()._stored(manager)
        except (OSError, ValueError):
            return None

    @rule(content=st.sampled_from([b"", b"{", b"\xff", b'{"value": "t1"}', b"null"]))
    def a_file_is_damaged(self, content: bytes) -> None:
        for path in self._files():
            path.write_bytes(content)

    @rule(mode=st.sampled_from([0o644, 0o666]))
    def a_file_is_opened_to_others(self, mode: int) -> None:
        for path in self._files():
            path.chmod(mode)

    @rule()
    def a_file_is_gone(self) -> None:
        for path in self._files():
            path.unlink()

    @rule()
    def the_folder_is_opened_or_closed_to_others(self) -> None:
        assert isinstance(self.store, FileTokenStore)
        if self.store.folder.exists():
            self.spoilt = not self.spoilt
            self.store.folder.chmod(0o755 if self.spoilt else 0o700)


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSharingUnreliably = SharingUnreliably.TestCase
TestSharingUnreliably.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSharingFiles = SharingFiles.TestCase
TestSharingFiles.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
