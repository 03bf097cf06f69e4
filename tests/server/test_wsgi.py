"""The token endpoint as a WSGI application."""

from __future__ import annotations

import io
import json
import sys
import types
from collections.abc import Iterator, Mapping
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from animus.emulator import Emulator
from animus.errors import ConfigurationError
from animus.server import TokenIssuer, wsgi
from animus.server.wsgi import TokenApplication, from_environment

PATH = "/api/get-animus-token"
APP = "https://app.example.com"


def user_of(environ: Mapping[str, Any]) -> str | None:
    return environ.get("HTTP_X_USER")


def call(application: Any, path: str = PATH, method: str = "POST", **variables: str) -> tuple[str, dict[str, str], bytes]:
    """Ask as a server does that obeys PEP 3333 to the letter."""
    environ: dict[str, Any] = {
        "PATH_INFO": path,
        "REQUEST_METHOD": method,
        "REMOTE_ADDR": "192.0.2.1",
        "QUERY_STRING": "",
        "wsgi.input": io.BytesIO(),
    }
    environ.update({"QUERY_STRING": "", "SCRIPT_NAME": "" if path else "/tokens", **variables})
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [status, dict(headers)]
        return lambda data: None

    pieces = validator(application)(environ, start_response)
    try:
        body = b"".join(pieces)
    finally:
        pieces.close()  # type: ignore[attr-defined]
    return started[0], started[1], body


@pytest.fixture
def application(issuer: TokenIssuer) -> TokenApplication:
    return TokenApplication(issuer, authenticate=user_of, origins=[APP])


def test_its_path_hands_out_tokens(emulator: Emulator, application: TokenApplication) -> None:
    status, headers, body = call(application, HTTP_X_USER="ada", HTTP_ORIGIN=APP)
    assert (status, headers["Content-Length"]) == ("200 OK", str(len(body)))
    assert headers["Access-Control-Allow-Origin"] == APP
    assert emulator.tokens.read(json.loads(body)["accessToken"])


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (PATH, "POST", "401"),
        (PATH, "GET", "405"),
        (PATH, "HEAD", "405"),
        (PATH, "OPTIONS", "204"),
        ("/", "GET", "200"),
        ("", "GET", "200"),
        ("/", "HEAD", "200"),
        ("/", "POST", "404"),
        (f"{PATH}/", "POST", "404"),
        ("/api", "POST", "404"),
        ("//evil.example/api/get-animus-token", "POST", "404"),
        ("/api/get-animus-token\r\nX-Evil: 1", "POST", "404"),
    ],
)
def test_every_path_and_method(application: TokenApplication, path: str, method: str, status: str) -> None:
    said, headers, body = call(application, path, method)
    assert said.startswith(status)
    assert "Location" not in headers
    assert not body or (method != "HEAD" and json.loads(body))


def test_headers_of_the_request_arrive(issuer: TokenIssuer) -> None:
    application = TokenApplication(issuer, authenticate=user_of)
    assert call(application, HTTP_X_USER="ada", CONTENT_LENGTH="70000")[0].startswith("413")
    assert call(application, HTTP_X_USER="ada", HTTP_ORIGIN="https://evil.example")[0].startswith("403")
    assert call(application, HTTP_X_USER="ada", HTTP_ORIGIN="https://here.example", HTTP_HOST="here.example")[0].startswith("200")


def test_a_path_begins_with_a_slash(issuer: TokenIssuer) -> None:
    with pytest.raises(ConfigurationError, match="path"):
        TokenApplication(issuer, authenticate=user_of, path="token")


# ---- from the environment ------------------------------------------------------------------------------


@pytest.fixture
def users_module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    module = types.ModuleType("the_sites_users")
    module.user_of = user_of  # type: ignore[attr-defined]
    module.number = 5  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield module
    wsgi.__dict__.pop("app", None)


def test_the_environment_may_say_it_all(emulator: Emulator, users_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ANIMUS_API_KEY": emulator.api_key,
        "ANIMUS_API_BASE_URL": emulator.api_base_url,
        "ANIMUS_TOKEN_AUTHENTICATE": "the_sites_users:user_of",
        "ANIMUS_TOKEN_PATH": "/token",
        "ANIMUS_TOKEN_ORIGINS": f"{APP}, https://other.example\nhttps://third.example",
        "ANIMUS_TOKEN_LIMIT": "2/day",
        "ANIMUS_TOKEN_CACHE": "user",
    }.items():
        monkeypatch.setenv(name, value)
    application = wsgi.app
    with application.issuer:
        answers = [call(application, "/token", HTTP_X_USER="ada", HTTP_ORIGIN="https://third.example") for _ in range(3)]
    assert [status[:3] for status, _, _ in answers] == ["200", "200", "429"]
    assert emulator.requests.count(kind="auth") == 1
    assert wsgi.app is application


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"ANIMUS_TOKEN_AUTHENTICATE": ""}, "ANIMUS_TOKEN_AUTHENTICATE"),
        ({"ANIMUS_TOKEN_AUTHENTICATE": "no_such_module:user_of"}, "no_such_module"),
        ({"ANIMUS_TOKEN_AUTHENTICATE": "the_sites_users:no_such"}, "no_such"),
        ({"ANIMUS_TOKEN_AUTHENTICATE": "the_sites_users:number"}, "a function"),
        ({"ANIMUS_TOKEN_AUTHENTICATE": "user_of"}, "a function"),
        ({"ANIMUS_TOKEN_ORIGINS": "*"}, "every web page"),
        ({"ANIMUS_TOKEN_LIMIT": "x"}, "limit"),
        ({"ANIMUS_TOKEN_CACHE": "x"}, "cache"),
        ({"ANIMUS_TOKEN_PATH": "x"}, "path"),
    ],
)
def test_what_is_wrong_in_it_is_told_at_start(
    users_module: Any, changes: dict[str, str], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", "any key will do")
    with pytest.raises(ConfigurationError, match=match):
        from_environment({"ANIMUS_TOKEN_AUTHENTICATE": "the_sites_users.user_of", **changes})


def test_no_limit_and_no_cache_by_word(users_module: Any, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
    monkeypatch.setenv("ANIMUS_AUTH_URL", emulator.auth_url)
    application = from_environment({"ANIMUS_TOKEN_AUTHENTICATE": "the_sites_users:user_of", "ANIMUS_TOKEN_LIMIT": "none"})
    with application.issuer:
        assert {call(application, HTTP_X_USER="ada")[0][:3] for _ in range(35)} == {"200"}
    assert emulator.requests.count(kind="auth") == 35


def test_the_module_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="application"):
        _ = wsgi.application  # type: ignore[attr-defined]
