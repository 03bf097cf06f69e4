"""What people write as ``token_store``."""

from __future__ import annotations

import pickle
import secrets
from pathlib import Path
from typing import Any

import pytest

from animus import AnimusClient, ConfigurationError, FileTokenStore, KeyringTokenStore, MemoryTokenStore, RedisTokenStore
from animus.stores.make import as_token_store
from animus.stores.protocol import StoredToken, store_key
from animus.testing import ManualClock

URL = "https://back.end/token"
REDIS = "redis://:secret-password@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("file", FileTokenStore),
        (" FILE ", FileTokenStore),
        ("file:/srv/tokens", FileTokenStore),
        ("redis://localhost", RedisTokenStore),
        ("rediss://user:pw@redis.example:6380/2", RedisTokenStore),
        ("REDIS://localhost:1", RedisTokenStore),
        ("keyring", KeyringTokenStore),
        ("memory", type(None)),
    ],
)
def test_a_text(text: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(as_token_store(text)) is kind
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", text)
    assert type(as_token_store(None)) is kind


def test_a_file_and_a_folder() -> None:
    store = as_token_store("file: ~/my tokens ")
    assert isinstance(store, FileTokenStore)
    assert store.folder == Path("~/my tokens").expanduser()


def test_an_object_is_itself() -> None:
    store = MemoryTokenStore()
    assert as_token_store(store) is store


def test_nothing_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_token_store(None) is None
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "  ")
    assert as_token_store(None) is None
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "file")
    assert as_token_store("memory") is None


@pytest.mark.parametrize(
    "value",
    ["", "files", "file:", "file: ", "redis:", "redis", "keyring:x", "memory:", "/srv/tokens", "s3cret:password", 7, [], Path("/x")],
)
def test_anything_else_is_refused_and_not_shown(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_store") as caught:
        as_token_store(value)
    assert "s3cret" not in str(caught.value)
    assert "password" not in str(caught.value)


def test_a_near_miss_is_named() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'redis'"):
        as_token_store("redi://localhost")


def test_a_class_is_no_store() -> None:
    with pytest.raises(ConfigurationError, match=r"Write MemoryTokenStore\(…\)"):
        as_token_store(MemoryTokenStore)


def test_what_an_object_lacks_is_said() -> None:
    with pytest.raises(ConfigurationError, match="lacks save, delete, lock"):
        as_token_store(type("Half", (), {"load": lambda self, key: None})())


@pytest.mark.parametrize("text", ["flie", "redis://:secret-password@", "redis://h:secret-password", "redis://h/0?secret-password@x"])
def test_a_wrong_environment_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", text)
    with pytest.raises(ConfigurationError, match="ANIMUS_TOKEN_STORE") as caught:
        as_token_store(None)
    assert "secret-password" not in str(caught.value)


# ---- in a client ---------------------------------------------------------------------------------------


def test_a_client_takes_it_from_its_argument_or_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = ManualClock()
    with AnimusClient(URL, token_store=f"file:{tmp_path}", clock=clock) as client:
        store = client._manager.store
        assert isinstance(store, FileTokenStore)
        assert (store.folder, store._clock) == (tmp_path, clock)
    with AnimusClient(URL) as client:
        assert client._manager.store is None
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", f"file:{tmp_path}/env")
    with AnimusClient(URL) as client, client.for_identity("ada") as other:
        store = client._manager.store
        assert isinstance(store, FileTokenStore)
        assert store.folder == tmp_path / "env"
        assert other._manager.store is store
        assert other._manager._sharing.shelf is not None
        assert client._manager._sharing.shelf is not None
        assert other._manager._sharing.shelf.key != client._manager._sharing.shelf.key


def test_functions_want_an_identity_wherever_the_store_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="identity"):
        AnimusClient(lambda: "token", token_store="file")
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "file")
    with pytest.raises(ConfigurationError, match="identity"):
        AnimusClient(lambda: "token")
    AnimusClient(lambda: "token", identity="ada").close()
    AnimusClient(lambda: "token", token_store="memory").close()


def test_a_store_travels_with_its_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with AnimusClient(URL, token_store=f"file:{tmp_path}") as client:
        twin = pickle.loads(pickle.dumps(client))
        assert twin._manager.store.folder == tmp_path
        twin.close()
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "file")
    with AnimusClient(URL, token_store="memory") as client:
        assert pickle.loads(pickle.dumps(client))._manager.store is None


def test_a_store_of_the_environment_is_read_where_the_client_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", REDIS)
    with AnimusClient(URL) as client:
        data = pickle.dumps(client)
    assert b"secret-password" not in data
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "redis://elsewhere")
    twin = pickle.loads(data)
    assert twin._manager.store._url() == "redis://elsewhere"
    twin.close()


def test_a_store_of_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    key = store_key("url:x", secrets.token_hex(8))
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", redis_url)
    with AnimusClient(URL) as client:
        of_client = client._manager.store
        monkeypatch.delenv("ANIMUS_TOKEN_STORE")
        of_mapping = as_token_store(None, environ={"ANIMUS_TOKEN_STORE": redis_url})
        for store in (of_client, of_mapping):
            assert isinstance(store, RedisTokenStore)
            store.save(key, StoredToken("token"))
            assert store.load(key) == StoredToken("token")
            store.delete(key)
            store.close()
            assert store.load(key) is None, "it is used after it was closed, too"
            store.close()


def test_a_store_of_the_environment_travels_without_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    store = as_token_store(None, environ={"ANIMUS_TOKEN_STORE": REDIS})
    assert isinstance(store, RedisTokenStore)
    assert "secret-password" not in f"{store!r} {vars(store)} {vars(store._url)}"
    data = pickle.dumps(store)
    assert b"secret-password" not in data
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "redis://elsewhere")
    arrived = pickle.loads(data)
    monkeypatch.delenv("ANIMUS_TOKEN_STORE")
    assert arrived._url() == "redis://elsewhere"
    early = pickle.loads(data)
    with pytest.raises(ValueError, match="cannot be used"):
        early.load("key")
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "redis://elsewhere")
    assert early._url() == "redis://elsewhere"


def test_a_client_whose_store_has_a_password_refuses_to_travel() -> None:
    with AnimusClient(URL, token_store=REDIS) as client, pytest.raises(TypeError, match="ANIMUS_TOKEN_STORE") as caught:
        pickle.dumps(client)
    assert "secret-password" not in str(caught.value)


class Closing(MemoryTokenStore):
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_client_closes_the_store_it_made_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Closing()
    AnimusClient(URL, token_store=theirs).close()
    assert theirs.closed == 0
    client = AnimusClient(URL, token_store="redis://127.0.0.1:1")
    closed: list[str] = []
    monkeypatch.setattr(RedisTokenStore, "close", lambda self: closed.append("closed"))
    client.for_identity("ada").close()
    assert closed == []
    client.close()
    assert closed == ["closed"]
