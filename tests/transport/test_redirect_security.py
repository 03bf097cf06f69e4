"""Where the token, and all else that is nobody's business, must not go: redirects, netrc, cookies."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from hypothesis import example, given, strategies as st

from animus._origin import origin_of
from animus.errors import ApiConnectionError, ApiError
from animus.transport.api import call_api
from animus.transport.bearer import BearerAuth
from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import Answer, HttpServer, Received
from tests.transport.tokens import CANARY, fixed

Serve = Callable[..., HttpServer]
SessionFor = Callable[..., AnimusSession]

_VECTORS = Path(__file__).parents[1] / "conformance" / "vectors" / "jws_security.json.gz"
CASES = [case for case in json.loads(gzip.decompress(_VECTORS.read_bytes()))["cases"] if case["topic"] == "redirect"]
API = "https://api.animus.test/v3"
BODY = b'{"messages": "secret prompt"}'
SECRETS = {"X-Api-Key": "key-canary", "X-Auth-Token": "auth-canary", "Apikey": "k-canary", "X-Session-Id": "s-canary", "X-Shown": "1"}


@dataclass
class World:
    """Servers behind names: the API (also on another port, and in clear text), another host, a subdomain."""

    api: HttpServer
    others: dict[str, HttpServer]
    session: AnimusSession

    @property
    def elsewhere(self) -> list[Received]:
        return [request for server in self.others.values() for request in server.requests]


@pytest.fixture
def world(serve: Serve, session_for: SessionFor, authority: Authority, name_hosts: Callable[..., None]) -> World:
    tls = authority.server_context()
    api = serve(tls=tls)
    others = {
        "https://api.animus.test:8443": serve(tls=tls),
        "https://other.test": serve(tls=tls),
        "https://evil.api.animus.test": serve(tls=tls),
        "http://api.animus.test": serve(),
        "http://other.test": serve(),
    }
    table = {("api.animus.test", 443): api.port}
    for url, server in others.items():
        origin = origin_of(url)
        table[origin.host, origin.port] = server.port
    name_hosts(table)
    session = session_for(API, fixed())
    session.verify = authority.bundle
    return World(api, others, session)


def _redirecting(case: dict[str, Any]) -> Callable[[Received], Answer]:
    first = urlsplit(case["redirect"]["from"]).path

    def reply(request: Received) -> Answer:
        if request.target == first:
            return Answer(case["redirect"]["status"], {"Location": case["redirect"]["to"]})
        return Answer(body=b"{}")

    return reply


def _assert_nothing_told(requests_: list[Received]) -> None:
    for request in requests_:
        raw = request.raw.lower()
        assert b"canary" not in raw
        assert b"secret" not in raw
        assert request.header("Authorization") is None
        assert request.header("Cookie") is None
        assert request.body == b""


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_resource_calls(world: World, case: dict[str, Any]) -> None:
    """They follow nothing that changes origin or method; what they do follow carries all it should."""
    world.api.reply = _redirecting(case)
    follows = case["redirect"]["body"] == "allowed" and case["redirect"]["status"] == 307
    if follows:
        call_api(world.session, "POST", "/chat/completions", body=BODY)
        assert [request.body for request in world.api.requests] == [BODY] * 2
        assert [request.header("Authorization") for request in world.api.requests] == [f"Bearer {CANARY}"] * 2
    else:
        with pytest.raises(ApiError) as raised:
            call_api(world.session, "POST", "/chat/completions", body=BODY)
        assert raised.value.status == case["redirect"]["status"]
        assert "api_base_url" in str(raised.value)
        assert len(world.api.requests) == 1
    assert world.elsewhere == []


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "GET", "HEAD"])
def test_the_session(world: World, case: dict[str, Any], method: str) -> None:
    """It goes elsewhere only with GET and HEAD, and takes nothing along."""
    world.api.reply = _redirecting(case)
    session = world.session
    session.cookies.set("sid", "cookie-canary")
    try:
        session.request(method, "/chat/completions", data=BODY, headers=SECRETS, cookies={"c": "call-canary"})
    except requests.TooManyRedirects:
        assert case["name"] == "redirect-loop"
    _assert_nothing_told(world.elsewhere)
    to = urljoin(case["redirect"]["from"], case["redirect"]["to"])
    is_elsewhere = case["redirect"]["authorization"] == "never"
    assert len(world.elsewhere) == (1 if is_elsewhere and method in ("GET", "HEAD") else 0), to
    for request in world.elsewhere:
        assert request.header("X-Shown") == "1"
    for request in world.api.requests:
        assert request.header("Authorization") == f"Bearer {CANARY}"
    if case["redirect"]["body"] == "never":
        assert not any(request.body for request in world.api.requests[1:])


def test_an_endless_redirect_is_a_typed_error(world: World) -> None:
    world.api.reply = lambda request: Answer(307, {"Location": "/v3/chat/completions"})
    world.session.max_redirects = 3
    with pytest.raises(ApiConnectionError, match="redirects without end") as raised:
        call_api(world.session, "POST", "/chat/completions", body=BODY)
    cause: Any = raised.value.__cause__
    for response in (cause.response, *cause.response.history):
        assert "Authorization" not in response.request.headers
    assert "Authorization" not in cause.request.headers


def test_a_chain_of_foreign_hops_stays_without_secrets(world: World) -> None:
    """requests puts the session's cookies on every hop anew."""
    world.session.cookies.set("sid", "cookie-canary")
    world.api.reply = lambda request: Answer(302, {"Location": "https://other.test/1"})
    world.others["https://other.test"].reply = (
        lambda request: Answer(302, {"Location": "/2"}) if request.path == "/1" else Answer(302, {"Location": "http://other.test/3"})
    )
    world.session.get("/a", headers=SECRETS)
    assert [request.path for request in world.elsewhere] == ["/1", "/2", "/3"]
    _assert_nothing_told(world.elsewhere)


