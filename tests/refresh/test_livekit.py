"""LiveKit details: fetched with tokens, but with a life of their own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from animus import AnimusClient, AuthenticationError, TokenSourceError
from animus.emulator import Emulator
from animus.refresh.manager import TokenManager
from animus.stores.memory import MemoryTokenStore
from animus.testing import ManualClock
from animus.tokens.token import LiveKitDetails, Token
from tests.refresh.sources import Caller, Gate, Scripted
from tests.tokens.minting import SIGNATURE

NOW = 1_700_000_000.0
HOUR = 3600.0
FAR = 4102444800.0
LASTING = Token("token-1", FAR, 0.0, None, {"voice": LiveKitDetails("wss://rooms.example", "voice-1", FAR)})  # for tests in real time
OUT = TokenSourceError("nobody answers", reason="failed")


def token(number: int, *, life: float | None = HOUR, voice: float | None = HOUR, born: float = 0.0) -> Token:
    """Give the token of that number; lives in seconds from ``born`` seconds after the beginning; without ``voice``, no details."""
    start = NOW + born
    details = {} if voice is None else {"voice": LiveKitDetails("wss://rooms.example", f"voice-{number}", start + voice)}
    return Token(f"token-{number}", None if life is None else start + life, 0.0, start, details)


def manager_of(*script: Any, **settings: Any) -> tuple[TokenManager, Scripted, ManualClock]:
    clock = ManualClock(NOW)
    source = Scripted(*script)
    return TokenManager(source, clock=clock, **settings), source, clock


def test_details_and_token_come_from_one_fetch() -> None:
    manager, source, _ = manager_of(token(1))
    details = manager.livekit("voice")
    assert (details.url, details.token, details.expires_at) == ("wss://rooms.example", "voice-1", NOW + HOUR)
    assert manager.livekit() is details
    assert manager.token().value == "token-1"
    assert len(source.asked) == 1


@pytest.mark.parametrize("context", ["video", "", "Voice", None, 7])
def test_an_unknown_context_is_a_value_error_and_asks_nobody(context: Any) -> None:
    manager, source, _ = manager_of(token(1))
    with pytest.raises(ValueError, match="there are: voice"):
        manager.livekit(context)
    assert source.asked == []


def test_a_provider_without_details_is_asked_once() -> None:
    manager, source, clock = manager_of(token(1, voice=None), token(2, born=HOUR))
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="no LiveKit details for 'voice'") as caught:
            manager.livekit()
        assert caught.value.reason == "no_livekit"
    assert manager.token().value == "token-1"
    assert len(source.asked) == 1
    clock.advance(HOUR)
    assert manager.livekit().token == "voice-2"


def test_after_a_logout_it_is_asked_again() -> None:
    manager, source, _ = manager_of(token(1, voice=None), token(2), token(3))
    with pytest.raises(AuthenticationError):
        manager.livekit()
    manager.clear()
    assert manager.livekit().token == "voice-2"
    manager.clear()
    assert manager.livekit().token == "voice-3"
    assert len(source.asked) == 3


def test_details_outlive_the_token_they_came_with() -> None:
    manager, source, clock = manager_of(token(1, life=600, voice=HOUR), OUT)
    manager.livekit()
    clock.advance(700)
    assert manager.livekit().token == "voice-1"
    with pytest.raises(TokenSourceError):
        manager.token()
    assert manager.livekit().token == "voice-1"  # a failure throws nothing away that is still valid
    assert len(source.asked) == 2


def test_a_token_outlives_its_details() -> None:
    manager, source, clock = manager_of(token(1, voice=600), token(2, born=700))
    manager.livekit()
    clock.advance(700)
    assert manager.token().value == "token-1"
    assert len(source.asked) == 1
    assert manager.livekit().token == "voice-2"
    assert manager.token().value == "token-2"
    assert len(source.asked) == 2


def test_details_that_are_over_are_never_given() -> None:
    manager, _, clock = manager_of(token(1, voice=600), OUT)
    manager.livekit()
    clock.advance(600)
    with pytest.raises(TokenSourceError, match="nobody answers"):
        manager.livekit()
    assert manager.token().value == "token-1"


def test_over_on_arrival_is_an_error() -> None:
    manager, _, _ = manager_of(token(1, voice=-1))
    with pytest.raises(AuthenticationError, match="was over before it arrived") as caught:
        manager.livekit()
    assert caught.value.reason == "expired"


def test_details_about_to_end_are_renewed_and_kept_if_that_fails() -> None:
    manager, source, clock = manager_of(token(1, voice=600), OUT, token(2, born=545))
    manager.livekit()
    clock.advance(545)
    assert manager.livekit().token == "voice-1"
    assert manager.livekit().token == "voice-1"  # not asked again at once
    assert len(source.asked) == 2
    clock.advance(2)
    assert manager.livekit().token == "voice-2"


def test_a_source_that_keeps_its_details_until_they_are_over_is_not_asked_for_ever() -> None:
    manager, source, clock = manager_of(token(1, voice=600))
    manager.livekit()
    clock.advance(545)
    for _ in range(20):
        assert manager.livekit().token == "voice-1"
    assert len(source.asked) == 2


def test_newer_details_with_the_same_token_are_taken() -> None:
    again = Token("token-1", NOW + HOUR, 0.0, NOW + 700, token(2, born=700).livekit)
    manager, _, clock = manager_of(token(1, voice=600), again)
    manager.livekit()
    clock.advance(700)
    assert manager.livekit().token == "voice-2"


def test_details_without_an_end_are_kept() -> None:
    plain = Token("token-1", NOW + HOUR, 0.0, NOW, {"voice": LiveKitDetails("wss://x", "voice-1")})
    manager, source, clock = manager_of(plain, OUT)
    manager.livekit()
    clock.advance(10 * HOUR)
    assert manager.livekit().token == "voice-1"
    assert len(source.asked) == 1


def test_a_refused_token_does_not_take_its_details_along() -> None:
    manager, source, _ = manager_of(token(1), token(2, voice=None))
    manager.livekit()
    manager.invalidate("token-1")
    assert manager.livekit().token == "voice-1"
    assert len(source.asked) == 1
    assert manager.token().value == "token-2"
    assert manager.livekit().token == "voice-1"


def test_the_providers_clock_counts() -> None:
    ahead = Token("token-1", NOW + 2 * HOUR, HOUR, NOW, {"voice": LiveKitDetails("wss://x", "voice-1", NOW + HOUR + 600)})
    manager, _, clock = manager_of(ahead, token(2, born=700))
    assert manager.livekit().token == "voice-1"
    clock.advance(700)
    assert manager.livekit().token == "voice-2"


def test_many_who_ask_share_one_flight() -> None:
    gate = Gate(LASTING)
    source = Scripted(gate)
    manager = TokenManager(source)
    callers = [Caller(manager.livekit) for _ in range(8)] + [Caller(manager.token) for _ in range(8)]
    assert gate.entered.wait(20)
    gate.opened.set()
    outcomes = [caller.finish() for caller in callers]
    assert {outcome.token for outcome in outcomes[:8]} == {"voice-1"}
    assert {outcome.value for outcome in outcomes[8:]} == {"token-1"}
    assert len(source.asked) == 1


def test_a_failure_is_shared_and_remembered_for_a_moment_whether_or_not_there_is_a_token() -> None:
    manager, source, clock = manager_of(OUT)
    for _ in range(3):
        with pytest.raises(TokenSourceError):
            manager.livekit()
    assert len(source.asked) == 1

    manager, source, clock = manager_of(token(1, voice=600), OUT)
    manager.livekit()
    clock.advance(700)
    for _ in range(3):
        with pytest.raises(TokenSourceError):
            manager.livekit()
    assert len(source.asked) == 2
    clock.advance(2)
    with pytest.raises(TokenSourceError):
        manager.livekit()
    assert len(source.asked) == 3


def test_a_deadline_is_kept() -> None:
    gate = Gate(LASTING)
    manager = TokenManager(Scripted(gate))
    with pytest.raises(TokenSourceError) as caught:
        manager.livekit("voice", manager._monotonic() + 0.02)
    assert caught.value.reason == "timeout"
    gate.opened.set()
    assert manager.livekit().token == "voice-1"
    manager.close()


def test_a_siblings_details_are_adopted_and_old_ones_are_not() -> None:
    store = MemoryTokenStore()
    first, first_source, clock = manager_of(token(1, voice=600), token(2, born=700), store=store, identity="ada")
    first.livekit()
    second_source = Scripted(token(9, born=700))
    second = TokenManager(second_source, clock=clock, store=store, identity="ada")
    assert second.livekit().token == "voice-1"
    assert second_source.asked == []
    clock.advance(700)
    third_source = Scripted(token(3, born=700))
    third = TokenManager(third_source, clock=clock, store=store, identity="ada")
    # what is in the store is a good token whose details are over
    assert third.livekit().token == "voice-3"
    assert len(third_source.asked) == 1
    assert second.livekit().token == "voice-3"
    assert first.livekit().token == "voice-3"
    assert (len(first_source.asked), second_source.asked) == (1, [])


def test_nothing_shows_or_carries_them() -> None:
    manager, _, _ = manager_of(Token("token-1", NOW + HOUR, 0.0, NOW, {"voice": LiveKitDetails("wss://x", SIGNATURE, NOW + HOUR)}))
    details = manager.livekit()
    for text in (repr(details), str(details), f"{details}", repr(manager), repr(vars(manager)), repr(vars(manager._realtime))):
        assert SIGNATURE not in text
    with pytest.raises(TypeError):
        pickle.dumps(details)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_them() -> None:
    # in a process of its own: that of the tests has threads of other people
    code = """
