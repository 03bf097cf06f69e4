"""Whose clock is wrong."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from animus.doctor import examine
from animus.emulator import Emulator
from animus.testing import ManualClock
from tests.doctor.asking import Doctor
from tests.tokens.minting import mint

HOUR = 3600.0


def look(emulator: Emulator, **options: Any) -> Any:
    return examine(emulator.token_url, api_base_url=emulator.api_base_url, **options)


@pytest.mark.parametrize(("ahead", "said"), [(HOUR, "behind ours"), (-HOUR, "ahead of ours")])
def test_our_clock_is_wrong(emulator: Emulator, ahead: float, said: str) -> None:
    report = look(emulator, clock=ManualClock(time.time() + ahead))
    assert (report["clock"].status, report["clock"].reason) == ("failed", "our_clock")
    assert said in report["clock"].text
    assert "60.0 minutes" in report["clock"].text
    assert report["api.token"].status == "ok", "tokens work all the same"
    assert report["token.life"].text.startswith(("3599 s", "3600 s"))


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_through_the_command(emulator: Emulator, doctor: Doctor, ahead: float) -> None:
    emulator.clock = ManualClock(time.time() + ahead)
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)
    assert (found.code, found.outcome("clock")) == (1, ("failed", "our_clock"))
    assert "NTP" in found["clock"]["advice"]


@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
@pytest.mark.parametrize("kind", ["token", "api"])
def test_one_of_the_others_is_wrong(emulator: Emulator, doctor: Doctor, kind: Any, ahead: float) -> None:
    date = formatdate(time.time() + ahead, usegmt=True)
    emulator.token_lifetime = 3 * 3600
    emulator.arm(kind=kind, times=None, headers={"Date": date})
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)
    assert found.outcome("clock") == ("failed", "their_clock")
    assert {"token": "the clock of the token provider", "api": "the clock of the API"}[kind] in found["clock"]["advice"]


def test_a_token_that_is_over_shows_a_provider_that_is_behind(emulator: Emulator) -> None:
    now = time.time()
    emulator.arm(kind="api", times=None, headers={"Date": None})
    date = formatdate(now - HOUR, usegmt=True)
    emulator.arm(kind="token", headers={"Date": date}, status=200, body={"accessToken": mint(now, iat=now - 5)})
    assert look(emulator)["clock"].reason == "their_clock"


def test_an_issuer_that_is_ahead(emulator: Emulator) -> None:
    now = time.time()
    emulator.arm(kind="token", status=200, body={"accessToken": mint(now + 3 * HOUR, iat=now + HOUR)})
    assert look(emulator)["clock"].reason == "issuer_clock"


def test_a_token_that_begins_later(emulator: Emulator) -> None:
    now = time.time()
    emulator.arm(kind="token", status=200, body={"accessToken": mint(now + 3 * HOUR, iat=now, nbf=now + HOUR)})
    assert look(emulator)["clock"].reason == "issuer_clock"


def test_a_few_seconds_are_told_and_do_no_harm(emulator: Emulator) -> None:
    report = look(emulator, clock=ManualClock(time.time() + 20))
    assert (report.healthy, report["clock"].status) == (True, "ok")
    assert "NTP" in report["clock"].advice


def test_nobody_says_what_time_it_is(emulator: Emulator) -> None:
    emulator.arm(times=None, headers={"Date": None})
    assert look(emulator)["clock"].status == "skipped"


@pytest.mark.parametrize("claim", [True, "soon", [], 1e300, float(2**70)])
def test_claims_of_any_kind_do_no_harm(emulator: Emulator, claim: Any) -> None:
    emulator.arm(kind="token", status=200, body={"accessToken": mint(time.time() + HOUR, iat=claim)})
    assert look(emulator)["clock"].status == "ok"
