"""Marked secrets go through every path of a client; nothing that leaves it as text, log, event or pickle shows one."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from animus import (
    AnimusClient,
    AnimusError,
    ApiKeyTokenSource,
    CallableTokenSource,
    EnvironmentTokenSource,
    FileTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    RedisTokenStore,
    StaticTokenSource,
    TokenStore,
    UrlTokenSource,
)
from animus.emulator import Emulator
from animus.events import SIGNALS
from animus.testing import ManualClock
from tests.in_memory_keyring import InMemory, using_keyring
from tests.wired import CHAT, CHAT_PATH, IMAGE_PATH, user

KEY = "sk-canary-key-0123456789abcdef"
HEADER = "canary-header-0123456789abcdef"
COOKIE = "canary-cookie-0123456789abcdef"
QUERY = "canary-query-0123456789abcdef"
PASSWORD = "canary-password-0123456789"
MARKED = (KEY, HEADER, COOKIE, QUERY, PASSWORD)


class Witness:
    """Keeps all text that comes out of a client, and knows what must not be in it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.texts: list[str] = []

    def see(self, *values: Any) -> None:
        for value in values:
            self.texts += [f"{value!r}", f"{value}", f"{value!s:>5}"]
            if isinstance(value, dict):
                self.see(*value.values())

    def see_error(self, error: BaseException) -> None:
        seen: set[int] = set()
        link: BaseException | None = error
        self.texts.append("".join(traceback.format_exception(error)))
        while link is not None and id(link) not in seen:
            seen.add(id(link))
            self.see(link, link.args, {k: v for k, v in vars(link).items() if k != "response"})
            response = getattr(link, "response", None)
            if response is not None:
                self.see(response, dict(response.headers), response.text, response.url)
                # headers of the caller's own may be there; the token is not
                assert "Authorization" not in response.request.headers
            if isinstance(link, AnimusError):
                self.texts.append(pickle.dumps(link).decode("latin-1"))
            link = link.__cause__ or link.__context__

    def hear(self, event: Any) -> None:
        self.see(event)
        error = getattr(event, "error", None)
        if error is not None:
            self.see_error(error)
        else:
            self.texts.append(pickle.dumps(event).decode("latin-1"))

    def secrets(self) -> set[str]:
        found = set(MARKED)
        for request in self.emulator.requests:
            bearer = request.headers.get("Authorization", "").partition(" ")[2]
            if bearer:
                found |= {bearer, *(part for part in bearer.split(".")[1:] if len(part) > 8)}
        return {str(secret) for secret in found}

    def check(self) -> None:
        secrets = self.secrets()
        assert any(request.credential != "none" for request in self.emulator.requests), "no token was ever sent: the test tests nothing"
        for text in self.texts:
            for secret in secrets:
                place = text.find(secret)
                assert place == -1, f"{secret!r} in {text[max(0, place - 300) : place + len(secret) + 300]!r}"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def witness(running: Emulator, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Witness]:
    running.reset()
    running.api_key = KEY
    running.require_user = {"X-Session": {HEADER: "ada"}}
    caplog.set_level(logging.DEBUG)
    witness = Witness(running)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield witness
    for record in caplog.get_records("call"):
        witness.texts += [record.getMessage(), repr(record.args), repr(vars(record))]
        if record.exc_info and record.exc_info[1] is not None:
            witness.see_error(record.exc_info[1])
    witness.texts += [str(warning.message) for warning in caught]
    witness.texts += list(capfd.readouterr())
    assert any("repeating" in text for text in witness.texts), "DEBUG was on"
    witness.check()
    running.reset()


def provider(emulator: Emulator) -> UrlTokenSource:
    url = emulator.token_url.replace("http://", f"http://ada:{PASSWORD}@") + f"?key={QUERY}"
    return UrlTokenSource(url, headers={"X-Session": HEADER}, cookies={"session": COOKIE})


SOURCES: dict[str, Callable[[Emulator], Any]] = {
    "provider": provider,
    "exchange": lambda emulator: ApiKeyTokenSource(KEY),
    "bearer": lambda emulator: ApiKeyTokenSource(KEY, mode="bearer"),
    "function": lambda emulator: CallableTokenSource(lambda: emulator.issue_token("ada")),
    "fixed": lambda emulator: StaticTokenSource(emulator.issue_token("ada")),
    "environment": lambda emulator: EnvironmentTokenSource("ANIMUS_ACCESS_TOKEN"),
}


def _store(kind: str, request: pytest.FixtureRequest, folder: Path) -> TokenStore:
    if kind == "redis":
        return RedisTokenStore(request.getfixturevalue("redis_url"), prefix=f"{folder}:")
    if kind == "redis that refuses":  # it wants no password
        return RedisTokenStore(request.getfixturevalue("redis_url").replace("//", f"//:{PASSWORD}@"), prefix=f"{folder}:")
    if kind == "keyring":
        request.getfixturevalue("ring")
        return KeyringTokenStore()
    return FileTokenStore(folder / "tokens") if kind == "file" else MemoryTokenStore()


@pytest.fixture
def ring() -> Iterator[InMemory]:
    with using_keyring() as ring:
        yield ring


# what a store keeps does not depend on the source
_PAIRS = [(source, "memory") for source in SOURCES] + [("provider", store) for store in ("file", "redis", "redis that refuses", "keyring")]


