"""Tokens in memory, and what a store keeps of a token."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.testing import ManualClock
from animus.tokens.token import LiveKitDetails, Token
from tests.tokens.minting import SIGNATURE, mint

TOKEN = Token(mint(2000.0), 2000.0, 3.5, 1000.0, {"voice": LiveKitDetails("wss://x", mint(9.0), 9.0)})


def test_save_load_delete() -> None:
    store = MemoryTokenStore()
    assert isinstance(store, TokenStore)
    assert store.load("k") is None
    store.save("k", StoredToken.of(TOKEN))
    store.save("other", StoredToken("x"))
    stored = store.load("k")
    assert stored is not None
    assert stored.token() == TOKEN
    store.delete("k")
    store.delete("k")
    assert store.load("k") is None
    assert store.load("other") == StoredToken("x")


def test_nothing_shows_a_token() -> None:
    store = MemoryTokenStore()
    store.save("k", StoredToken.of(TOKEN))
    for text in (repr(store), str(store), repr(store.load("k")), f"{store.load('k')}", repr(vars(store))):
        assert SIGNATURE not in text


def test_it_travels_empty() -> None:
    store = MemoryTokenStore()
    store.save("k", StoredToken.of(TOKEN))
    assert pickle.loads(pickle.dumps(store)).load("k") is None
    assert copy.deepcopy(store) is store
    with pytest.raises(TypeError):
        pickle.dumps(store.load("k"))


def test_the_lock_of_a_key_is_held_by_one() -> None:
    store = MemoryTokenStore()
    inside, most = 0, 0
    guard, barrier = threading.Lock(), threading.Barrier(16)

    def work() -> None:
        nonlocal inside, most
        barrier.wait()
        with store.lock("k", 10):
            with guard:
                inside += 1
                most = max(most, inside)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_locks_of_different_keys_do_not_meet_and_a_taken_one_is_given_up_in_time() -> None:
    store = MemoryTokenStore(clock=ManualClock())
    with store.lock("a", 5), store.lock("b", 5), pytest.raises(TimeoutError), store.lock("a", 5):
        pass
    with store.lock("a", 0):
        pass


def test_a_lock_is_freed_by_an_exception() -> None:
    store = MemoryTokenStore(clock=ManualClock())
    with pytest.raises(KeyError), store.lock("a", 5):
        raise KeyError
    with store.lock("a", 0):
        pass


def test_a_token_is_written_as_json_and_read_back() -> None:
    stored = StoredToken.of(TOKEN)
    assert StoredToken.from_json(stored.to_json()) == stored
    assert StoredToken.from_json(stored.to_json().encode()) == stored
    assert StoredToken.from_json(StoredToken("opaque").to_json()) == StoredToken("opaque")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", '{"value": 1}', '{"value": "x", "expires_at": "soon", "skew": 0, "issued_at": null, "livekit": {}}',
     '{"value": "", "expires_at": null, "skew": 0, "issued_at": null, "livekit": {}}',
     '{"value": "x", "expires_at": true, "skew": 0, "issued_at": null, "livekit": {}}',
     '{"value": "x", "expires_at": 1e999, "skew": 0, "issued_at": null, "livekit": {}}',
     '{"value": "x", "expires_at": null, "skew": 0, "issued_at": null, "livekit": {"voice": 7}}'],
)  # fmt: skip
def test_damaged_text_is_nothing(text: str) -> None:
    assert StoredToken.from_json(text) is None


@given(st.recursive(st.none() | st.floats() | st.text(), lambda c: st.dictionaries(st.sampled_from(["value", "skew", "livekit", "x"]), c)))
def test_any_json_is_a_token_or_nothing(data: Any) -> None:
    import json

    stored = StoredToken.from_json(json.dumps(data))
    assert stored is None or isinstance(stored, StoredToken)


def test_keys_tell_sources_and_identities_apart_and_show_neither() -> None:
    keys = {store_key(f, i) for f in ("url:a", "url:b") for i in (None, "", "u1", "u2", "None")}
    assert len(keys) == 10
    assert store_key("a", "b") == store_key("a", "b")
