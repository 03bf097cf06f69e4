"""The store that the documentation writes keeps the promises, by the test class that the documentation writes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from animus.stores.protocol import StoredToken
from tests.testing.documented import documented

TestSqliteTokenStore = documented("write-a-token-store").TestSqliteTokenStore


@pytest.mark.skipif(os.name != "posix", reason="files have no rights here")
def test_its_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = documented("write-a-token-store").SqliteTokenStore(str(tmp_path / "tokens.sqlite"))
    store.save("key", StoredToken("token"))
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
