"""The sources that the documentation writes keep the promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from animus.testing.suites import TokenSourceSuite
from tests.testing.documented import documented


class TestFileTokenSource(documented("write-a-token-source").TestFileTokenSource):  # type: ignore[misc]
    """In a folder with the file that the page speaks of."""

    @pytest.fixture(autouse=True)
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "tests").mkdir()
        (tmp_path / "tests" / "token.txt").write_text("an-opaque-token\n", encoding="utf-8")
        monkeypatch.chdir(tmp_path)


class TestKeyTokenSource(TokenSourceSuite):
    secrets = ("the-key-that-must-not-show",)

    def make_source(self) -> Any:
        return documented("write-a-token-source").KeyTokenSource("the-key-that-must-not-show")
