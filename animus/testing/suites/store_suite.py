"""The promises of a token store, as tests."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import pickle

import pytest

from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenRequest
from animus.stores.protocol import FailureStore, StoredToken, TokenStore
from animus.testing.suites.checks import PATIENCE, all_at_once, assert_hidden, close_it, promised, wait_until
from animus.testing.suites.locks import LockPromises
from animus.testing.suites.travel import pickled
from animus.tokens.token import LiveKitDetails, Token

_FAILURE_METHODS = ("load_failure", "save_failure")


class TokenStoreSuite(LockPromises):
    """The promises of a :class:`~animus.TokenStore`. Inherit it and write ``make_store``.

    Each test begins with an empty store: let ``make_store`` use a new folder, prefix or database for each test (``tmp_path`` by an
    autouse fixture).

    Attributes:
        shared: False for a store whose tokens no other object, or no other process, can see.
        frees_within: Seconds until the lock of a process that was killed is free: the length of a lease, if the lock has one. Two tests
            wait that long, so give the store a short one there.
    """

    # ---- tokens ----------------------------------------------------------------------------------------

    def test_it_has_what_a_store_has(self, store: TokenStore) -> None:
        """``load``, ``save``, ``delete`` and ``lock``."""
        assert isinstance(store, TokenStore), "a store has the methods load(), save(), delete() and lock()"

    def test_nothing_is_there_at_first(self, store: TokenStore) -> None:
        """An unknown key is None, not an error."""
        loaded = promised("load() of an unknown key gives None", lambda: store.load(self.key))
        assert loaded is None, "there is a token before any was saved: begin each test with an empty store"

    def test_what_was_saved_is_read_back(self, store: TokenStore) -> None:
        """With all its fields."""
        store.save(self.key, self.stored)
        _assert_kept(store.load(self.key), self.stored)

    @pytest.mark.parametrize(
        "stored",
        [
            StoredToken("opaque"),
            StoredToken("over", 1.0, 0.0, 0.5),
            StoredToken("x" * 8000, 4102444800.25, 1e-3, 1.0),
            StoredToken("~!#$%&'*+-.^_`|\"\\{}", 4102444800.0),
            StoredToken("many", None, 0.0, None, {"voice": LiveKitDetails("wss://x", "y"), "übung": LiveKitDetails("wss://z", "w", 2.5)}),
        ],
        ids=["without an end", "over", "long", "strange characters", "several contexts"],
    )
    def test_all_sorts_of_tokens_are_kept(self, store: TokenStore, stored: StoredToken) -> None:
        """Also those that are over: whoever loads it decides."""
        store.save(self.key, stored)
        _assert_kept(store.load(self.key), stored)

    def test_the_last_one_saved_counts(self, store: TokenStore) -> None:
        """One key, one token."""
        store.save(self.key, self.stored)
        store.save(self.key, StoredToken("newer"))
        _assert_kept(store.load(self.key), StoredToken("newer"))

    def test_keys_are_kept_apart(self, store: TokenStore) -> None:
        """A key stands for a source and a user: nobody gets another one's token."""
        store.save(self.key, self.stored)
        nothing = promised("load() of an unknown key gives None", lambda: store.load(self.other_key))
        assert nothing is None, "the token of one key is found under another: users get each other's tokens"
        store.save(self.other_key, StoredToken("grace's"))
        store.delete(self.other_key)
        assert store.load(self.key) == self.stored, "what is saved or deleted under one key changes what is under another"

    def test_what_was_deleted_is_gone(self, store: TokenStore) -> None:
        """And deleting it once more is fine: two processes may log out at once."""
        store.save(self.key, self.stored)
        store.delete(self.key)
        assert promised("load() of a deleted key gives None", lambda: store.load(self.key)) is None, "what was deleted is still there"
        promised("deleting what is not there is fine", lambda: store.delete(self.key))

    def test_another_object_for_the_same_place_sees_it(self, store: TokenStore) -> None:
        """That is what a shared store is for."""
        self._skip_unless_shared()
        store.save(self.key, self.stored)
        with self.another(store) as sibling:
            found = promised("another object for the same place works", lambda: sibling.load(self.key))
            assert found == self.stored, (
                "another object for the same place does not find the token: have make_store() lead to one place within a test, "
                "or say shared = False"
            )
            sibling.delete(self.key)
            assert store.load(self.key) is None, "what another object has deleted is still there: read it anew each time"

    def test_a_token_gets_the_whole_way_to_a_second_manager(self, store: TokenStore) -> None:
        """All together: the second client does not ask its source."""
        asked: list[TokenRequest] = []
        first, second = (TokenManager(_Counting(asked), store=store, identity="ada") for _ in range(2))
        try:
            values = {first.token().value, second.token().value}
            assert len(asked) == len(values) == 1, "a second client asks its source although the store has a token: the log says why"
        finally:
            first.close()
            second.close()

    # ---- failures --------------------------------------------------------------------------------------

    def test_a_failure_is_kept_beside_the_token(self, store: TokenStore) -> None:
        """For those who have the place for it: see :class:`animus.stores.protocol.FailureStore`."""
        failures = _failures_of(store)
        assert failures.load_failure(self.key) is None, "load_failure() of an unknown key gives None"
        failures.save_failure(self.key, "older", PATIENCE)
        failures.save_failure(self.key, 'a text, "übung"', PATIENCE)
        assert failures.load_failure(self.key) == 'a text, "übung"', "the failure saved last is not there as it was, or too early over"
        assert failures.load_failure(self.other_key) is None, "the failure of one key is found under another"
        assert store.load(self.key) is None, "a failure is not a token: load() must not give it"
        store.save(self.key, self.stored)
        assert failures.load_failure(self.key) == 'a text, "übung"', "save() takes the failure away: what was saved is not what failed"
        store.delete(self.key)
        assert failures.load_failure(self.key) is None, "delete() takes both away, the token and the failure"

    def test_a_failure_leaves_the_token_alone(self, store: TokenStore) -> None:
        """A renewal that fails does not end a token that is valid."""
        failures = _failures_of(store)
        store.save(self.key, self.stored)
        failures.save_failure(self.key, "a text", PATIENCE)
        assert store.load(self.key) == self.stored, "save_failure() takes the token away, or changes it: keep the two apart"

    def test_a_failure_is_over_in_time(self, store: TokenStore) -> None:
        """A source that was down may be up again."""
        failures = _failures_of(store)
        failures.save_failure(self.key, "a text", 0.001)
        wait_until(lambda: failures.load_failure(self.key) is None, "load_failure() gives None when its seconds are over")

    # ---- threads, secrets, travelling ------------------------------------------------------------------

    def test_threads_do_not_get_into_each_others_way(self, store: TokenStore) -> None:
        """Whoever reads while others write gets one token or the other, never half of one, and never none."""
        candidates = [StoredToken(f"token-{number}" * 50, 4102444800.0 + number) for number in range(4)]
        store.save(self.key, candidates[0])
        seen: list[StoredToken | None] = []
        writing = [*candidates]

        def write(stored: StoredToken) -> None:
            try:
                for _ in range(10):
                    store.save(self.key, stored)
            finally:
                writing.pop()

        def read() -> None:
            while writing:
                seen.append(store.load(self.key))

        all_at_once([*(functools.partial(write, stored) for stored in candidates), read, read], "any thread may use a store, at any time")
        seen.append(store.load(self.key))
        assert None not in seen, "while a token was replaced there was none: replace it in one step, do not delete it first"
        assert all(each in candidates for each in seen), "a token was read that nobody saved, half of one perhaps: replace it in one step"

    def test_nothing_shows_a_token(self, store: TokenStore) -> None:
        """Neither the store nor what it keeps in memory; those for LiveKit are tokens, too."""
        store.save(self.key, self.stored)
        loaded = store.load(self.key)
        shown = [repr(store), str(store), f"{store}", repr(loaded), str(loaded)]
        assert_hidden("\n".join(shown), self.secrets)

    def test_it_travels_without_tokens_or_says_why_not(self, store: TokenStore) -> None:
        """It pickles as configuration, or refuses with an error that is not a riddle; a token never travels."""
        store.save(self.key, self.stored)
        store.load(self.key)
        data = pickled(store, self.secrets)
        if data is None:
            return
        twin = promised("what was pickled is loaded again", lambda: pickle.loads(data))
        try:
            twin.save(self.other_key, self.stored)
            _assert_kept(twin.load(self.other_key), self.stored)
            with twin.lock(self.other_key, PATIENCE):
                pass
        finally:
            close_it(twin)


