"""What the tests of a store are done with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.testing.suites.checks import close_it
from animus.tokens.token import LiveKitDetails


class MakesStores:
    """Makes stores for :class:`~animus.testing.suites.TokenStoreSuite`, which tells about the attributes."""

    shared: bool = True
    frees_within: float = 5.0

    key: str = store_key("suite", "ada")
    other_key: str = store_key("suite", "grace")
    stored: StoredToken = StoredToken(
        "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9.c3VpdGU",
        4102444800.0,
        -3.25,
        1700000000.5,
        {"voice": LiveKitDetails("wss://voice.example", "eyJhbGciOiJub25lIn0.e30.bGl2ZWtpdA", 4102444800.0)},
    )

    def make_store(self) -> TokenStore:
        """Give the store. A second call within one test gives another object for the same place, if the store is one that several share."""
        raise NotImplementedError("a test class that inherits TokenStoreSuite has a method make_store()")

    @pytest.fixture
    def store(self) -> Iterator[TokenStore]:
        """Give a store that is closed after the test, if it can be."""
        store = self.make_store()
        yield store
        close_it(store)

    @contextlib.contextmanager
    def another(self, store: TokenStore) -> Iterator[TokenStore]:
        """Give another object for the place of ``store``, or ``store`` itself if nobody shares it."""
        if not self.shared:
            yield store
            return
        other = self.make_store()
        try:
            yield other
        finally:
            close_it(other)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Give what nothing may show of :attr:`stored`."""
        return (self.stored.value, *(details.token for details in self.stored.livekit.values()))
