"""A marked token, key and user go through every path, and appear nowhere."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from animus.errors import AuthenticationError, TokenSourceError
from animus.events import Emitter, Event
from animus.refresh.manager import TokenManager
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.chain import ChainTokenSource
from animus.sources.command import CommandTokenSource
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.memory import MemoryTokenStore
from animus.testing import ManualClock
from tests.servers import unused_port
from tests.sources.provider import Answer, Provider, serving
from tests.tokens.minting import SIGNATURE, mint

CANARY = "canary-that-must-not-sing"
TOKEN = mint(4102444800, sub="canary")


def raising(error: Exception) -> Callable[[], str]:
    def fetch() -> str:
        raise error

    return fetch


def talkative() -> TokenSourceError:
    """Give an error with a token in all places."""
    inner = TokenSourceError(f"inner {TOKEN}")
    error = TokenSourceError(f"token {TOKEN}", source=f"vault {TOKEN}", hint=TOKEN, failures=(("inner", inner),))
    vars(error).update(__notes__=[f"note {TOKEN}"], detail={"token": TOKEN}, request=object())
    return error


def arguments(error: BaseException) -> list[Any]:
    """Give what the error, its cause and those of a chain were made with."""
    links = (error, error.__cause__, *(failure for _, failure in getattr(error, "failures", ())))
    return [link.args for link in links if link is not None]


def sources(url: str) -> list[Any]:
    gone = f"http://127.0.0.1:{unused_port()}/token?key={CANARY}"
    return [
        StaticTokenSource(TOKEN),
        StaticTokenSource(CANARY),
        EnvironmentTokenSource("CANARY_TOKEN"),
        EnvironmentTokenSource("CANARY_NOTHING"),
        CallableTokenSource(lambda: TOKEN),
        CallableTokenSource(lambda: {"animus": {"token": TOKEN}, "livekit": {"voice": {"url": "wss://x", "token": TOKEN}}}),
        CallableTokenSource(lambda: f"{TOKEN}\n\n{CANARY}"),
        CallableTokenSource(lambda: {"nothing": CANARY}),
        CallableTokenSource(raising(RuntimeError(f"refused: {TOKEN}"))),
        CallableTokenSource(raising(RuntimeError(f"Authorization: Bearer {CANARY}"))),
        CallableTokenSource(raising(AuthenticationError(f"token {TOKEN}", hint=TOKEN))),
        CallableTokenSource(raising(talkative())),
        UrlTokenSource(url + f"?key={CANARY}", headers={"Authorization": f"Bearer {CANARY}"}, cookies={"sid": CANARY}),
        UrlTokenSource(url.replace("//", f"//user:{CANARY}@"), json={"password": CANARY}),
        UrlTokenSource(gone, headers={"apikey": CANARY}, auth=("user", CANARY)),
        ApiKeyTokenSource(CANARY, auth_url=url),
        ApiKeyTokenSource(CANARY, auth_url=gone),
        ApiKeyTokenSource(CANARY, mode="bearer"),
        *commands(),
        ChainTokenSource(
            {
                "nothing": EnvironmentTokenSource("CANARY_NOTHING"),
                "raising": raising(RuntimeError(f"refused: {TOKEN}")),
                "talkative": raising(talkative()),
                "gone": UrlTokenSource(gone, headers={"apikey": CANARY}),
                **dict(zip(["command"], commands()[1:], strict=False)),
                "echo": UrlTokenSource(url + f"?key={CANARY}"),
            }
        ),
        ChainTokenSource({"nothing": EnvironmentTokenSource("CANARY_NOTHING"), "raising": raising(ValueError(f"Bearer {CANARY}"))}),
    ]


def commands() -> list[CommandTokenSource]:
    """Give programs that print, echo and fail with what they know; none on Windows."""
    if os.name != "posix":
        return []
    known = {"KNOWN_TOKEN": TOKEN, "KNOWN_CANARY": CANARY}
    scripts = [
        "echo $KNOWN_TOKEN",
        "set -x; echo $KNOWN_TOKEN; echo refused: $KNOWN_TOKEN $KNOWN_CANARY >&2; exit 1",
        "echo $KNOWN_CANARY-token; echo $KNOWN_CANARY-token >&2; kill -9 $$",
        "echo the token: $KNOWN_CANARY",
        'echo "{\\"nothing\\": \\"$KNOWN_CANARY\\"}"',
        "env >&2; exit 1",
    ]
    return [CommandTokenSource(["/bin/sh", "-c", script], env=known) for script in scripts]


def script(provider: Provider) -> None:
    echo = {"error": f"bad {CANARY} {TOKEN}"}
    provider.script = [
        Answer({"accessToken": TOKEN}),
        Answer(echo, status=500),
        Answer(echo, status=401),
        Answer({"accessToken": f"{TOKEN}\n"}),
        Answer({"accessToken": f"Bearer {TOKEN}"}),
        Answer(echo),
        Answer("", status=302, headers={"Location": f"https://sso.example/?token={TOKEN}"}),
        Answer(f"<html>{TOKEN}".encode()),
        Answer({"accessToken": TOKEN}),
    ]


def test_the_canary_is_silent(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CANARY_TOKEN", TOKEN)
    seen: list[str] = []
    events: list[Event] = []
    emitter = Emitter()
    for name in ("token_refreshed", "token_refresh_failed", "token_cleared"):
        emitter.on(name, events.append)

    def look(thing: object) -> None:
        seen.extend((repr(thing), str(thing), f"{thing}", f"{thing!r:>5}", f"{[thing]}"))

    def fail(error: BaseException) -> None:
        seen.extend(traceback.format_exception(error))
        look(error)
        look(error.__cause__)
        look(error.__context__)
        seen.append(repr(pickle.loads(pickle.dumps(error))))
        seen.append(repr(pickle.dumps(error)))
        look(vars(error))
        look(arguments(error))

    with serving() as provider:
        for source in sources(provider.url):
            store = MemoryTokenStore()
            script(provider)
            manager = TokenManager(source, clock=ManualClock(), emitter=emitter, store=store, identity=f"user {CANARY}")
            for _ in range(9):
                try:
                    token = manager.token()
                    look(token)
                    look(token.livekit)
                    manager.invalidate(token.value)
                except AuthenticationError as error:
                    fail(error)
                look(manager)
                look(store)
                look(vars(manager))
                look(vars(manager._flights))
                manager._failed = None  # let no second pass between failures
            for thing in (manager, source):
                try:
                    data = pickle.dumps(thing)
                except (TypeError, AttributeError, pickle.PicklingError) as error:
                    fail(error)
                else:
                    data = data.replace(f"user {CANARY}".encode(), b"")  # an identity is the caller's own text
                    assert CANARY.encode() not in data
                    assert SIGNATURE.encode() not in data
            look(source)
            look(vars(source))
            seen.append(source.fingerprint)
            copy.copy(source)
            copy.deepcopy(source)
            manager.clear()
            manager.close()
    for event in events:
        look(event)
    text = "\n".join([*seen, caplog.text]).replace(f"user {CANARY}", "")
    assert len(events) > 30
    for secret in (CANARY, SIGNATURE, TOKEN.split(".")[1]):
        place = text.find(secret)
        assert place < 0, text[max(0, place - 300) : place + 100]
