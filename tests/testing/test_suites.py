"""The suites for plugin authors, on the package's own sources and stores, and on ones that break their promises."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.emulator import Emulator
from animus.errors import TokenSourceError
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.chain import ChainTokenSource
from animus.sources.command import CommandTokenSource
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenRequest, TokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, TokenStore
from animus.testing.suites import TokenSourceSuite, TokenStoreSuite
from tests.tokens.minting import mint

TOKEN = mint(4102444800, sub="suite")
SECRET = "s3cret-of-the-suite"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(api_key=SECRET) as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_TOKEN", TOKEN)
    monkeypatch.setenv("SUITE_KEY", SECRET)


class WithEmulator(TokenSourceSuite):
    secrets = (SECRET,)

    @pytest.fixture(autouse=True)
    def use_emulator(self, emulator: Emulator) -> None:
        self.emulator = emulator


class TestUrlTokenSource(WithEmulator):
    def make_source(self) -> TokenSource:
        return UrlTokenSource(f"{self.emulator.token_url}?key={SECRET}", headers={"X-User": SECRET})


class TestUrlTokenSourceThatTravels(WithEmulator):
    def make_source(self) -> TokenSource:
        return UrlTokenSource(self.emulator.token_url)


class TestApiKeyTokenSource(WithEmulator):
    def make_source(self) -> TokenSource:
        return ApiKeyTokenSource(SECRET, auth_url=self.emulator.auth_url)


class TestApiKeyAsBearer(TokenSourceSuite):
    secrets = (SECRET,)

    def make_source(self) -> TokenSource:
        return ApiKeyTokenSource(SECRET, mode="bearer")


def _token() -> str:
    return TOKEN


class TestCallableTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return CallableTokenSource(_token)


class TestEnvironmentTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return EnvironmentTokenSource("SUITE_TOKEN")


class TestStaticTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return StaticTokenSource(TOKEN)


class TestCommandTokenSource(TokenSourceSuite):
    secrets = (SECRET,)

    def make_source(self) -> TokenSource:
        return CommandTokenSource([sys.executable, "-SIc", "import os; print(os.environ['SUITE_TOKEN'])"])


class TestCommandWithSecrets(TokenSourceSuite):
    secrets = (SECRET,)

    def make_source(self) -> TokenSource:
        return CommandTokenSource(["/bin/sh", "-c", "echo $SUITE_TOKEN"], env={"KEY": SECRET})

    if os.name != "posix":
        pytestmark = pytest.mark.skip("a shell script")


class TestChainTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return ChainTokenSource({"nothing": EnvironmentTokenSource("NOTHING_THERE"), "token": EnvironmentTokenSource("SUITE_TOKEN")})


class TestMemoryTokenStore(TokenStoreSuite):
    shared = False

    def make_store(self) -> TokenStore:
        return MemoryTokenStore()


# ---- the suites find what is wrong ---------------------------------------------------------------------


class _Sound:
    fingerprint = "sound"

    def fetch(self, request: TokenRequest) -> Any:
        return TOKEN


class _NoToken(_Sound):
    def fetch(self, request: TokenRequest) -> Any:
        return {"nothing": 1}


class _Once(_Sound):
    asked = False

    def fetch(self, request: TokenRequest) -> Any:
        if self.asked:
            raise RuntimeError("asked before")
        self.asked = True
        return TOKEN


class _ById(_Sound):
    numbers = itertools.count()

    def __init__(self) -> None:
        self.fingerprint = f"source {next(self.numbers)}"


class _Shown(_Sound):
    def __repr__(self) -> str:
        return f"<Shown {TOKEN}>"


class _Kept(_Sound):
    def __init__(self) -> None:
        self.kept = TOKEN


class _Misspelt(_Sound):
    background = "no"


class _NotForce(_Sound):
    def fetch(self, request: TokenRequest) -> Any:
        assert not request.force
        return TOKEN


class _ClosedForEver(_Sound):
    closed = False

    def fetch(self, request: TokenRequest) -> Any:
        assert not self.closed
        return TOKEN

    def close(self) -> None:
        self.closed = True


class _Telling(_Sound):
    def fetch(self, request: TokenRequest) -> Any:
        if request.left is not None and request.left < 0:
            raise TokenSourceError(f"no time for {TOKEN}", reason="timeout")
        return TOKEN


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (object, "test_it_has_what_a_source_has"),
        (_NoToken, "test_it_gives_a_usable_token"),
        (_Once, "test_it_gives_a_token_again"),
        (_NotForce, "test_it_gives_a_token_again"),
        (_ById, "test_equal_configuration_has_equal_fingerprints"),
        (_Shown, "test_nothing_shows_a_secret"),
        (_Kept, "test_it_travels_without_secrets_or_says_why_not"),
        (_Misspelt, "test_optional_members_are_what_they_should_be"),
        (_ClosedForEver, "test_it_can_be_closed_twice_and_used_again"),
        (_Telling, "test_a_failure_shows_no_secret"),
    ],
)
def test_a_source_that_breaks_a_promise_fails(kind: type[Any], test: str) -> None:
    suite = TokenSourceSuite()
    suite.make_source = kind  # type: ignore[method-assign]
    check = getattr(suite, test)
    with pytest.raises((AssertionError, TokenSourceError)) as caught:
        check(kind())
    assert TOKEN not in str(caught.value)


class _Forgetful(MemoryTokenStore):
    def save(self, key: str, stored: StoredToken) -> None:
        super().save(key, StoredToken(stored.value, stored.expires_at))


class _OneForAll(MemoryTokenStore):
    def load(self, key: str) -> StoredToken | None:
        return super().load("")

    def save(self, key: str, stored: StoredToken) -> None:
        super().save("", stored)


class _Strict(MemoryTokenStore):
    def delete(self, key: str) -> None:
        with self._lock:
            del self._tokens[key]


class _Unlocked(MemoryTokenStore):
    def lock(self, key: str, timeout: float) -> Any:
        return contextlib.nullcontext()


class _OneLock(MemoryTokenStore):
    def lock(self, key: str, timeout: float) -> Any:
        return super().lock("", min(timeout, 0.05))


class _KeptAfterAFailure(MemoryTokenStore):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        held = super().lock(key, timeout)
        self.kept.append(held)  # else it would be freed with the object
        held.__enter__()
        yield
        held.__exit__(None, None, None)


class _Loud(MemoryTokenStore):
    def __repr__(self) -> str:
        return " ".join(stored.value for stored in self._tokens.values())


class _Carrying(MemoryTokenStore):
    def __reduce__(self) -> Any:
        return MemoryTokenStore, (), None, None, iter([("k", str(stored.value)) for stored in self._tokens.values()])


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (object, "test_it_has_what_a_store_has"),
        (_Forgetful, "test_what_was_saved_is_read_back"),
        (_OneForAll, "test_keys_are_kept_apart"),
        (_Strict, "test_what_was_deleted_is_gone"),
        (_Unlocked, "test_a_lock_that_is_taken_is_given_up_in_time"),
        (_OneLock, "test_locks_of_different_keys_do_not_meet"),
        (_KeptAfterAFailure, "test_a_lock_is_free_again_whatever_happens_inside"),
        (_Loud, "test_nothing_shows_a_token"),
        (_Carrying, "test_it_travels_without_tokens_or_says_why_not"),
        (MemoryTokenStore, "test_another_object_for_the_same_place_sees_it"),
    ],
)
def test_a_store_that_breaks_a_promise_fails(kind: Callable[[], Any], test: str) -> None:
    suite = TokenStoreSuite()
    suite.make_store = kind  # type: ignore[method-assign]
    check = getattr(suite, test)
    with pytest.raises((AssertionError, KeyError, TimeoutError)):
        check(kind())


def test_a_suite_without_its_factory_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"make_source\(\)"):
        TokenSourceSuite().make_source()
    with pytest.raises(NotImplementedError, match=r"make_store\(\)"):
        TokenStoreSuite().make_store()