def test_the_way_back_gets_the_token_again_or_not_but_never_the_foreigner(world: World) -> None:
    world.api.reply = lambda request: Answer(302, {"Location": "https://other.test/1"}) if request.path == "/v3/a" else Answer()
    world.others["https://other.test"].reply = lambda request: Answer(302, {"Location": f"{API}/b"})
    assert world.session.get("/a").ok
    _assert_nothing_told(world.elsewhere)


def test_cookies_of_the_other_domain_go_there(world: World) -> None:
    world.session.cookies.set("theirs", "1", domain="other.test")
    world.session.cookies.set("ours", "canary", domain="api.animus.test")
    world.api.reply = lambda request: Answer(302, {"Location": "https://other.test/1"})
    world.session.get("/a")
    assert [request.header("Cookie") for request in world.elsewhere] == ["theirs=1"]


def test_a_cookie_set_on_the_way_goes_nowhere_else(world: World) -> None:
    world.api.reply = lambda request: Answer(302, {"Location": "https://other.test/1", "Set-Cookie": "sid=canary"})
    world.session.get("/a")
    _assert_nothing_told(world.elsewhere)
    assert list(world.session.cookies) == []


def test_another_scheme_of_this_host_is_elsewhere(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(f"https://127.0.0.1:{server.port}/v3", fixed())
    session.get(f"{server.url}/a")
    assert server.requests[0].header("Authorization") is None


@pytest.mark.parametrize("base", ["127.0.0.1", "localhost"])
def test_another_name_of_this_machine_is_elsewhere(serve: Serve, session_for: SessionFor, base: str) -> None:
    server = serve()
    other = "localhost" if base == "127.0.0.1" else "127.0.0.1"
    session = session_for(f"http://{base}:{server.port}/v3", fixed())
    server.reply = lambda request: Answer(302, {"Location": f"http://{other}:{server.port}/b"}) if request.path == "/v3/a" else Answer()
    session.get("/a")
    assert [request.header("Authorization") for request in server.requests] == [f"Bearer {CANARY}", None]


# ---- the origin check itself -----------------------------------------------------------------------------

BEARER = BearerAuth(fixed(), frozenset({origin_of(API)}))


@pytest.mark.parametrize(
    "url",
    [
        "https://api.animus.test/v3/a",
        "https://api.animus.test:443/v3/a",
        "https://API.animus.TEST/v3/a",
        "https://api.animus.test./v3/a",
        "https://api.animus.test",
        "https://api.animus.test?x",
        "https://u:p@api.animus.test/x",
    ],
)
def test_the_apis_own_urls(url: str) -> None:
    assert BEARER.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.animus.test/v3",
        "https://api.animus.test:8443/v3",
        "https://evil.api.animus.test/v3",
        "https://api.animus.test.evil.test/v3",
        "https://api.animus.test@other.test/v3",
        "https://api.animus.test:443@other.test/v3",
        "https://other.test/https://api.animus.test/v3",
        "https://other.test#https://api.animus.test/",
        "https://other.test?https://api.animus.test/",
        "https://other.test\\@api.animus.test/",
        "https://other.test\\.api.animus.test/",
        "https:api.animus.test/v3",
        "//api.animus.test/v3",
        "ftp://api.animus.test/v3",
        "https://api.animus.test:bad/",
        "https://[api.animus.test]/",
        "",
        None,
    ],
)
def test_urls_that_only_look_so(url: str | None) -> None:
    assert not BEARER.allows(url)


