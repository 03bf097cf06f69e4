"""Marked tokens, users and passwords go through every store, working and broken, and appear nowhere but where tokens rest."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import secrets as random_text
import stat
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import keyring.backends.fail
import pytest

from animus.events import Emitter
from animus.refresh.manager import TokenManager
from animus.stores.file import FileTokenStore
from animus.stores.keyring import KeyringTokenStore
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.stores.redis import RedisTokenStore
from animus.testing import ManualClock
from animus.tokens.token import LiveKitDetails, Token
from tests.refresh.sources import Scripted
from tests.servers import unused_port
from tests.stores.test_keyring import InMemory
from tests.tokens.minting import SIGNATURE, mint

USER = "user-canary-0123456789"
PASSWORD = "password-canary-0123456789"
TOKENS = [mint(4102444800, sub=f"canary {number}") for number in range(6)]
ROOM = mint(4102444800, sub="canary room")
MARKED = [USER, PASSWORD, SIGNATURE, *(part for token in (*TOKENS, ROOM) for part in token.split(".")[1:2])]


@pytest.fixture
def ring() -> Iterator[InMemory]:
    before, ring = keyring.core._keyring_backend, InMemory()
    keyring.set_keyring(ring)
    yield ring
    keyring.core._keyring_backend = before


def _open_to_others(folder: Path) -> Path:
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    return folder


def _with_damage(folder: Path, content: bytes) -> Path:
    folder.mkdir(mode=0o700)
    path = folder / f"animus-{store_key('scripted', USER)}.json"
    path.write_bytes(content)
    path.chmod(0o600)
    return folder


class Talkative(MemoryTokenStore):
    """Shows what it was given in all that it raises to the client."""

    def save(self, key: str, stored: StoredToken) -> None:
        raise RuntimeError(f"cannot save {stored.to_json()} for {key}")


def _places(tmp_path: Path, redis_url: str) -> dict[str, Callable[[], TokenStore]]:
    half = TOKENS[0][:-10].encode()
    return {
        "memory": MemoryTokenStore,
        "talkative": Talkative,
        "file": lambda: FileTokenStore(tmp_path / "good"),
        "file, open to others": lambda: FileTokenStore(_open_to_others(tmp_path / "open")),
        "file, damaged": lambda: FileTokenStore(_with_damage(tmp_path / "damaged", b'{"value": "' + half)),
        "file, on a file": lambda: FileTokenStore(Path(__file__)),
        "redis": lambda: RedisTokenStore(redis_url, prefix=f"{random_text.token_hex(8)}:"),
        "redis, down": lambda: RedisTokenStore(f"redis://:{PASSWORD}@127.0.0.1:{unused_port()}/0"),
        "redis, of a function": lambda: RedisTokenStore(lambda: f"redis://u:{PASSWORD}@127.0.0.1:{unused_port()}/0"),
        "redis, wrong password": lambda: RedisTokenStore(redis_url.replace("//", f"//nobody:{PASSWORD}@")),
        "keyring": KeyringTokenStore,
    }


class Witness:
    """Keeps all text that comes out of a store, its manager and their errors."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.emitter = Emitter()
        for name in ("token_refreshed", "token_refresh_failed", "token_cleared"):
            self.emitter.on(name, self.see)

    def see(self, *things: object) -> None:
        for thing in things:
            self.texts.extend((repr(thing), str(thing), f"{thing}", f"{thing!s:>5}", f"{[thing]}"))

    def try_to(self, act: Callable[[], Any]) -> None:
        """See what an act gives, or raises."""
        try:
            given = act()
        except Exception as error:
            self.texts.extend(traceback.format_exception(error))
            self.see(error, error.args, error.__cause__, error.__context__)
        else:
            self.see(given if not isinstance(given, bytes) else given.replace(USER.encode(), b"").decode("latin-1"))

    def use(self, store: TokenStore) -> None:
        """See all there is of a store that a manager uses."""
        source = Scripted(*(Token(token, 4102444800.0, livekit={"voice": LiveKitDetails("wss://x", ROOM)}) for token in TOKENS))
        manager = TokenManager(source, clock=ManualClock(), emitter=self.emitter, store=store, identity=USER)
        assert manager._sharing is not None
        parts = (manager, manager._sharing, manager._sharing.shelf, store)
        for _ in range(3):
            self.see(manager.token(), manager.livekit(), *parts, *map(vars, parts))
            manager.invalidate(manager.token().value)
        self.try_to(partial(store.load, store_key("scripted", USER)))
        self.try_to(partial(pickle.dumps, store))
        self.try_to(partial(pickle.dumps, manager))
        self.see(store, copy.copy(store), copy.deepcopy(store))
        manager.clear()
        manager.close()


@pytest.mark.usefixtures("ring")
@pytest.mark.parametrize("broken_ring", [False, True], ids=["", "no keyring"])
def test_the_canary_is_silent(tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture, broken_ring: bool) -> None:
    caplog.set_level(logging.DEBUG)
    if broken_ring:
        keyring.set_keyring(keyring.backends.fail.Keyring())
    witness = Witness()
    for make in _places(tmp_path, redis_url).values():
        store = make()
        witness.use(store)
        witness.use(store)
        close = getattr(store, "close", None)
        if close is not None:
            close()
    text = "\n".join([*witness.texts, caplog.text]).replace(f"'{USER}'", "")  # an identity is the caller's own text, in a dict of ours
    assert len(witness.texts) > 100
    for secret in MARKED:
        place = text.find(secret)
        assert place < 0, text[max(0, place - 300) : place + 100]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no rights here")
def test_tokens_rest_in_files_of_their_owner_alone(tmp_path: Path) -> None:
    manager = TokenManager(Scripted(TOKENS[0]), store=FileTokenStore(tmp_path / "tokens"), identity=USER)
    manager.token()
    manager.close()
    found = 0
    for path in tmp_path.rglob("*"):
        assert USER not in path.name
        if path.is_file() and TOKENS[0].encode() in path.read_bytes():
            found += 1
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert USER.encode() not in path.read_bytes()
    assert found == 1
