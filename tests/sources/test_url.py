"""Asking a back end's token route."""

from __future__ import annotations

import base64
import copy
import gzip
import logging
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.protocol import TokenRequest, TokenSource
from animus.sources.url import UrlTokenSource
from animus.testing import ManualClock
from tests.servers import unused_port
from tests.sources.provider import Answer, Provider
from tests.tokens.minting import SIGNATURE, mint

FAR = 4102444800
SECRET = "canary-that-must-not-sing"
made: list[UrlTokenSource] = []


def source_of(url: str, **settings: Any) -> UrlTokenSource:
    source = UrlTokenSource(url, **settings)
    made.append(source)
    return source


@pytest.fixture(autouse=True)
def _close_sources() -> Iterator[None]:
    yield
    while made:
        made.pop().close()


def failure_of(source: UrlTokenSource, request: TokenRequest | None = None) -> TokenSourceError:
    with pytest.raises(TokenSourceError) as caught:
        source.fetch(request or TokenRequest())
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__context__) + repr(source)
    assert SECRET not in shown
    assert SIGNATURE not in shown
    return error


# ---- what is sent --------------------------------------------------------------------------------------


def test_a_bare_post_that_accepts_json(provider: Provider) -> None:
    token = source_of(provider.url).fetch(TokenRequest())
    assert token.expires_at == FAR
    [asked] = provider.requests
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/token", b"")
    assert asked.headers["Accept"] == "application/json"
    assert "Authorization" not in asked.headers
    assert "Content-Type" not in asked.headers


def test_method_headers_cookies_auth_and_body_go_with_it(provider: Provider) -> None:
    headers = MappingProxyType({"X-User": "u1", "accept": "application/jwt", "X-None": None, "X-Fresh": lambda: "f1"})
    source = source_of(provider.url, method="put", headers=headers, cookies={"sid": "c1"}, auth=("user", "pass"), json={"a": 1})
    source.fetch(TokenRequest())
    [asked] = provider.requests
    assert asked.method == "PUT"
    assert asked.headers["X-User"] == "u1"
    assert asked.headers["X-Fresh"] == "f1"
    assert asked.headers["accept"] == "application/jwt"
    assert "X-None" not in asked.headers
    assert asked.headers["Cookie"] == "sid=c1"
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"user:pass").decode()
    assert asked.body == b'{"a": 1}'


def test_functions_are_asked_for_each_fetch(provider: Provider) -> None:
    counter = iter(range(100))

    def number() -> str:
        return str(next(counter))

    source = source_of(
        provider.url,
        headers=lambda: {"X-N": number()},
        cookies=lambda: {"n": number()},
        auth=lambda: ("u", number()),
        data=lambda: {"n": number()},
    )
    source.fetch(TokenRequest())
    source.fetch(TokenRequest())
    first, second = provider.requests
    assert {first.headers["X-N"], second.headers["X-N"]} < {str(n) for n in range(8)}
    for name in ("X-N", "Cookie", "Authorization"):
        assert first.headers[name] != second.headers[name]
    assert first.body != second.body