@pytest.fixture(params=_PAIRS, ids="-".join)
def client(
    request: pytest.FixtureRequest, witness: Witness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[AnimusClient]:
    source, store = request.param
    emulator = witness.emulator
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", emulator.issue_token("ada"))
    with AnimusClient(
        SOURCES[source](emulator),
        api_base_url=emulator.api_base_url,
        chat={**CHAT, "history_size": 20},
        clock=ManualClock(emulator.now),
        token_store=_store(store, request, tmp_path),
        identity="ada",
    ) as client:
        client.session.headers["X-Api-Key"] = HEADER
        for name in SIGNALS:
            client.on(name, witness.hear)
        yield client
        for part in (client, client.session, client.session.auth, client.token_source, client.chat, client.media, client._manager):
            witness.see(part)
        witness.see(dict(client.session.headers).keys(), client.chat.history, client.chat.config, client._token_store)
        try:
            witness.texts.append(pickle.dumps((client._manager, client.chat.history)).decode("latin-1"))
            # the user's own headers travel, as those of any session do
            del client.session.headers["X-Api-Key"]
            witness.texts.append(pickle.dumps(client).decode("latin-1"))
        except (TypeError, AttributeError, pickle.PicklingError) as error:  # a literal secret refuses, a lambda cannot
            witness.see_error(error)


def attempted(witness: Witness, act: Callable[[], Any]) -> None:
    """Do something that may fail, and keep what comes of it."""
    try:
        result = act()
    except AnimusError as error:
        witness.see_error(error)
    else:
        witness.see(result)


def test_calls_that_work(client: AnimusClient, witness: Witness) -> None:
    witness.emulator.arm(path=CHAT_PATH, status=503)
    witness.emulator.script([{"content": None, "turns": ["a", "b"], "next": True}, {"content": "c", "image_prompt": "a cat"}])
    witness.see(client.chat.send("Hello", auto_turn=True, check_image_generation=True))
    answer = client.chat.completions([user("Hello")])
    witness.see(answer, answer.http, answer.raw)
    with client.chat.completions([user("Hello")], stream=True) as stream:
        witness.see(stream, *stream)
        witness.see(stream.final(), stream.final().http)
    image = client.generate_image("a dog")
    witness.see(image, image._repr_html_())
    assert image.fetch()
    response = client.session.get("/chat/completions")
    witness.see(response, response.text, dict(response.headers))
    with client.for_identity("bob") as bob:
        witness.see(bob, bob.chat.send("Hello"))


FAULTS: list[dict[str, Any]] = [
    {"status": 400, "body": "echo"},
    {"status": 401, "body": "echo", "times": 2},
    {"status": 403, "body": "echo", "headers": {"WWW-Authenticate": "Bearer", "X-Echo": "echo"}},
    {"status": 422, "body": "echo"},
    {"status": 429, "body": "echo", "times": 3},
    {"status": 500, "body": "<html>echo</html>", "times": 3},
    {"status": 200, "body": "echo"},
    {"status": 200, "body": "not JSON: echo"},
    {"reset": True},
    {"tear_after": 1},
    {"malformed_after": 1},
    {"drop_after_request": True},
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(f"{v}" for v in fault.values() if not isinstance(v, dict))[:30])
def test_calls_that_fail(client: AnimusClient, witness: Witness, fault: dict[str, Any]) -> None:
    emulator = witness.emulator
    emulator.arm(path=CHAT_PATH, status=503)  # so that a repetition is in the log
    client.chat.send("Hello")  # a token is there
    fields = {key: value for key, value in fault.items() if key != "times"}
    token = str(emulator.requests.last("api").headers["Authorization"]).partition(" ")[2]
    if "body" in fields:
        echoed = {"message": f"Bearer {token}", "detail": [{"loc": ["header"], "msg": token}], token: [token]}
        fields["body"] = fields["body"].replace("echo", json.dumps(echoed)) if fields["body"] != "echo" else echoed
    if "headers" in fields:
        fields["headers"] = {name: value.replace("echo", token) for name, value in fields["headers"].items()}
    for path, act in (
        (CHAT_PATH, lambda: client.chat.completions([user("Hello")])),
        (CHAT_PATH, lambda: list(client.chat.completions([user("Hello")], stream=True))),
        (CHAT_PATH, lambda: client.chat.send("Hello")),
        (CHAT_PATH, lambda: client.chat.submit("Hello").result(20)),
        (IMAGE_PATH, lambda: client.generate_image("a cat")),
    ):
        emulator.disarm()
        emulator.arm(path=path, times=fault.get("times", 1), **fields)
        attempted(witness, act)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, None),
        (403, "echo"),
        (500, "echo"),
        (302, "echo"),
        (200, "<html>echo</html>"),
        (200, {"token": 5}),
        (200, "echo"),
        (200, {"x": KEY}),
        (200, {KEY: 1, "animus": {COOKIE: HEADER}}),
    ],
)
def test_token_sources_that_fail(client: AnimusClient, witness: Witness, status: int, body: Any) -> None:
    emulator = witness.emulator
    emulator.arm(path=CHAT_PATH, status=503)
    client.chat.send("Hello")
    if isinstance(body, str):
        body = body.replace("echo", f"key {KEY} header {HEADER} cookie {COOKIE} query {QUERY} Basic {PASSWORD}")
    emulator.token_status, emulator.token_body = status, body
    emulator.arm(kind="auth", status=status, body=body, times=None)
    emulator.api_key = "another"
    emulator.revoke_tokens()
    for act in (lambda: client.chat.send("Hello"), lambda: client.chat.completions([user("Hello")]), lambda: client.generate_image("x")):
        attempted(witness, act)
    client.clear_auth_token()
    attempted(witness, lambda: client.chat.send("Hello"))
    attempted(witness, lambda: client.for_identity("bob").chat.send("Hello"))
