"""Asking a second time inside a flight."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.chain import ChainTokenSource
from animus.sources.url import UrlTokenSource
from animus.testing import ManualClock
from animus.tokens.reasons import HINTS
from tests.refresh.conftest import Heard
from tests.refresh.sources import Scripted
from tests.servers import unused_port
from tests.sources.provider import Answer, serving
from tests.tokens.minting import mint

Managed = Callable[..., TokenManager]
MENDING = ("unreachable", "rate_limited", "server_error")


def error(reason: str, **further: Any) -> TokenSourceError:
    return TokenSourceError("no", reason=reason, **further)


@pytest.mark.parametrize("reason", MENDING)
def test_what_often_mends_itself_is_asked_for_twice(reason: str, managed: Managed, clock: ManualClock, heard: Heard) -> None:
    source = Scripted(error(reason), "t1")
    assert managed(source).token().value == "t1"
    assert len(source.asked) == 2
    [pause] = clock.waits
    assert pause is not None
    assert 0.1 <= pause <= 0.5
    assert heard.names == ["token_refreshed"]


@pytest.mark.parametrize("reason", MENDING)
def test_a_second_failure_is_the_last(reason: str, managed: Managed, heard: Heard) -> None:
    source = Scripted(error(reason), error(reason, status=502))
    with pytest.raises(TokenSourceError) as caught:
        managed(source).token()
    assert (caught.value.status, caught.value.attempts) == (502, 2)
    assert len(source.asked) == 2
    assert heard.names == ["token_refresh_failed"]


@pytest.mark.parametrize("reason", sorted(set(HINTS) - set(MENDING)))
def test_refusals_and_unusable_answers_are_final(reason: str, managed: Managed, clock: ManualClock) -> None:
    source = Scripted(error(reason), "t1")
    with pytest.raises(TokenSourceError) as caught:
        managed(source).token()
    assert caught.value.attempts == 1
    assert len(source.asked) == 1
    assert clock.waits == []


@pytest.mark.parametrize(("other", "times"), [("not_available", 2), ("server_error", 2), ("unauthorized", 1)])
def test_a_chain_is_asked_again_if_none_of_its_sources_has_refused(managed: Managed, other: str, times: int) -> None:
    sources = {reason: Scripted(error(reason)) for reason in ("unreachable", other)}
    with pytest.raises(TokenSourceError) as caught:
        managed(ChainTokenSource(sources)).token()
    assert [len(source.asked) for source in sources.values()] == [times] * 2
    assert caught.value.attempts == times


def test_an_asked_wait_is_kept_if_it_is_short(managed: Managed, clock: ManualClock) -> None:
    assert managed(Scripted(error("rate_limited", retry_after=4.0), "t1")).token().value == "t1"
    assert clock.waits == [4.0]


def test_a_long_asked_wait_is_the_callers_business(managed: Managed, clock: ManualClock) -> None:
    with pytest.raises(TokenSourceError) as caught:
        managed(Scripted(error("rate_limited", retry_after=60.0), "t1")).token()
    assert caught.value.retry_after == 60.0
    assert clock.waits == []


def test_no_second_time_that_does_not_fit_into_the_flight(managed: Managed, clock: ManualClock) -> None:
    source = Scripted(error("rate_limited", retry_after=4.0), "t1", timeout=3.0)
    with pytest.raises(TokenSourceError):
        managed(source).token()
    assert clock.waits == []


def test_over_http() -> None:
    with serving() as provider:
        provider.script = [Answer("", status=503, headers={"Retry-After": "0"}), Answer({"accessToken": mint(4102444800)})]
        manager = TokenManager(UrlTokenSource(provider.url))
        assert manager.token().expires_at == 4102444800
        assert len(provider.requests) == 2
        manager.close()
    with serving() as provider:
        provider.script = [Answer("", status=404)]
        manager = TokenManager(UrlTokenSource(provider.url))
        with pytest.raises(TokenSourceError, match="Check the URL"):
            manager.token()
        assert len(provider.requests) == 1
        manager.close()


def test_nobody_listens(managed: Managed, clock: ManualClock) -> None:
    with pytest.raises(TokenSourceError) as caught:
        managed(UrlTokenSource(f"http://127.0.0.1:{unused_port()}/", clock=clock)).token()
    assert (caught.value.reason, caught.value.attempts) == ("unreachable", 2)


def test_tenacity_is_loaded_by_the_first_repetition_only() -> None:
    code = """
import sys
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
class Source:
    fingerprint = "x"
    errors = [TokenSourceError("no", reason="unauthorized"), TokenSourceError("no", reason="server_error")]
    def fetch(self, request):
        if self.errors:
            raise self.errors.pop(0)
        return "t"
manager = TokenManager(Source())
try:
    manager.token()
except TokenSourceError:
    assert "tenacity" not in sys.modules
manager.clear()
manager.token()
assert "tenacity" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
