"""The doctor asked through the real command, and its answer as a program reads it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from animus.cli.main import main

APP = "https://app.example.com"


@dataclass(frozen=True)
class Examined:
    """What the command said with ``--json``."""

    code: int
    report: Mapping[str, Any]

    def __getitem__(self, check: str) -> Mapping[str, Any]:
        [found] = [finding for finding in self.report["checks"] if finding["check"] == check]
        return dict(found)

    def status(self, check: str) -> str:
        return str(self[check]["status"])

    def outcome(self, check: str) -> tuple[str, str | None]:
        """Give status and reason."""
        return self.status(check), self[check]["reason"]

    @property
    def failed(self) -> list[str]:
        return [finding["check"] for finding in self.report["checks"] if finding["status"] == "failed"]


Doctor = Callable[..., Examined]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Doctor:
    monkeypatch.setenv("ANIMUS_API_BASE_URL", "https://api.invalid/v3")  # a test that says nothing else means the provider alone

    def ask(*arguments: str) -> Examined:
        code = main(["doctor", *arguments, "--json"])
        out, err = capsys.readouterr()
        assert err == ""
        return Examined(code, json.loads(out))

    return ask