def test_an_auth_object_of_requests_is_used_as_it_is(provider: Provider) -> None:
    class Stamp(AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["X-Stamp"] = "stamped"
            return request

    source_of(provider.url, auth=Stamp()).fetch(TokenRequest())
    source_of(provider.url, auth=lambda: HTTPBasicAuth("u", "p")).fetch(TokenRequest())
    assert provider.requests[0].headers["X-Stamp"] == "stamped"
    assert provider.requests[1].headers["Authorization"].startswith("Basic ")


def test_the_user_in_the_url_is_sent_as_basic_auth_and_shown_nowhere(provider: Provider) -> None:
    source = source_of(provider.url.replace("http://", f"http://me%40home:{SECRET}@"))
    provider.script[:0] = [Answer("", status=401)]
    failure_of(source)
    source.fetch(TokenRequest())
    assert provider.requests[1].headers["Authorization"] == "Basic " + base64.b64encode(f"me@home:{SECRET}".encode()).decode()
    assert source.name == provider.url


def test_netrc_is_not_asked(provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    source_of(provider.url).fetch(TokenRequest())
    assert "Authorization" not in provider.requests[0].headers


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    source_of(provider.url).fetch(TokenRequest())
    source_of(provider.url.replace("127.0.0.1", "localhost")).fetch(TokenRequest())
    assert len(provider.requests) == 2


def test_cookies_of_the_route_are_not_kept(provider: Provider) -> None:
    provider.script[:0] = [Answer({"accessToken": mint(FAR)}, headers={"Set-Cookie": "sid=1; Path=/"})]
    source = source_of(provider.url)
    source.fetch(TokenRequest())
    source.fetch(TokenRequest())
    assert "Cookie" not in provider.requests[1].headers


def test_the_query_is_sent_whole(provider: Provider) -> None:
    source_of(f"{provider.url}?key={SECRET}&a=b%20c").fetch(TokenRequest())
    assert provider.requests[0].path == f"/api/token?key={SECRET}&a=b%20c"


# ---- what comes back -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(provider: Provider, status: int) -> None:
    provider.script = [Answer("", status=status, headers={"Location": provider.url.replace("/api/token", "/elsewhere")})]
    error = failure_of(source_of(provider.url, headers={"Authorization": SECRET}))
    assert (error.reason, error.status) == ("redirect_to_login", status)
    assert len(provider.requests) == 1


def test_a_refusal_keeps_status_and_hint_and_nothing_of_the_body(provider: Provider) -> None:
    provider.script = [Answer({"error": f"bad {SECRET} {mint(1)}"}, status=401)]
    error = failure_of(source_of(provider.url))
    assert (error.reason, error.status, error.source) == ("unauthorized", 401, provider.url)
    assert "did not accept its own user" in str(error)


def test_retry_after_is_kept(provider: Provider) -> None:
    provider.script = [Answer("", status=429, headers={"Retry-After": "7"})]
    assert failure_of(source_of(provider.url)).retry_after == 7


def test_a_large_answer_is_not_read(provider: Provider) -> None:
    provider.script = [Answer({"accessToken": mint(FAR), "padding": "x" * (2 << 20)})]
    assert failure_of(source_of(provider.url)).reason == "too_large"


def test_a_bomb_is_not_unpacked(provider: Provider) -> None:
    provider.script = [Answer(gzip.compress(b" " * (64 << 20)), headers={"Content-Encoding": "gzip"})]
    assert failure_of(source_of(provider.url)).reason == "too_large"


def test_an_endless_token_is_called_a_bad_token(provider: Provider) -> None:
    for body in ({"accessToken": mint(FAR, sub="x" * (2 << 20))}, {"animus": {"token": "ey" + "x" * (2 << 20)}}, b"ey" + b"x" * (2 << 20)):
        provider.script = [Answer(body)]
        assert failure_of(source_of(provider.url)).reason == "bad_jwt"


def test_our_clock_and_the_providers_date(provider: Provider) -> None:
    provider.script = [Answer({"accessToken": mint(1795600900)}, headers={"Date": "Wed, 25 Nov 2026 09:46:40 GMT"})]
    token = source_of(provider.url, clock=ManualClock(1480240000)).fetch(TokenRequest())
    assert token.usable_until == 1480240900
    assert token.issued_at == 1480240000


# ---- no answer -----------------------------------------------------------------------------------------


def test_nobody_listens() -> None:
    error = failure_of(source_of(f"http://127.0.0.1:{unused_port()}/token?key={SECRET}", headers={"apikey": SECRET}))
    assert error.reason == "unreachable"
    assert error.__cause__ is not None


def test_the_connection_breaks_off(provider: Provider) -> None:
    def fail() -> None:
        raise ConnectionResetError

    provider.script = [Answer("", before=fail)]
    assert failure_of(source_of(provider.url + f"?k={SECRET}")).reason == "unreachable"


def test_a_provider_that_drips_is_left_when_the_time_is_up() -> None:
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not stop.wait(0.02):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        error = failure_of(source_of(f"http://127.0.0.1:{listener.getsockname()[1]}/?k={SECRET}", timeout=0.2))
        stop.set()
        thread.join()
    assert error.reason == "timeout"


def test_the_flights_end_is_kept() -> None:
    clock = ManualClock()
    error = failure_of(source_of(f"http://127.0.0.1:{unused_port()}/", clock=clock), TokenRequest(deadline=clock.monotonic(), clock=clock))
    assert error.reason == "timeout"


def test_a_certificate_that_is_not_trusted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def no_tls() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=no_tls)
        thread.start()
        error = failure_of(source_of(f"https://127.0.0.1:{listener.getsockname()[1]}/"))
        thread.join()
    assert error.reason == "tls"
    assert isinstance(error.__cause__, Exception)


def test_a_function_that_raises_is_a_failure_with_a_cause(provider: Provider) -> None:
    def broken() -> dict[str, str]:
        raise KeyError("session")

    for settings in ({"headers": broken}, {"headers": {"X": broken}}, {"cookies": broken}, {"auth": broken}, {"json": broken}):
        error = failure_of(source_of(provider.url, **settings))
        assert error.reason == "failed"
        assert isinstance(error.__cause__, KeyError)
    assert provider.requests == []


@pytest.mark.parametrize("value", [f"{SECRET}\n", f"{SECRET}\r\nX: y", f" {SECRET}", f"{SECRET}\0", 7, b"x", ["x"]])
def test_a_header_that_cannot_be_sent_is_refused_unseen(provider: Provider, value: Any) -> None:
    assert failure_of(source_of(provider.url, headers=lambda: {"X-Key": value})).reason == "failed"
    with pytest.raises(ConfigurationError) as caught:
        UrlTokenSource(provider.url, headers={"X-Key": value})
    assert SECRET not in str(caught.value)
    assert provider.requests == []


def test_a_body_that_cannot_be_json_is_a_failure(provider: Provider) -> None:
    assert failure_of(source_of(provider.url, json={"x": object()})).reason == "failed"


# ---- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "http://back.end/token"}, {"url": "ftp://back.end"}, {"url": ""}, {"url": None}, {"url": "https://back.end/a b"},
        {"method": "PO ST"}, {"method": ""}, {"timeout": 0}, {"timeout": float("inf")}, {"timeout": 1e10},
        {"json": {}, "data": {}}, {"headers": ["a"]}, {"headers": {"a b": "c"}},
        {"headers": {1: "c"}}, {"background": "no"},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        UrlTokenSource(**{"url": "https://back.end/token", **settings})


def test_http_elsewhere_must_be_allowed() -> None:
    assert isinstance(source_of("http://back.end/token", allow_insecure_http=True), TokenSource)


def test_a_mapping_changed_later_changes_nothing(provider: Provider) -> None:
    headers: dict[str, Any] = {"X-User": "u1"}
    source = source_of(provider.url, headers=headers)
    headers["X-User"] = "u2"
    source.fetch(TokenRequest())
    assert provider.requests[0].headers["X-User"] == "u1"


def test_the_fingerprint_tells_sources_apart_and_shows_nothing() -> None:
    url = "https://back.end/token"
    different = [
        source_of(url), source_of(url, method="GET"), source_of(f"{url}?tenant={SECRET}"), source_of(f"{url}?tenant=b"),
        source_of(f"{url}/"),
        source_of(url, headers={"X": SECRET}), source_of(url, headers={"X": "b"}), source_of(url, cookies={"X": "b"}), source_of(url,
        auth=("a", SECRET)),
        source_of(url, auth=("a", "c")), source_of(url, json={"a": 1}), source_of(url, data={"a": 1}), source_of(url, data=b"a"),
    ]  # fmt: skip
    fingerprints = [source.fingerprint for source in different]
    assert len(set(fingerprints)) == len(fingerprints)
    assert SECRET not in "".join(fingerprints)
    assert source_of(f" {url} ").fingerprint == fingerprints[0]
    assert [source.contains_callables for source in different] == [False] * len(different)
    assert source_of(url, headers={"X": str}).contains_callables
    assert source_of(url, auth=HTTPBasicAuth("a", "b")).contains_callables


# ---- travelling ----------------------------------------------------------------------------------------


def some_headers() -> dict[str, str]:
    return {"Authorization": "from a function"}


def test_settings_are_pickled_and_sockets_are_not(provider: Provider) -> None:
    source = source_of(provider.url, headers=some_headers, timeout=3.0, method="GET")
    source.fetch(TokenRequest())
    twin = pickle.loads(pickle.dumps(source))
    made.append(twin)
    assert (twin.fingerprint, twin.timeout, repr(twin)) == (source.fingerprint, 3.0, repr(source))
    twin.fetch(TokenRequest())
    assert provider.requests[1].headers["Authorization"] == "from a function"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"headers": {"Authorization": SECRET}}, "headers['Authorization']"),
        ({"headers": {"X-Anything": SECRET}}, "headers['X-Anything']"),
        ({"cookies": {"sid": SECRET}}, "cookies"),
        ({"auth": ("user", SECRET)}, "auth"),
        ({"json": {"password": SECRET}}, "json"),
        ({"data": SECRET}, "data"),
        ({"url": f"https://back.end/token?key={SECRET}"}, "query"),
        ({"url": f"https://user:{SECRET}@back.end/token"}, "user"),
    ],
)
def test_a_literal_secret_is_not_pickled_and_the_error_says_what_to_do(settings: dict[str, Any], named: str) -> None:
    source = source_of(**{"url": "https://back.end/token", **settings})
    with pytest.raises(TypeError, match="as a function") as caught:
        pickle.dumps(source)
    assert named in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(source)
    assert copy.deepcopy(source) is source
    assert copy.copy(source) is source


def test_harmless_literals_are_pickled() -> None:
    made.append(pickle.loads(pickle.dumps(source_of("https://back.end/token", headers={"User-Agent": "shop/1", "Authorization": print}))))


def test_a_function_that_pickle_cannot_find_is_pickles_own_error() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(source_of("https://back.end/token", headers=lambda: {"X": "y"}))


# ---- logs ----------------------------------------------------------------------------------------------


def test_no_log_of_any_library_shows_query_user_or_token(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = provider.url.replace("http://", f"http://user:{SECRET}@") + f"?key={mint(1)}&other={SECRET}"
    source = source_of(url, headers={"apikey": SECRET})
    source.fetch(TokenRequest())
    provider.script = [Answer(mint(1), status=500)]
    failure_of(source)
    failure_of(source_of(f"http://127.0.0.1:{unused_port()}/token?key={SECRET}"))
    assert "/api/token" in caplog.text
    assert SECRET not in caplog.text
    assert SIGNATURE not in caplog.text
    assert provider.requests[0].path.endswith(SECRET)
