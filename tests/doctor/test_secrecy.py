"""Marked secrets go in by every way, servers echo them, and nothing that comes out shows one."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from animus.cli.main import main
from animus.emulator import Emulator
from tests.doctor.asking import APP
from tests.servers import Answer, HttpServer, Received

TOKEN = "eyJjYW5hcnkiOjF9.Y2FuYXJ5LXRva2VuLWJvZHk.Y2FuYXJ5LXRva2VuLXNpZw"
SECRETS = {
    "header": "canary-header-0123456789",
    "cookie": "canary-cookie-0123456789",
    "query": "canary-query-0123456789",
    "password": "canary-password-0123456789",
    "key": "canary-key-0123456789",
    "proxy": "canary-proxy-0123456789",
    "netrc": "canary-netrc-0123456789",
    "token": TOKEN,
}
ALL = " ".join(secret for name, secret in SECRETS.items() if name not in ("netrc", "proxy"))  # these go to no server
JSON = {"Content-Type": "application/json"}

ANSWERS: dict[str, Answer] = {
    "401": Answer(401, {"WWW-Authenticate": ALL}, ALL.encode()),
    "403": Answer(403, JSON, json.dumps({"reason": ALL, "error": ALL}).encode()),
    "405": Answer(405, {"Allow": ALL}),
    "redirect": Answer(302, {"Location": f"/login?{ALL.replace(' ', '&')}"}),
    "redirect with a user": Answer(302, {"Location": f"https://ada:{SECRETS['password']}@sign-in.example/{TOKEN}"}),
    "page": Answer(200, {}, f"<html>{ALL}</html>".encode()),
    "text": Answer(200, {}, ALL.encode()),
    "shape": Answer(200, JSON, json.dumps({TOKEN: ALL, "values": [ALL]}).encode()),
    "opaque": Answer(200, JSON, json.dumps({"accessToken": SECRETS["key"]}).encode()),
    "headers": Answer(200, {**JSON, "Access-Control-Allow-Origin": f"https://{SECRETS['header']}.example", "Date": ALL}, b"{}"),
    "allowed": Answer(204, {"Access-Control-Allow-Origin": APP, "Access-Control-Allow-Headers": ALL}),
    "retry": Answer(503, {"Retry-After": SECRETS["key"]}, ALL.encode()),
    "broken": Answer(200, {"Content-Length": "99999", "Connection": "close"}, ALL.encode()),
}


def forms(secret: str) -> set[str]:
    """Give the texts that would give a secret away: itself, and the parts of a token."""
    return {secret, *(part for part in secret.split(".")[1:] if len(part) > 8)}


@pytest.fixture
def shown(
    serve: Callable[..., HttpServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Callable[..., str]:
    """Ask the doctor with every secret about servers that answer so; gives all that was shown anywhere."""
    caplog.set_level(logging.DEBUG)
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login ada password {SECRETS['netrc']}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{SECRETS['proxy']}@127.0.0.1:9")
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", SECRETS["token"])
    monkeypatch.setenv("ANIMUS_API_KEY", SECRETS["key"])
    # the library's own users see their own requests in urllib3's log; there the path is shown, and no header
    options = ["-H", f"X-Session: {SECRETS['header']}", "-H", f"Cookie: session={SECRETS['cookie']}", "--origin", APP, "--debug"]

    def shown(provider: Answer, api: Answer, *further: str) -> str:
        server = serve(lambda request: provider if request.path == "/token" else api)
        url = server.url.replace("//", f"//ada:{SECRETS['password']}@") + f"/token?key={SECRETS['query']}"
        base = server.url.replace("//", f"//ada:{SECRETS['password']}@") + "/v3"
        main(["doctor", url, "--api-base-url", base, *options, *further])
        assert any(request.header("X-Session") == SECRETS["header"] for request in server.requests), "the secrets were sent"
        return "\n".join([*capfd.readouterr(), *(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)])

    return shown


def assert_clean(text: str) -> None:
    for name, secret in SECRETS.items():
        for form in forms(secret):
            place = text.find(form)
            assert place < 0, f"{name}: {text[max(0, place - 200) : place + 200]}"


@pytest.mark.parametrize("name", ANSWERS)
def test_the_provider_echoes_secrets(shown: Callable[..., str], name: str) -> None:
    api = Answer(401, JSON, b"{}")
    assert_clean(shown(ANSWERS[name], api) + shown(ANSWERS[name], api, "--json"))


@pytest.mark.parametrize("name", ANSWERS)
def test_the_api_echoes_secrets(shown: Callable[..., str], name: str) -> None:
    assert_clean(shown(ANSWERS["401"], ANSWERS[name]) + shown(ANSWERS["401"], ANSWERS[name], "--json"))


@pytest.mark.parametrize("status", [200, 302, 400, 401, 402, 403, 404, 429, 500])
def test_the_api_echoes_the_token_it_got(
    emulator: Emulator, serve: Callable[..., HttpServer], status: int, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def echo(request: Received) -> Answer:
        bearer = request.header("Authorization")
        if bearer is None:
            return Answer(401)
        body = json.dumps({"message": bearer, "detail": [{"loc": [bearer], "msg": bearer.rpartition(".")[2]}]}).encode()
        return Answer(status, {"X-Echo": bearer, "Location": f"/{bearer}?{bearer}"}, body)

    server = serve(echo)
    main(["doctor", emulator.token_url, "--api-base-url", f"{server.url}/v3", "--debug"])
    bearers = [bearer for request in server.requests if (bearer := request.header("Authorization"))]
    assert bearers, "a token was sent"
    text = "\n".join([*capfd.readouterr(), *(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)])
    for bearer in bearers:
        for part in bearer.partition(" ")[2].split(".")[1:]:
            assert part not in text


WITH_USER = f"https://ada:{SECRETS['password']}@host.invalid"


@pytest.mark.parametrize("text", [TOKEN, SECRETS["key"], WITH_USER, f"{WITH_USER}[", f"ftp://x/?{SECRETS['query']}"])
@pytest.mark.parametrize("place", ["url", "origin", "base"])
def test_what_was_typed_at_the_wrong_place_is_not_repeated(text: str, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments: dict[str, list[str]] = {
        "url": [text, "--api-base-url", "https://api.invalid"],
        "origin": ["https://backend.invalid/token", "--origin", text],
        "base": ["https://backend.invalid/token", "--api-base-url", text],
    }
    assert main(["doctor", *arguments[place], "--debug"]) in (1, 2)
    shown = "\n".join(capfd.readouterr())
    assert shown.strip()
    assert_clean(shown)


def test_control_characters_of_servers_reach_no_terminal(serve: Callable[..., HttpServer], capfd: pytest.CaptureFixture[str]) -> None:
    evil = "\x1b]0;title\x07\x1b[2J"
    server = serve(lambda request: Answer(400, {**JSON, "Location": evil, "Allow": evil}, json.dumps({"message": evil}).encode()))
    main(["doctor", f"{server.url}/token", "--api-base-url", f"{server.url}/v3"])
    main(["doctor", f"{server.url}/token", "--api-base-url", f"{server.url}/v3", "--json"])
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", capfd.readouterr().out)


def test_names_of_cookies_are_no_secrets(emulator: Emulator, capfd: pytest.CaptureFixture[str]) -> None:
    emulator.require_user = {"X-User": "ada"}
    main(["doctor", emulator.token_url, "--api-base-url", emulator.api_base_url, "-H", f"Cookie: session={SECRETS['cookie']}"])
    assert "check that the session is not over" in capfd.readouterr().out


def test_nothing_is_kept_of_it(emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "file")
    main(["doctor", emulator.token_url, "--api-base-url", emulator.api_base_url])
    assert list(tmp_path.iterdir()) == []
