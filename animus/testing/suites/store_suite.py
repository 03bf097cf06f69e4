"""The promises of a token store, as tests."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenRequest
from animus.stores.protocol import FailureStore, StoredToken, TokenStore, store_key
from animus.testing.suites.checks import PATIENCE, all_at_once, assert_hidden, close_it, in_thread, wait_until
from animus.tokens.token import LiveKitDetails, Token


class TokenStoreSuite:
    """The promises of a :class:`~animus.TokenStore`. Inherit it and write :meth:`make_store`.

    Each test begins with an empty store: let ``make_store`` use a new folder, prefix or database for each test (``tmp_path`` by an
    autouse fixture).

    Attributes:
        shared: False for a store whose tokens no other object can see.
    """

    shared = True

    def make_store(self) -> TokenStore:
        """Give the store. A second call within one test gives another object for the same place, if the store is one that several share."""
        raise NotImplementedError("a test class that inherits TokenStoreSuite has a method make_store()")

    @pytest.fixture
    def store(self) -> Iterator[TokenStore]:
        """Give a store that is closed after the test, if it can be."""
        store = self.make_store()
        yield store
        close_it(store)

    key: str = store_key("suite", "ada")
    other_key: str = store_key("suite", "grace")
    stored: StoredToken = StoredToken(
        "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c3VpdGU",
        4102444800.0,
        -3.25,
        1700000000.5,
        {"voice": LiveKitDetails("wss://voice.example", "eyJhbGciOiJub25lIn0.e30.c3VpdGU", 4102444800.0)},
    )

    # ---- tokens ----------------------------------------------------------------------------------------

    def test_it_has_what_a_store_has(self, store: TokenStore) -> None:
        """``load``, ``save``, ``delete`` and ``lock``."""
        assert isinstance(store, TokenStore), "a store has the methods load(), save(), delete() and lock()"

    def test_nothing_is_there_at_first(self, store: TokenStore) -> None:
        """An unknown key is None, not an error."""
        assert store.load(self.key) is None

    def test_what_was_saved_is_read_back(self, store: TokenStore) -> None:
        """With all its fields."""
        store.save(self.key, self.stored)
        assert store.load(self.key) == self.stored

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
        assert store.load(self.key) == stored

    def test_the_last_one_saved_counts(self, store: TokenStore) -> None:
        """One key, one token."""
        store.save(self.key, self.stored)
        store.save(self.key, StoredToken("newer"))
        assert store.load(self.key) == StoredToken("newer")

    def test_keys_are_kept_apart(self, store: TokenStore) -> None:
        """A key stands for a source and a user: nobody gets another one's token."""
        store.save(self.key, self.stored)
        assert store.load(self.other_key) is None
        store.save(self.other_key, StoredToken("grace's"))
        store.delete(self.other_key)
        assert store.load(self.key) == self.stored

    def test_what_was_deleted_is_gone(self, store: TokenStore) -> None:
        """And deleting it once more is fine: two processes may log out at once."""
        store.save(self.key, self.stored)
        store.delete(self.key)
        assert store.load(self.key) is None
        store.delete(self.key)

    def test_another_object_for_the_same_place_sees_it(self, store: TokenStore) -> None:
        """That is what a shared store is for."""
        if not self.shared:
            pytest.skip("this store is not shared")
        store.save(self.key, self.stored)
        sibling = self.make_store()
        try:
            assert sibling.load(self.key) == self.stored
            sibling.delete(self.key)
            assert store.load(self.key) is None
        finally:
            close_it(sibling)

    def test_a_token_gets_the_whole_way_to_a_second_manager(self, store: TokenStore) -> None:
        """All together: the second client does not ask its source."""
        asked: list[TokenRequest] = []
        first, second = (TokenManager(_Counting(asked), store=store, identity="ada") for _ in range(2))
        try:
            assert first.token().value == second.token().value
            assert len(asked) == 1
        finally:
            first.close()
            second.close()

    # ---- failures --------------------------------------------------------------------------------------

    def test_a_failure_is_kept_beside_the_token(self, store: TokenStore) -> None:
        """For those who have the place for it: see :class:`animus.stores.protocol.FailureStore`."""
        if not isinstance(store, FailureStore):
            pytest.skip("this store keeps no failures")
        assert store.load_failure(self.key) is None
        store.save_failure(self.key, "older", PATIENCE)
        store.save_failure(self.key, 'a text, "übung"', PATIENCE)
        assert store.load_failure(self.key) == 'a text, "übung"'
        assert store.load_failure(self.other_key) is None
        assert store.load(self.key) is None
        store.save(self.key, self.stored)
        assert store.load_failure(self.key) == 'a text, "übung"', "what was saved is not what failed"
        store.delete(self.key)
        assert store.load_failure(self.key) is None, "delete() takes both away"

    def test_a_failure_is_over_in_time(self, store: TokenStore) -> None:
        """A source that was down may be up again."""
        if not isinstance(store, FailureStore):
            pytest.skip("this store keeps no failures")
        store.save_failure(self.key, "a text", 0.001)
        wait_until(lambda: store.load_failure(self.key) is None)

    # ---- locks -----------------------------------------------------------------------------------------

    def test_the_lock_of_a_key_is_held_by_one(self, store: TokenStore) -> None:
        """However many threads want it; all get it in the end."""
        inside: list[int] = []
        most: list[int] = []

        def work() -> None:
            with store.lock(self.key, PATIENCE):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

        all_at_once([work] * 8)
        assert most == [1] * 8

    def test_a_lock_that_is_taken_is_given_up_in_time(self, store: TokenStore) -> None:
        """With a TimeoutError, so that a hanging process does not stop all others."""
        with store.lock(self.key, PATIENCE):
            # another thread, since some locks may be taken twice by the same
            caught = in_thread(lambda: _error_of(lambda: store.lock(self.key, 0.05)))
        assert isinstance(caught, TimeoutError), f"a lock that is not free raises TimeoutError, not {caught!r}"

    def test_locks_of_different_keys_do_not_meet(self, store: TokenStore) -> None:
        """One user's slow provider keeps nobody else waiting."""
        with store.lock(self.key, PATIENCE):
            assert in_thread(lambda: _error_of(lambda: store.lock(self.other_key, PATIENCE))) is None

    def test_a_lock_is_free_again_whatever_happens_inside(self, store: TokenStore) -> None:
        """Also when the source fails, and without any time to wait for it."""
        with pytest.raises(KeyError), store.lock(self.key, PATIENCE):
            raise KeyError
        with store.lock(self.key, 0):
            pass

    def test_the_holder_of_a_lock_reads_and_writes(self, store: TokenStore) -> None:
        """That is what happens inside."""
        with store.lock(self.key, PATIENCE):
            assert store.load(self.key) is None
            store.save(self.key, self.stored)
            assert store.load(self.key) == self.stored
            store.delete(self.key)

    # ---- threads, secrets, travelling ------------------------------------------------------------------

    def test_threads_do_not_get_into_each_others_way(self, store: TokenStore) -> None:
        """Whoever reads while others write gets one token or the other, and never half of one."""
        candidates = [StoredToken(f"token-{number}" * 50, float(number)) for number in range(4)]
        seen: list[StoredToken | None] = []

        def write(stored: StoredToken) -> None:
            for _ in range(10):
                store.save(self.key, stored)

        def read() -> None:
            seen.extend(store.load(self.key) for _ in range(20))

        all_at_once([*(functools.partial(write, stored) for stored in candidates), read, read])
        assert set(seen) <= {None, *candidates}
        assert store.load(self.key) in candidates

    def test_nothing_shows_a_token(self, store: TokenStore) -> None:
        """Neither the store nor what it keeps in memory."""
        store.save(self.key, self.stored)
        loaded = store.load(self.key)
        shown = [repr(store), str(store), f"{store}", repr(loaded), str(loaded)]
        assert_hidden("\n".join(shown), (self.stored.value,))

    def test_it_travels_without_tokens_or_says_why_not(self, store: TokenStore) -> None:
        """It pickles as configuration, or refuses."""
        store.save(self.key, self.stored)
        try:
            data = pickle.dumps(store)
        except (TypeError, AttributeError, pickle.PicklingError) as refusal:
            assert str(refusal), "say why it is not pickled, and what to use instead"
            return
        assert_hidden(data.decode("latin-1"), (self.stored.value,))
        twin = pickle.loads(data)
        twin.save(self.other_key, self.stored)
        assert twin.load(self.other_key) == self.stored
        with twin.lock(self.other_key, PATIENCE):
            pass
        close_it(twin)


class _Counting:
    """A source that notes how often it is asked."""

    fingerprint = "suite:counting"

    def __init__(self, asked: list[TokenRequest]) -> None:
        self._asked = asked

    def fetch(self, request: TokenRequest) -> Token:
        self._asked.append(request)
        return Token(f"token-{len(self._asked)}", 4102444800.0)


def _error_of(lock: Callable[[], Any]) -> Exception | None:
    """Take and leave a lock; give what it raises."""
    try:
        with lock():
            return None
    except Exception as error:
        return error
