"""Damage to what is stored, byte by byte: it is seen, or it is a token that can be sent; never an error that shows one."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from animus import AnimusClient, FileTokenStore, RedisTokenStore, TokenStore
from animus.emulator import Emulator
from animus.stores.protocol import StoredToken, store_key
from animus.tokens.token import LiveKitDetails
from tests.wired import CHAT, user

KEY = store_key("url:x", "u1")
TOKEN = StoredToken("eyJ0.eyJ1.c2ln", 4102444800.0, 1.5, 1000.0, {"voice": LiveKitDetails("wss://x", "eyJ2.eyJ3.c2ln", 9.0)})
SENDABLE = re.compile(r"[!-~]+")


def _can_be_sent(stored: StoredToken) -> bool:
    tokens = [stored.value, *(details.token for details in stored.livekit.values())]
    return all(SENDABLE.fullmatch(token) for token in tokens)


def test_whatever_becomes_of_a_byte_no_token_is_read_that_cannot_stand_in_a_header() -> None:
    whole = TOKEN.to_json().encode()
    for place in range(len(whole)):
        for byte in range(256):
            stored = StoredToken.from_json(whole[:place] + bytes([byte]) + whole[place + 1 :])
            assert stored is None or _can_be_sent(stored), (place, byte)


def test_a_bit_that_is_turned_in_a_file_is_damage_or_makes_a_token_that_can_be_sent(tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "tokens")
    store.save(KEY, TOKEN)
    path = next(store.folder.iterdir())
    whole, damaged = path.read_bytes(), 0
    for place in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            try:
                stored = store.load(KEY)
            except ValueError as error:
                damaged += 1
                assert str(error) == f"a file in {store.folder} is damaged, or none of ours; it will be replaced"
            else:
                assert stored is not None
                assert _can_be_sent(stored)
    assert damaged > len(whole)


@pytest.mark.parametrize("strange", ["\n", "\r\nHost: x", "\x00", " ", "é", "\ufffd", "\x7f", "\u2028"])
def test_a_token_that_cannot_stand_in_a_header_is_none(strange: str) -> None:
    data = json.loads(TOKEN.to_json())
    for holder, name in ((data, "value"), (data["livekit"]["voice"], "token")):
        before = holder[name]
        for text in (f"{before}{strange}", f"{before[:3]}{strange}{before[3:]}"):
            holder[name] = text
            assert StoredToken.from_json(json.dumps(data)) is None
        holder[name] = before
    assert StoredToken.from_json(json.dumps(data)) == TOKEN


# ---- in a client ---------------------------------------------------------------------------------------

Damage = Callable[[bytes], bytes]


class Place:
    """A store, and a hand that damages what is in it."""

    def __init__(self, store: TokenStore, damage: Callable[[Damage], None]) -> None:
        self.store = store
        self.damage = damage


def _in_a_file(folder: Path) -> Place:
    def damage(how: Damage) -> None:
        path = next(folder.glob("*.json"))
        path.write_bytes(how(path.read_bytes()))

    return Place(FileTokenStore(folder), damage)


def _in_redis(redis: Any, store: RedisTokenStore) -> Place:
    def damage(how: Damage) -> None:
        name = next(redis.scan_iter(f"{store._prefix}*"))
        redis.set(name, how(redis.get(name)))

    return Place(store, damage)


@pytest.fixture(params=["file", "redis", "redis, read as text"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "file":
        yield _in_a_file(tmp_path / "tokens")
        return
    url, prefix = request.getfixturevalue("redis_url"), f"{secrets.token_hex(8)}:"
    with Redis.from_url(url) as redis, Redis.from_url(url, decode_responses=True) as of_text:
        yield _in_redis(redis, RedisTokenStore(redis if request.param == "redis" else of_text, prefix=prefix))


@pytest.mark.parametrize("strange", [b"\xff", b"\\n", b"\\ud800", b"\\u0000", "é".encode()])
def test_a_client_goes_on_with_a_fresh_token_and_says_so_once(place: Place, strange: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with Emulator() as emulator:
        source, base = emulator.token_url, emulator.api_base_url

        def hello() -> str:
            with AnimusClient(source, api_base_url=base, chat=CHAT, token_store=place.store) as client:
                return client.chat.completions([user("Hello")]).text

        said = hello()
        place.damage(lambda content: re.sub(rb'(?<="value": ".{40}).', lambda match: strange, content, count=1))
        assert [hello(), hello()] == [said, said]
        assert emulator.requests.count("token") == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "damaged, or none of ours" in warnings[0]