import os
from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource

asked = []
def fetch():
    asked.append(1)
    jwt = "eyJhbGciOiJub25lIn0.eyJleHAiOjQxMDI0NDQ4MDB9."
    return {"animus": {"token": jwt}, "livekit": {"voice": {"url": "wss://x", "token": jwt}}}

manager = TokenManager(CallableTokenSource(fetch))
manager.livekit()
child = os.fork()
if child == 0:
    os._exit(0 if manager.livekit().url == "wss://x" and len(asked) == 1 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)


# ---- through a client ----------------------------------------------------------------------------------


def test_a_client_gives_them() -> None:
    with Emulator() as emulator, AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url) as client:
        details = client.get_livekit_details("voice")
        assert details.url.startswith("wss://")
        assert client.get_livekit_details() is details
        with pytest.raises(ValueError, match="video"):
            client.get_livekit_details("video")
        assert emulator.requests.count("token") == 1


def test_a_client_of_a_provider_without_them_says_so() -> None:
    with Emulator(token_shape="flat") as emulator, AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url) as client:
        with pytest.raises(AuthenticationError) as caught:
            client.get_livekit_details()
        assert caught.value.reason == "no_livekit"
        emulator.token_status = 403
        client.clear_auth_token()
        with pytest.raises(TokenSourceError) as refused:
            client.get_livekit_details()
        assert refused.value.reason == "unauthorized"