class _Counting:
    """A source that notes how often it is asked."""

    fingerprint = "suite:counting"

    def __init__(self, asked: list[TokenRequest]) -> None:
        self._asked = asked

    def fetch(self, request: TokenRequest) -> Token:
        self._asked.append(request)
        return Token(f"token-{len(self._asked)}", 4102444800.0)


def _assert_kept(loaded: object, saved: StoredToken) -> None:
    assert loaded is not None, "load() gives None for what was saved: keep every token, whatever its end"
    assert isinstance(loaded, StoredToken), f"load() gives a StoredToken or None, not {type(loaded).__name__}"
    names = [field.name for field in dataclasses.fields(StoredToken)]
    changed = [name for name in names if getattr(loaded, name) != getattr(saved, name)]
    assert not changed, f"what is loaded has not the {', '.join(changed)} that was saved last"


def _failures_of(store: TokenStore) -> FailureStore:
    """Give a store that keeps failures; skip one that does not, and fail for one that seems to mean to."""
    if isinstance(store, FailureStore):
        return store
    names = [name for name in dir(store) if not name.startswith("_")]
    meant = {name: near for name in names for near in difflib.get_close_matches(name, _FAILURE_METHODS, 1, 0.8)}
    lacking = [name for name in _FAILURE_METHODS if name not in names]
    assert not meant, f"it has {', '.join(meant)} but no {', '.join(lacking)}: a store has load_failure() and save_failure(), or neither"
    pytest.skip("this store keeps no failures")
