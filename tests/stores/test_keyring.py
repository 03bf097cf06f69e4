"""Tokens in a keyring. The keyring is one of the package's own interface, in memory."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import keyring
import keyring.backend
import keyring.backends.fail
import pytest

from animus import ConfigurationError
from animus.refresh.manager import TokenManager
from animus.stores import extra
from animus.stores.keyring import KeyringTokenStore
from animus.stores.protocol import StoredToken, store_key
from animus.testing.suites import TokenStoreSuite
from tests.in_memory_keyring import InMemory, using_keyring
from tests.refresh.sources import Scripted

KEY = store_key("url:x", "u1")


@pytest.fixture(autouse=True)
def ring() -> Iterator[InMemory]:
    with using_keyring() as ring:
        yield ring


class TestKeyringTokenStore(TokenStoreSuite):
    """All that a store promises."""

    frees_within = 0.5  # with its holder

    def make_store(self) -> KeyringTokenStore:
        return KeyringTokenStore()


def test_services_keep_apart(ring: InMemory) -> None:
    KeyringTokenStore("shop").save(KEY, StoredToken("t"))
    assert KeyringTokenStore().load(KEY) is None
    assert list(ring.entries) == [("shop", KEY)]


def test_what_is_damaged_is_said_and_replaced(ring: InMemory) -> None:
    store = KeyringTokenStore()
    ring.entries["animus-client", KEY] = "a password of somebody"
    with pytest.raises(ValueError, match="damaged"):
        store.load(KEY)
    store.save(KEY, StoredToken("t"))
    assert store.load(KEY) == StoredToken("t")


def test_somebody_else_who_deletes_first(ring: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyringTokenStore()
    store.save(KEY, StoredToken("t"))
    delete = ring.delete_password

    def twice(service: str, username: str) -> None:
        delete(service, username)
        delete(service, username)

    monkeypatch.setattr(ring, "delete_password", twice)
    store.delete(KEY)
    assert ring.entries == {}


def test_a_keyring_that_does_not_delete_is_an_error(ring: InMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(service: str, username: str) -> None:
        raise keyring.errors.PasswordDeleteError("locked")

    store = KeyringTokenStore()
    store.save(KEY, StoredToken("t"))
    monkeypatch.setattr(ring, "delete_password", locked)
    with pytest.raises(keyring.errors.PasswordDeleteError):
        store.delete(KEY)


def test_a_machine_without_a_keyring_is_said_once_and_done_without(caplog: pytest.LogCaptureFixture) -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())
    manager = TokenManager(Scripted({"token": "t1", "expires_in": 3600}, {"token": "t2", "expires_in": 3600}), store=KeyringTokenStore())
    assert manager.token().value == "t1"
    manager.clear()
    assert manager.token().value == "t2"
    manager.close()
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "No recommended backend was available" in warnings[0].getMessage()


def test_nothing_is_imported_or_asked_before_it_is_needed() -> None:
    code = "import sys; from animus import KeyringTokenStore; KeyringTokenStore(); assert 'keyring' not in sys.modules"
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str) -> Any:
        return None if name == "keyring" else object()

    monkeypatch.setattr(extra, "find_spec", without)
    with pytest.raises(ConfigurationError, match=r"keyring.*animus-client\[keyring\]"):
        KeyringTokenStore()


def test_it_travels_as_the_name_of_its_service() -> None:
    store = KeyringTokenStore("shop")
    store.save(KEY, StoredToken("secret-token"))
    data = pickle.dumps(store)
    assert b"secret-token" not in data
    assert pickle.loads(data).service == "shop"
