"""What a browser would make of a provider's answers: of real endpoints, and of answers that err."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from animus.emulator import Emulator
from animus.server import TokenIssuer
from tests.doctor.asking import APP, Doctor
from tests.server.hosting import waitress_serving
from tests.server.sites import django_site, flask_site
from tests.servers import Answer, HttpServer, Received
from tests.tokens.minting import mint

FAR = 4102444800
LISTED = ["https://other.example", APP]
Options = list[str]


def flask_application(issuer: TokenIssuer) -> Any:
    return flask_site.create(issuer, origins=LISTED, limit=None)


def django_application(issuer: TokenIssuer) -> Any:
    django_site.configure()
    from django.core.handlers.wsgi import WSGIHandler

    from animus.server.django import AnimusTokenView
    from animus.server.django.configuration import make_endpoint

    view = AnimusTokenView.as_view(endpoint=make_endpoint(issuer, origins=LISTED, limit=None))

    class Urls:
        urlpatterns = [django_site.path("login", django_site.log_in), django_site.path("api/get-animus-token", view)]

    class OwnUrls(WSGIHandler):
        def get_response(self, request: Any) -> Any:
            request.urlconf = Urls
            return super().get_response(request)

    return OwnUrls()


@pytest.fixture(params=[flask_application, django_application])
def site(request: pytest.FixtureRequest, issuer: TokenIssuer) -> Iterator[str]:
    with waitress_serving(request.param(issuer)) as origin:
        yield origin


@pytest.fixture
def signed_in(site: str, emulator: Emulator) -> Options:
    """What the doctor needs to be ada, with the session cookie that a browser has."""
    with requests.Session() as browser:
        browser.post(f"{site}/login", data={"user": "ada"}, timeout=30).raise_for_status()
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.get_dict().items())
    return [f"{site}/api/get-animus-token", "-H", f"Cookie: {cookies}", "--api-base-url", emulator.api_base_url]


def test_a_listed_page_may_ask(signed_in: Options, doctor: Doctor) -> None:
    found = doctor(*signed_in, "--origin", APP)
    assert (found.code, found.failed) == (0, [])
    assert (found.status("cors.preflight"), found.status("cors.answer"), found.status("api.token")) == ("ok", "ok", "ok")
    assert found["provider.answer"]["advice"] is None, "the answer suffices for the JavaScript SDK"


def test_a_page_that_is_not_listed_may_not(signed_in: Options, doctor: Doctor) -> None:
    found = doctor(*signed_in, "--origin", "https://evil.example")
    assert (found.code, found.failed) == (1, ["cors.answer"])
    assert found.outcome("cors.answer") == ("failed", "foreign_origin")
    assert 'origins=["https://evil.example"]' in found["cors.answer"]["advice"]
    assert "would be stopped" in found["cors.preflight"]["advice"], "cookies alone need no preflight"


def test_a_page_with_headers_of_its_own_needs_its_preflight(signed_in: Options, doctor: Doctor) -> None:
    found = doctor(*signed_in, "-H", "X-CSRFToken: abc", "--origin", "https://evil.example")
    assert found.failed == ["cors.preflight", "cors.answer"]
    assert doctor(*signed_in, "-H", "X-CSRFToken: abc", "--origin", APP).failed == []
    found = doctor(*signed_in, "-H", "X-Unheard-Of: abc", "--origin", APP)
    assert found.outcome("cors.preflight") == ("failed", "header_not_allowed")
    assert "x-unheard-of" in found["cors.preflight"]["text"]


def test_pages_of_the_same_origin_need_nothing(site: str, signed_in: Options, doctor: Doctor) -> None:
    found = doctor(*signed_in, "--origin", site)
    assert (found.code, found.status("cors.preflight"), found.status("cors.answer")) == (0, "skipped", "skipped")


def test_who_is_not_signed_in_may_read_that(site: str, doctor: Doctor) -> None:
    found = doctor(f"{site}/api/get-animus-token", "--origin", APP)
    assert (found["provider.answer"]["reason"], found.status("cors.answer")) == ("unauthorized", "ok")


# ---- answers that err ------------------------------------------------------------------------------

GOOD = {
    "Access-Control-Allow-Origin": APP,
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Methods": "GET, POST, PUT",
    "Access-Control-Allow-Headers": "Content-Type, authorization",
}
BEARER = ["-H", "Authorization: Bearer user-ada"]
COOKIE = ["-H", "Cookie: session=abc"]


@pytest.fixture
def judged(serve: Callable[..., HttpServer], doctor: Doctor) -> Callable[..., Any]:
    """Have the doctor look at a provider that sends these headers, None: left out."""

    def judged(changed: dict[str, str | None], *options: str) -> Any:
        headers = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}

        def reply(request: Received) -> Answer:
            body = b"" if request.method == "OPTIONS" else f'{{"accessToken": "{mint(FAR)}"}}'.encode()
            return Answer(204 if request.method == "OPTIONS" else 200, headers, body)

        return doctor(f"{serve(reply).url}/token", "--origin", APP, *options)

    return judged


@pytest.mark.parametrize(
    ("changed", "options", "preflight", "answer"),
    [
        ({}, [*BEARER, *COOKIE], None, None),
        ({"Access-Control-Allow-Origin": None}, BEARER, "no_permission", "no_permission"),
        ({"Access-Control-Allow-Origin": f"{APP}/"}, BEARER, "other_origin", "other_origin"),
        ({"Access-Control-Allow-Origin": APP.upper()}, BEARER, "other_origin", "other_origin"),
        ({"Access-Control-Allow-Origin": f"{APP}, {APP}"}, BEARER, "other_origin", "other_origin"),
        ({"Access-Control-Allow-Origin": "null"}, BEARER, "other_origin", "other_origin"),
        ({"Access-Control-Allow-Origin": "*"}, BEARER, None, None),
        ({"Access-Control-Allow-Origin": "*"}, [*BEARER, *COOKIE], "star_with_cookies", "star_with_cookies"),
        ({"Access-Control-Allow-Credentials": None}, BEARER, None, None),
        ({"Access-Control-Allow-Credentials": "True"}, [*BEARER, *COOKIE], "no_cookies", "no_cookies"),
        ({"Access-Control-Allow-Headers": "*"}, BEARER, "header_not_allowed", None),
        ({"Access-Control-Allow-Headers": "*"}, ["-H", "X-Own: abc"], None, None),
        ({"Access-Control-Allow-Headers": "*"}, ["-H", "X-Own: abc", *COOKIE], "header_not_allowed", None),
        ({}, ["-H", "X-Own: abc"], "header_not_allowed", None),
        ({"Access-Control-Allow-Methods": None}, BEARER, None, None),
        ({"Access-Control-Allow-Methods": "POST"}, ["--method", "PUT", *BEARER], "method_not_allowed", None),
        ({"Access-Control-Allow-Methods": "*"}, ["--method", "PUT", *BEARER], None, None),
        ({"Access-Control-Allow-Methods": "*"}, ["--method", "PUT", *BEARER, *COOKIE], "method_not_allowed", None),
    ],
)
def test_the_standards_rules(
    judged: Callable[..., Any], changed: dict[str, str | None], options: Options, preflight: str | None, answer: str | None
) -> None:
    found = judged(changed, *options)
    assert (found["cors.preflight"]["reason"], found["cors.answer"]["reason"]) == (preflight, answer)
    assert (found.status("cors.preflight"), found.status("cors.answer")) == tuple("failed" if r else "ok" for r in (preflight, answer))


def test_what_is_no_origin_is_not_repeated(judged: Callable[..., Any]) -> None:
    text = judged({"Access-Control-Allow-Origin": "anything at all"})["cors.answer"]["text"]
    assert "something that is no origin" in text
    assert "anything" not in text


def test_nothing_that_signs_in_is_sent_in_a_preflight(serve: Callable[..., HttpServer], doctor: Doctor) -> None:
    server = serve(lambda request: Answer(204, GOOD))
    doctor(server.url.replace("//", "//ada:secret@") + "/token", "--origin", APP, *BEARER, *COOKIE)
    [preflight] = [request for request in server.requests if request.method == "OPTIONS"]
    assert (preflight.header("Authorization"), preflight.header("Cookie")) == (None, None)
    assert preflight.header("Access-Control-Request-Headers") == "authorization"
    assert preflight.header("Origin") == APP


def test_a_shape_that_the_javascript_sdk_refuses_is_told(emulator: Emulator, doctor: Doctor) -> None:
    emulator.token_shape = "flat"
    options = [emulator.token_url, "--api-base-url", emulator.api_base_url]
    assert "animus.token and livekit.voice.token" in doctor(*options, "--origin", APP)["provider.answer"]["advice"]
    assert doctor(*options)["provider.answer"]["advice"] is None


def test_without_a_provider_that_answers_there_is_no_verdict(doctor: Doctor) -> None:
    found = doctor("https://backend.invalid/token", "--origin", APP)
    assert (found.status("cors.preflight"), found.status("cors.answer")) == ("skipped", "skipped")
