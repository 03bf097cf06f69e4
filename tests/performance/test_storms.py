"""The judgement of ``benchmarks/storms.py``: what it would let pass is not held by anything."""

from __future__ import annotations

import os
import sys

import pytest

from benchmarks import storms
from benchmarks.rivals import OURS, Contestant
from benchmarks.storms import Outcome, Storm


def _named(name: str) -> Storm:
    return next(storm for storm in storms.STORMS if storm.name == name)


@pytest.mark.parametrize(
    ("name", "outcome", "verdict"),
    [
        ("32 cold threads", Outcome(1, 0.3), ""),
        ("32 cold threads", Outcome(2, 0.3), "MISSED"),
        ("32 cold threads", Outcome(1, 0.3, "1 failed: TokenSourceError"), "MISSED"),
        ("32 cold threads", Outcome(1, 12.0), "MISSED: slower than 2 s"),
        ("renewal window, 32 threads", Outcome(1, 0.15, "nobody waited"), "MISSED: slower than 0.1 s"),
        ("fork during fetch", Outcome(2, 0.4, "the child works"), ""),
        ("fork during fetch", Outcome(3, 0.4, "the child works"), "MISSED"),
        ("fork during fetch", Outcome(2, 0.4, "the child works; the parent fails"), "MISSED"),
    ],
)
def test_ours_is_held_to_fetches_outcome_and_time(name: str, outcome: Outcome, verdict: str) -> None:
    assert _named(name).judge(outcome) == verdict


@pytest.mark.parametrize(("given", "status"), [([], 0), (["--all"], 1)])
def test_what_is_left_out_is_missed_if_all_is_wanted(
    given: list[str], status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storms, "STORMS", (Storm("a storm", lambda *_: Outcome(1, 0.0), lacking="there is no Redis"),))
    monkeypatch.setattr(sys, "argv", ["storms", "--only", "ours", *given])
    assert storms.main() == status
    assert "skipped: there is no Redis" in capsys.readouterr().out


class Failing:
    """Has no token."""

    def __init__(self, url: str) -> None:
        pass

    def get(self) -> str:
        raise ConnectionError("refused")

    def refused(self, token: str) -> str:
        return self.get()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_that_fails_is_counted_as_that() -> None:
    with storms.provider() as provider:
        provider.set()
        outcome = storms.processes(Contestant("failing", Failing, "animus", life=OURS.life), provider, count=2)
    assert outcome.note == "2 failed: ConnectionError; knows no store"
