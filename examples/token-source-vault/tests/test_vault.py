"""The source, by the promises of all sources and by its own."""

from __future__ import annotations

import time
from typing import Any

import pytest
from animus_token_source_vault import VaultTokenSource
from fake_vault import FakeVault

from animus import AnimusClient, ChainTokenSource, ConfigurationError, TokenRequest, TokenSource, TokenSourceError
from animus.emulator import Emulator
from animus.testing.suites import TokenSourceSuite

PATH = "secret/data/animus"
KEY = "an-api-key-that-nobody-may-see"
CHAT = {"model": "vivian-llama3.1-70b-1.0-fp8", "system_message": "You are a helpful assistant."}


class TestPromises(TokenSourceSuite):
    """All that a client relies on comes from the package that defines it."""

    secrets = ("hvs.fake-vault-token-0123456789",)

    @pytest.fixture(autouse=True)
    def fill(self, vault: FakeVault) -> None:
        self.vault = vault
        vault.secrets[PATH] = {"data": {"api_key": KEY}}

    def make_source(self) -> TokenSource:
        return VaultTokenSource(PATH)

    def make_failing_source(self) -> TokenSource:
        self.vault.drips = "body"
        return VaultTokenSource(PATH)


@pytest.mark.parametrize(
    ("data", "lease", "value"),
    [
        ({"data": {"accessToken": KEY}, "metadata": {"version": 3}}, 0, KEY),
        ({"token": f" {KEY}\n"}, 0, KEY),
        ({"data": {"other": "x", "access_token": KEY}}, None, KEY),
        ({"data": {"token": "a.b.c"}}, 60, "a.b.c"),
        ({"data": {"token": KEY}}, 60, {"token": KEY, "expires_in": 60}),
    ],
)
def test_a_secret_becomes_a_token(vault: FakeVault, data: Any, lease: Any, value: Any) -> None:
    vault.secrets[PATH], vault.lease = data, lease
    assert VaultTokenSource(f"/{PATH}/").fetch(TokenRequest()) == value


def reason_of(request: TokenRequest = TokenRequest()) -> str:  # noqa: B008  # immutable
    with pytest.raises(TokenSourceError) as caught:
        VaultTokenSource(PATH).fetch(request)
    assert caught.value.source == f"vault:{PATH}"
    assert caught.value.__context__ is None
    return caught.value.reason


def test_whatever_goes_wrong_has_a_reason(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reason_of() == "not_found"
    for vault.secrets[PATH] in (None, {}, {"data": {}}, {"data": {"token": ""}}, {"token": 7}):
        assert reason_of() == "wrong_shape"
    for vault.status, reason in ((500, "server_error"), (302, "client_error"), (429, "rate_limited")):
        assert reason_of() == reason
    vault.status = None
    for vault.body in (b"<html>", b"[]"):
        assert reason_of() == "not_json"
    vault.body = b" " * ((1 << 20) + 1)
    assert reason_of() == "too_large"
    assert reason_of(TokenRequest(deadline=time.monotonic() - 1)) == "timeout"
    monkeypatch.setenv("VAULT_TOKEN", "another")
    assert reason_of() == "unauthorized"
    monkeypatch.setenv("VAULT_ADDR", "http://vault.example.test")
    assert reason_of() == "tls"
    for address in ("http://127.0.0.1:9", "https://[bad", "vault.example.test:8200"):
        monkeypatch.setenv("VAULT_ADDR", address)
        assert reason_of() == "unreachable"
    for name in ("VAULT_TOKEN", "VAULT_ADDR"):
        monkeypatch.delenv(name)
        assert reason_of() == "not_available"


def test_a_vault_that_is_asked_too_often_says_for_how_long(vault: FakeVault) -> None:
    vault.status = 429
    for seconds, retry_after in (("3", 3.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)):
        vault.headers = {"Retry-After": seconds}
        with pytest.raises(TokenSourceError) as caught:
            VaultTokenSource(PATH).fetch(TokenRequest())
        assert caught.value.retry_after == retry_after


def test_a_vault_without_a_certificate_is_not_believed(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", vault.url.replace("http:", "https:"))
    assert reason_of() == "tls"


def test_a_vault_that_drips_is_given_up(vault: FakeVault) -> None:
    vault.secrets[PATH] = {"token": KEY}
    vault.drips = "body"
    assert reason_of(TokenRequest(deadline=time.monotonic() + 0.2)) == "timeout"


def test_nobody_waits_longer_for_a_vault_that_drips_its_head(vault: FakeVault) -> None:
    vault.drips = "head"
    source = VaultTokenSource(PATH)
    source.timeout = 0.3
    with AnimusClient(source, chat=CHAT) as client, pytest.raises(TokenSourceError) as caught:
        client.chat.send("Hello!")
    assert caught.value.reason == "timeout"


def test_an_address_that_is_none_is_no_riddle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "https://[bad")
    monkeypatch.setenv("VAULT_TOKEN", "t")
    with AnimusClient(f"vault:{PATH}", chat=CHAT) as client, pytest.raises(TokenSourceError, match="VAULT_ADDR is no URL"):
        client.chat.send("Hello!")


def test_a_refused_token_is_asked_for_past_caches_and_a_namespace_is_named(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.secrets[PATH] = {"token": KEY}
    monkeypatch.setenv("VAULT_NAMESPACE", "team")
    source = VaultTokenSource(PATH)
    source.fetch(TokenRequest())
    source.fetch(TokenRequest(force=True))
    assert [asked.get("Cache-Control") for asked in vault.asked] == [None, "no-cache"]
    assert {asked["X-Vault-Namespace"] for asked in vault.asked} == {"team"}


def test_users_and_paths_are_told_apart(vault: FakeVault, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {VaultTokenSource(PATH).fingerprint, VaultTokenSource("secret/data/other").fingerprint}
    monkeypatch.setenv("VAULT_TOKEN", "another")
    seen.add(VaultTokenSource(PATH).fingerprint)
    assert len(seen) == 3
    monkeypatch.setenv("VAULT_ADDR", "https://user:password@vault.example.test")
    assert "password" not in VaultTokenSource(PATH).fingerprint


def test_without_a_path_there_is_no_source() -> None:
    with pytest.raises(ConfigurationError, match="there is no path"):
        VaultTokenSource(" / ")


def test_a_client_finds_it_by_its_name(vault: FakeVault) -> None:
    with Emulator() as emulator:
        vault.secrets[PATH] = {"data": {"accessToken": emulator.issue_token("ada")}}
        with AnimusClient(f"vault:{PATH}", api_base_url=emulator.api_base_url, chat=CHAT) as client:
            assert client.chat.send("Hello!").text
            emulator.revoke_tokens()
            vault.secrets[PATH] = {"data": {"accessToken": emulator.issue_token("ada")}}
            assert client.chat.send("Hello again!").text
    assert len(vault.asked) == 2


def test_a_chain_goes_on_where_there_is_no_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULT_ADDR", raising=False)
    chain = ChainTokenSource({"vault": f"vault:{PATH}", "function": lambda: KEY})
    assert chain.fetch(TokenRequest()).value == KEY