_NAMES = ["https://", "http://", "HTTPS://", "api.animus.test", "other.test", "::1", "443", "u:p"]
_MARKS = ["@", ":", "/", "\\", "?", "#", ".", "[", "]", ";", "&", "=", "%", "%40", "%2F", "%5C"]
_ODD = [" ", "\t", "\n", "\x00", "ü", "\uff0f", "\u2024"]
_PIECES = st.sampled_from(_NAMES + _MARKS + _ODD)


@given(st.lists(_PIECES, max_size=9).map("".join))
@example("https://api.animus.test\\@other.test/")
@example("https://other.test\\@api.animus.test/")
@example("https://api.animus.test%5C@other.test/")
@example("https://other.test\t@api.animus.test/")
def test_what_is_allowed_also_connects_to_the_api(url: str) -> None:
    """requests connects to where the standard library's parser finds the host: both parsers must say it is the API's."""
    for seen in (url, requests.utils.requote_uri(url) if "[" not in url else url):
        if BEARER.allows(seen):
            parts = urlsplit(seen)
            assert (parts.scheme, (parts.hostname or "").rstrip("."), parts.port or 443) == ("https", "api.animus.test", 443)


# ---- netrc -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["NETRC", "HOME"])
def test_netrc_never_replaces_the_bearer(
    serve: Serve, session_for: SessionFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    path = tmp_path / (".netrc" if place == "HOME" else "netrc-file")
    path.write_text("machine 127.0.0.1 login user password basic-secret\n")
    path.chmod(0o600)
    monkeypatch.setenv(place, str(path if place == "NETRC" else tmp_path))
    server, foreign = serve(), serve()
    with requests.Session() as plain:
        plain.get(server.url)
        assert server.requests[0].header("Authorization") == "Basic dXNlcjpiYXNpYy1zZWNyZXQ="
    server.forget()
    server.reply = (
        lambda request: Answer(302, {"Location": f"{foreign.url}/c" if request.path == "/b" else "/b"})
        if request.path in ("/v3/a", "/b")
        else Answer()
    )
    session = session_for(server, fixed())
    session.get("/a")
    session.send(session.prepare_request(requests.Request("GET", "/d")))
    call_api(session, "POST", "/e", body=b"{}")
    session.get(f"{foreign.url}/f")
    assert {request.header("Authorization") for request in server.requests} == {f"Bearer {CANARY}"}
    assert {request.header("Authorization") for request in foreign.requests} == {None}


# ---- cookies ---------------------------------------------------------------------------------------------


def test_an_identity_does_not_see_anothers_cookies(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server, fixed())
    session.cookies.set("sid", "1")
    session.headers["X-A"] = "1"
    other = session.sharing(fixed("other-token"), session.emitter)
    other.cookies.set("theirs", "2")
    other.headers["X-A"] = "2"
    session.get("/a")
    other.get("/b")
    assert [request.header("Cookie") for request in server.requests] == ["sid=1", "theirs=2"]
    assert [request.header("X-A") for request in server.requests] == ["1", "2"]
    assert [request.header("Authorization") for request in server.requests] == [f"Bearer {CANARY}", "Bearer other-token"]
    assert server.connections == 1
    other.close()
    assert session.get("/c").ok
    assert server.connections == 1


def test_provider_and_api_do_not_share_cookies(serve: Serve, session_for: SessionFor) -> None:
    from animus.refresh.manager import TokenManager
    from animus.sources.url import UrlTokenSource
    from tests.tokens.minting import mint

    def provider_reply(request: Received) -> Answer:
        body = json.dumps({"accessToken": mint(time.time() + 3600)}).encode()
        return Answer(headers={"Set-Cookie": "provider=secret", "Content-Type": "application/json"}, body=body)

    provider = serve(provider_reply)
    api = serve(lambda request: Answer(401 if len(api.requests) == 1 else 200, {"Set-Cookie": "api=1"}))
    session = session_for(api, TokenManager(UrlTokenSource(provider.url)))
    assert session.get("/a").status_code == 200
    assert [request.header("Cookie") for request in (*api.requests, *provider.requests)] == [None] * 4
