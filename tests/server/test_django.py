"""The token endpoint in Django."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connections
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings

import animus
from animus.emulator import Emulator
from animus.errors import ConfigurationError
from animus.server import TokenIssuer
from animus.server.django import AnimusTokenView
from animus.server.django.checks import check_settings
from animus.server.django.configuration import CONFIGURED
from tests.server.sites import django_site
from tests.server.sites.django_site import TOKEN_PATH
from tests.tokens.minting import SIGNATURE, mint

APP = "https://app.example.com"
FAR = 4102444800
KEY = "canary-key-that-must-not-sing"
MakeIssuer = Callable[..., TokenIssuer]


def anonymous(request: HttpRequest) -> None:
    return None


def denied(request: HttpRequest) -> Any:
    raise PermissionDenied


def failing(request: HttpRequest) -> Any:
    raise RuntimeError(f"{KEY} {mint(FAR)}")


def only_bob(user: Any) -> bool:
    return bool(user.username == "bob")


@pytest.fixture(autouse=True)
def _ready() -> Iterator[None]:
    django_site.configure()
    yield
    connections.close_all()


@pytest.fixture
def configured(emulator: Emulator) -> Iterator[Callable[..., None]]:
    """Have the setting ANIMUS_TOKEN lead to the emulator, with further entries."""
    overridden: list[override_settings] = []

    def configure(**further: Any) -> None:
        given = {"API_KEY": emulator.api_key, "AUTH_URL": emulator.auth_url, **further}
        overridden.append(override_settings(ANIMUS_TOKEN=given))
        overridden[-1].enable()

    yield configure
    for override in reversed(overridden):
        override.disable()


def visitor(user: str | None = None) -> Client:
    client = Client(enforce_csrf_checks=True)
    if user is not None:
        assert client.post("/login", {"user": user}).status_code == 204
    return client


def check(**settings: Any) -> list[str]:
    with override_settings(**settings):
        return [message.id or "" for message in check_settings()]


# ---- answers -------------------------------------------------------------------------------------------


def test_who_is_logged_in_gets_a_token_without_a_csrf_token(emulator: Emulator, configured: Callable[..., None]) -> None:
    configured()
    answer = visitor("ada").post(TOKEN_PATH)
    assert answer.status_code == 200
    assert emulator.tokens.read(answer.json()["accessToken"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json"
    assert {part.strip() for part in answer.headers["Vary"].split(",")} == {"Origin", "Cookie"}


def test_who_is_not_is_401_and_never_sent_to_a_login_page(configured: Callable[..., None]) -> None:
    configured()
    answer = visitor().post(TOKEN_PATH)
    assert (answer.status_code, answer.json()["reason"]) == (401, "not_signed_in")
    if django.VERSION >= (5, 1):
        middleware = [*django_site.settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        with override_settings(MIDDLEWARE=middleware):
            assert Client().post(TOKEN_PATH).status_code == 401


def test_the_user_is_known_by_the_primary_key(configured: Callable[..., None]) -> None:
    configured(CACHE="user")
    heard: list[Any] = []
    CONFIGURED.get().issuer.on("token_issued", heard.append)
    for user in ("ada", "bob", "ada"):
        visitor(user).post(TOKEN_PATH)
    assert [event.reason for event in heard] == ["fetched", "fetched", "cached"]
    assert len({event.user for event in heard}) == 2
    assert {event.remote_address for event in heard} == {"127.0.0.1"}


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
def test_other_methods_are_405(configured: Callable[..., None], method: str) -> None:
    configured()
    answer = getattr(visitor("ada"), method)(TOKEN_PATH, headers={"X-HTTP-Method-Override": "POST"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_listed_and_foreign_pages(emulator: Emulator, configured: Callable[..., None]) -> None:
    configured(ORIGINS=[APP])
    client = visitor("ada")
    preflight = client.options(TOKEN_PATH, headers={"Origin": APP, "Access-Control-Request-Method": "POST"})
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, APP)
    assert "Content-Type" not in preflight.headers
    assert client.post(TOKEN_PATH, headers={"Origin": APP}).headers["Access-Control-Allow-Credentials"] == "true"
    # a form of another site, with the session's cookie: what CSRF tokens are for
    forged = client.post(TOKEN_PATH, {"a": 1}, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert (forged.status_code, emulator.requests.count(kind="auth")) == (403, 1)
    assert client.post(TOKEN_PATH, headers={"Origin": "http://testserver", "Host": "testserver"}).status_code == 200


@pytest.mark.parametrize("debug", [False, True])
def test_host_and_path_tricks_lead_nowhere(emulator: Emulator, configured: Callable[..., None], debug: bool) -> None:
    configured()
    with override_settings(DEBUG=debug):
        client = visitor("ada")
        for headers in ({"Host": "evil.example"}, {"Host": "evil.example", "Origin": "https://evil.example"}):
            answer = client.post(TOKEN_PATH, headers=headers)
            assert answer.status_code == 400  # Django's own: ALLOWED_HOSTS
            assert emulator.api_key not in answer.content.decode()
        for path in (f"{TOKEN_PATH}/", f"/api//evil.example{TOKEN_PATH}", f"{TOKEN_PATH}%0d%0aX-Evil:1"):
            answer = client.post(path)
            assert (answer.status_code, "Location" in answer.headers) == (404, False)
            assert emulator.api_key not in answer.content.decode()
    assert emulator.requests.count(kind="auth") == 0


@pytest.mark.parametrize(
    ("further", "user", "status"),
    [
        ({"AUTHENTICATE": "tests.server.test_django.anonymous"}, "ada", 401),
        ({"AUTHENTICATE": "tests.server.test_django:denied"}, "ada", 403),
        ({"AUTHENTICATE": failing}, "ada", 500),
        ({"AUTHORIZE": only_bob}, "ada", 403),
        ({"AUTHORIZE": only_bob}, "bob", 200),
        ({"LIMIT": None}, "ada", 200),
        ({"CLIENT_ADDRESS": lambda request: request.META["SERVER_NAME"]}, "ada", 200),
    ],
)
def test_settings_do_what_they_say(configured: Callable[..., None], further: dict[str, Any], user: str, status: int) -> None:
    configured(**further)
    assert visitor(user).post(TOKEN_PATH).status_code == status


def test_the_limit_of_the_settings_holds(configured: Callable[..., None]) -> None:
    configured(LIMIT="2/day", LIMIT_STORAGE="memory://")
    client = visitor("ada")
    assert [client.post(TOKEN_PATH).status_code for _ in range(3)] == [200, 200, 429]


def test_a_view_may_have_arguments_instead_of_settings(issuer: TokenIssuer) -> None:
    view = AnimusTokenView.as_view(issuer=issuer, authenticate=lambda request: request.headers.get("X-User"), origins=[APP])
    ask = RequestFactory()
    assert view(ask.post("/", headers={"X-User": "ada"})).status_code == 200
    assert view(ask.post("/")).status_code == 401
    assert view.csrf_exempt
    for arguments in ({"origins": [APP]}, {"issuer": issuer, "origins": "*"}):
        with pytest.raises(ConfigurationError):
            AnimusTokenView.as_view(**arguments)
    with pytest.raises(TypeError):
        AnimusTokenView.as_view(issuer=issuer, orgins=[APP])


# ---- nothing for developers' pages ---------------------------------------------------------------------


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_is_no_page_for_developers(
    configured: Callable[..., None], debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    configured(API_KEY=KEY, AUTHENTICATE=failing)
    with override_settings(DEBUG=debug, DEBUG_PROPAGATE_EXCEPTIONS=debug), caplog.at_level(logging.DEBUG):
        answer = visitor("ada").post(TOKEN_PATH)
    assert (answer.status_code, answer.json()) == (500, {"error": "Failed to generate token", "reason": "server_error"})
    shown = answer.content.decode() + str(answer.headers) + caplog.text
    assert KEY not in shown
    assert SIGNATURE not in shown


def test_what_admins_are_mailed_has_no_secret(configured: Callable[..., None], caplog: pytest.LogCaptureFixture) -> None:
    from django.core import mail
    from django.test.utils import setup_test_environment, teardown_test_environment
    from django.utils.log import AdminEmailHandler

    configured(API_KEY=KEY, AUTHENTICATE=failing)
    handler = AdminEmailHandler(include_html=True)
    logging.getLogger("animus").addHandler(handler)
    setup_test_environment()
    try:
        with override_settings(ADMINS=["admin@example.com" if django.VERSION >= (6, 0) else ("A", "admin@example.com")]):
            visitor("ada").post(TOKEN_PATH, headers={"Authorization": f"Bearer {mint(FAR)}"})
        [message] = mail.outbox
        shown = str(message.message()) + "".join(str(text) for text, _ in message.alternatives)
    finally:
        teardown_test_environment()
        logging.getLogger("animus").removeHandler(handler)
    assert "authenticate raised" in shown
    assert KEY not in shown
    assert SIGNATURE not in shown


@pytest.mark.parametrize("given", [{"ORIGINS": "*"}, {"API_KEY": ""}, {"ORGINS": []}, 5, {"LIMIT": "x"}, {"AUTHENTICATE": "no.such"}])
def test_wrong_settings_are_a_500_without_details(given: Any, caplog: pytest.LogCaptureFixture) -> None:
    if isinstance(given, dict):
        given = {"API_KEY": KEY, **given}
    with override_settings(ANIMUS_TOKEN=given, DEBUG=True):
        answer = visitor("ada").post(TOKEN_PATH)
    assert (answer.status_code, answer.json()["reason"]) == (500, "server_error")
    assert "ANIMUS_TOKEN is wrong" in caplog.text
    assert KEY not in caplog.text + answer.content.decode()


# ---- manage.py check -----------------------------------------------------------------------------------


def test_checks_find_what_is_wrong() -> None:
    assert check(ANIMUS_TOKEN={"API_KEY": KEY}) == []
    assert check(ANIMUS_TOKEN={}) == ["animus.W001"]
    assert check(ANIMUS_TOKEN={"LIMIT": "x"}) == ["animus.W001", "animus.E001"]
    wrongs: list[dict[str, Any]] = [{"ORIGINS": ["*"]}, {"ORIGINS": ["x"]}, {"ORGINS": []}, {"LIMIT": "x"}, {"CACHE": "x"}]
    for wrong in (*wrongs, {"AUTHENTICATE": "x"}, {"API_KEY": " "}):
        assert check(ANIMUS_TOKEN={"API_KEY": KEY, **wrong}) == ["animus.E001"]
    assert check(ANIMUS_TOKEN=5) == ["animus.E001"]
    assert check(ANIMUS_TOKEN={"API_KEY": KEY}, MIDDLEWARE=[]) == ["animus.E002"]
    assert check(ANIMUS_TOKEN={"API_KEY": KEY, "AUTHENTICATE": anonymous}, MIDDLEWARE=[]) == []
    assert check(ANIMUS_TOKEN={"API_KEY": KEY, "ORIGINS": [APP, "http://localhost:3000"]}) == []
    assert check(ANIMUS_TOKEN={"API_KEY": KEY, "ORIGINS": "http://app.example.com"}) == ["animus.W002"]
    assert check(ANIMUS_TOKEN={"API_KEY": KEY, "ORIGINS": "*", "CREDENTIALS": False}) == []


def test_the_key_of_the_environment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", KEY)
    assert check() == []


def test_manage_check_stops_at_a_star_with_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(ANIMUS_TOKEN={"API_KEY": KEY, "ORIGINS": ["*"]}), pytest.raises(SystemCheckError) as caught:
        call_command("check")
    assert "every web page in the world" in str(caught.value)
    assert "List the exact origins" in str(caught.value)
    assert KEY not in str(caught.value)


def test_the_settings_names_are_hidden_where_django_shows_settings() -> None:
    from django.views.debug import SafeExceptionReporterFilter

    with override_settings(ANIMUS_TOKEN={"API_KEY": KEY}):
        assert KEY not in str(SafeExceptionReporterFilter().get_safe_settings())


def test_django_may_load_it_before_it_is_ready() -> None:
    code = "import animus.server.django, animus.server.django.apps, animus.server.django.urls; print('ready')"
    environment = {**os.environ, "PYTHONPATH": str(Path(animus.__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (result.stdout, result.stderr) == ("ready\n", "")
