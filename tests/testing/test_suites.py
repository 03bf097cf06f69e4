"""The suites for plugin authors, on the package's own sources and stores."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from animus.emulator import Emulator
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.chain import ChainTokenSource
from animus.sources.command import CommandTokenSource
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import TokenStore
from animus.testing.suites import TokenSourceSuite, TokenStoreSuite
from tests.tokens.minting import mint

TOKEN = mint(4102444800, sub="suite")
SECRET = "s3cret-of-the-suite"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(api_key=SECRET) as emulator:
        yield emulator


@pytest.fixture
def deaf() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/token"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUITE_TOKEN", TOKEN)
    monkeypatch.setenv("SUITE_KEY", SECRET)


class WithEmulator(TokenSourceSuite):
    secrets = (SECRET,)

    @pytest.fixture(autouse=True)
    def use_emulator(self, emulator: Emulator, deaf: str) -> None:
        self.emulator, self.deaf = emulator, deaf


class TestUrlTokenSource(WithEmulator):
    def make_source(self) -> TokenSource:
        return UrlTokenSource(f"{self.emulator.token_url}?key={SECRET}", headers={"X-User": SECRET})

    def make_failing_source(self) -> TokenSource:
        return UrlTokenSource(f"{self.deaf}?key={SECRET}", headers={"X-User": SECRET})


class TestUrlTokenSourceThatTravels(WithEmulator):
    def make_source(self) -> TokenSource:
        return UrlTokenSource(self.emulator.token_url)


class TestApiKeyTokenSource(WithEmulator):
    def make_source(self) -> TokenSource:
        return ApiKeyTokenSource(SECRET, auth_url=self.emulator.auth_url)

    def make_failing_source(self) -> TokenSource:
        return ApiKeyTokenSource(SECRET, auth_url=self.emulator.token_url + "/nowhere")


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

    def make_failing_source(self) -> TokenSource:
        return EnvironmentTokenSource("NOTHING_THERE")


class TestStaticTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return StaticTokenSource(TOKEN)


class TestCommandTokenSource(TokenSourceSuite):
    secrets = (SECRET,)

    def make_source(self) -> TokenSource:
        return CommandTokenSource([sys.executable, "-SIc", "import os; print(os.environ['SUITE_TOKEN'])"])

    def make_failing_source(self) -> TokenSource:
        return CommandTokenSource([sys.executable, "-SIc", "import time; time.sleep(60)"])


class TestCommandWithSecrets(TokenSourceSuite):
    secrets = (SECRET,)

    def make_source(self) -> TokenSource:
        return CommandTokenSource(["/bin/sh", "-c", "echo $SUITE_TOKEN"], env={"KEY": SECRET})

    def make_failing_source(self) -> TokenSource:
        return CommandTokenSource(["/bin/sh", "-c", "echo the key is $KEY >&2; exit 3"], env={"KEY": SECRET})

    if os.name != "posix":
        pytestmark = pytest.mark.skip("a shell script")


class TestChainTokenSource(TokenSourceSuite):
    def make_source(self) -> TokenSource:
        return ChainTokenSource({"nothing": EnvironmentTokenSource("NOTHING_THERE"), "token": EnvironmentTokenSource("SUITE_TOKEN")})

    def make_failing_source(self) -> TokenSource:
        return ChainTokenSource({"nothing": EnvironmentTokenSource("NOTHING_THERE"), "command": CommandTokenSource(["/bin/false"])})


class TestMemoryTokenStore(TokenStoreSuite):
    shared = False

    def make_store(self) -> TokenStore:
        return MemoryTokenStore()


def test_a_suite_without_its_factory_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match=r"make_source\(\)"):
        TokenSourceSuite().make_source()
    with pytest.raises(NotImplementedError, match=r"make_store\(\)"):
        TokenStoreSuite().make_store()
