"""Real sites under real servers, with the SDK's own token source as their clients."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from animus import AnimusClient, TokenSourceError, UrlTokenSource
from animus.emulator import Emulator
from animus.refresh.manager import TokenManager
from animus.server import TokenIssuer
from animus.server.wsgi import TokenApplication
from tests.server.hosting import SwiftClock, gunicorn_serving, waitress_serving
from tests.server.sites import django_site, flask_site
from tests.wired import CHAT

CLIENTS = 200
TOKEN_PATH = "/api/get-animus-token"
MakeIssuer = Callable[..., TokenIssuer]

needs_gunicorn = pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed here")


def flask_application(issuer: TokenIssuer) -> Any:
    return flask_site.create(issuer, limit=None)


def django_application(issuer: TokenIssuer) -> Any:
    django_site.configure()
    from django.core.handlers.wsgi import WSGIHandler

    from animus.server.django import AnimusTokenView
    from animus.server.django.configuration import make_endpoint

    class Urls:
        urlpatterns = [
            django_site.path("login", django_site.log_in),
            django_site.path("api/get-animus-token", AnimusTokenView.as_view(endpoint=make_endpoint(issuer, limit=None))),
        ]

    class OwnUrls(WSGIHandler):
        def get_response(self, request: Any) -> Any:
            request.urlconf = Urls
            return super().get_response(request)

    return OwnUrls()


def wsgi_application(issuer: TokenIssuer) -> Any:
    return TokenApplication(issuer, authenticate=flask_site._services, limit=None)


SITES = {"flask": flask_application, "django": django_application, "wsgi": wsgi_application}


def credentials(origin: str, site: str, user: str = "ada") -> dict[str, Any]:
    """Sign a user in, and give what a token source needs for it: the session's cookie, or a bearer of the user's own."""
    if site == "wsgi":
        return {"headers": lambda: {"Authorization": f"Bearer {flask_site.SECRETS['service']}"}}
    with requests.Session() as browser:
        browser.post(f"{origin}/login", data={"user": user}, timeout=30).raise_for_status()
        cookies = browser.cookies.get_dict()
    return {"cookies": lambda: cookies}


@pytest.fixture(autouse=True)
def _no_connection_to_a_database() -> Iterator[None]:
    yield
    from django.conf import settings

    if settings.configured:
        from django.db import connections

        connections.close_all()


def storm(origin: str, given: dict[str, Any], clock: Any = None) -> tuple[list[str], list[TokenSourceError]]:
    """Have many clients ask at once; gives their tokens, and the failures of those that got none."""
    options = {} if clock is None else {"clock": clock}
    barrier = threading.Barrier(CLIENTS)
    tokens: list[str] = []
    failures: list[TokenSourceError] = []

    def client(_: int) -> None:
        source = UrlTokenSource(f"{origin}{TOKEN_PATH}", timeout=600 if clock else 60, **given, **options)
        with contextlib.closing(TokenManager(source, **options)) as manager:
            barrier.wait(60)
            try:
                tokens.append(str.__str__(manager.token().value))
            except TokenSourceError as error:
                failures.append(error)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    return tokens, failures


@pytest.mark.parametrize("site", SITES)
def test_a_client_chats_by_a_token_of_its_own_back_end(site: str, emulator: Emulator, make_issuer: MakeIssuer) -> None:
    with waitress_serving(SITES[site](make_issuer(cache="user"))) as origin:
        source = UrlTokenSource(f"{origin}{TOKEN_PATH}", **credentials(origin, site))
        with AnimusClient(source, api_base_url=emulator.api_base_url, chat=CHAT) as client:
            assert client.chat.send("Hello!").text
            assert client.chat.send("And again").text
            assert emulator.requests.count(kind="auth") == 1


@pytest.mark.parametrize("site", SITES)
def test_who_is_not_signed_in_learns_so(site: str, make_issuer: MakeIssuer) -> None:
    with waitress_serving(SITES[site](make_issuer())) as origin:
        manager = TokenManager(UrlTokenSource(f"{origin}{TOKEN_PATH}"))
        with contextlib.closing(manager), pytest.raises(TokenSourceError) as caught:
            manager.token()
        assert (caught.value.reason, caught.value.status) == ("unauthorized", 401)


def test_a_revoked_token_that_is_kept_is_replaced_for_a_client_that_says_so(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    clock = SwiftClock()
    with waitress_serving(wsgi_application(make_issuer(cache="organisation", clock=clock, timeout=600))) as origin:
        source = UrlTokenSource(f"{origin}{TOKEN_PATH}", **credentials(origin, "wsgi"))
        with AnimusClient(source, api_base_url=emulator.api_base_url, chat=CHAT) as client:
            client.chat.send("Hello!")
            emulator.revoke_tokens()
            clock.wait(threading.Event(), 11)
            assert client.chat.send("Are you still there?").text
    assert emulator.requests.count(kind="auth") == 2


@pytest.mark.parametrize("site", SITES)
def test_two_hundred_clients_at_once_cost_one_request_when_tokens_are_kept(
    site: str, emulator: Emulator, make_issuer: MakeIssuer
) -> None:
    emulator.arm(kind="auth", delay=0.05)
    with waitress_serving(SITES[site](make_issuer(cache="organisation")), threads=16) as origin:
        tokens, failures = storm(origin, credentials(origin, site))
    assert failures == []
    assert (len(tokens), len(set(tokens)), emulator.requests.count(kind="auth")) == (CLIENTS, 1, 1)


@pytest.mark.parametrize("cache", [None, "organisation"])
@pytest.mark.parametrize("site", SITES)
def test_none_of_two_hundred_is_lost_when_the_auth_service_flaps(
    site: str, cache: Any, emulator: Emulator, make_issuer: MakeIssuer
) -> None:
    clock = SwiftClock()
    faults = 2 if cache else 40
    armed = [
        emulator.arm(kind="auth", status=503, times=faults // 2, headers={"Retry-After": "0"}),
        emulator.arm(kind="auth", reset=True, times=faults // 2),
    ]
    issuer = make_issuer(cache=cache, clock=clock, timeout=600)
    with waitress_serving(SITES[site](issuer), threads=16) as origin:
        tokens, failures = storm(origin, credentials(origin, site), clock)
    assert [error.reason for error in failures] == []
    assert len(tokens) == CLIENTS
    assert [fault.fired for fault in armed] == [faults // 2] * 2
    assert len(set(tokens)) == (1 if cache else CLIENTS)


@needs_gunicorn
@pytest.mark.parametrize("known_by", ["cookie", "bearer"])
@pytest.mark.parametrize("site", ["flask", "django"])
def test_workers_and_threads_of_gunicorn(site: str, known_by: str, emulator: Emulator) -> None:
    environment = {"ANIMUS_API_KEY": emulator.api_key, "ANIMUS_AUTH_URL": emulator.auth_url}
    with gunicorn_serving(f"tests.server.sites.{site}_site:from_environment()", environment, "--preload") as origin:
        given = credentials(origin, site if known_by == "cookie" else "wsgi")
        emulator.arm(kind="auth", status=503)
        tokens, failures = storm(origin, given)
    assert [error.reason for error in failures] == []
    assert len(tokens) == CLIENTS
    assert 1 <= len(set(tokens)) <= 2  # one for each worker; the issuer was made before they were forked
    assert emulator.requests.count(kind="auth") == len(set(tokens)) + 1


@needs_gunicorn
def test_workers_with_a_store_cost_one_request_together(emulator: Emulator, tmp_path: Path) -> None:
    pytest.importorskip("filelock")
    environment = {"ANIMUS_API_KEY": emulator.api_key, "ANIMUS_AUTH_URL": emulator.auth_url, "SITE_STORE": f"file:{tmp_path / 'tokens'}"}
    with gunicorn_serving("tests.server.sites.flask_site:from_environment()", environment) as origin:
        tokens, failures = storm(origin, credentials(origin, "flask"))
    assert failures == []
    assert (len(tokens), len(set(tokens)), emulator.requests.count(kind="auth")) == (CLIENTS, 1, 1)


@needs_gunicorn
def test_the_application_of_the_environment_under_gunicorn(emulator: Emulator) -> None:
    environment = {
        "ANIMUS_API_KEY": emulator.api_key,
        "ANIMUS_AUTH_URL": emulator.auth_url,
        "ANIMUS_TOKEN_AUTHENTICATE": "tests.server.sites.flask_site:_services",
        "ANIMUS_TOKEN_LIMIT": "1/day",
    }
    with gunicorn_serving("animus.server.wsgi:app", environment, workers=1) as origin:
        given = {"headers": credentials(origin, "wsgi")["headers"](), "timeout": 30}
        assert [requests.post(f"{origin}{TOKEN_PATH}", **given).status_code for _ in range(2)] == [200, 429]
        assert requests.get(f"{origin}/", timeout=30).json() == {"status": "ok"}
        chunked = requests.post(f"{origin}{TOKEN_PATH}", data=iter([b"x" * 100]), **given)
        assert chunked.status_code == 411
        large = requests.post(f"{origin}{TOKEN_PATH}", data=b"x" * 70000, **given)
        assert large.status_code == 413
