"""Origins, and which URLs a secret may be sent to."""

from __future__ import annotations

import pytest
import requests
from hypothesis import given, strategies as st
from urllib3 import PoolManager

from animus import ConfigurationError
from animus._origin import Origin, checked_url, is_loopback, origin_of


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.animusai.co/v3", ("https", "api.animusai.co", 443)),
        ("HTTPS://API.AnimusAI.co:443", ("https", "api.animusai.co", 443)),
        ("http://api.animusai.co", ("http", "api.animusai.co", 80)),
        ("https://api.animusai.co.", ("https", "api.animusai.co", 443)),
        ("https://user:pw@api.animusai.co:8443/x?y#z", ("https", "api.animusai.co", 8443)),
        ("http://[::1]:8080/", ("http", "::1", 8080)),
        ("http://[::1]", ("http", "::1", 80)),
        ("https://api.animusai.co@evil.example/v3", ("https", "evil.example", 443)),
        ("https://evil.example#@api.animusai.co/", ("https", "evil.example", 443)),
        ("https://evil.example?@api.animusai.co/", ("https", "evil.example", 443)),
        ("https://evil.example/@api.animusai.co/", ("https", "evil.example", 443)),
        ("https://api.animusai.co.evil.example/", ("https", "api.animusai.co.evil.example", 443)),
    ],
)
def test_the_origin_of_a_url(url: str, origin: tuple[str, str, int]) -> None:
    assert origin_of(url) == Origin(*origin)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.animusai.co",
        "/v3",
        "//api.animusai.co",
        "ftp://x/",
        "file:///x",
        "https://",
        "https:///x",
        "http://h:99999/",
        "http://h:x/",
    ],
)
def test_what_has_no_origin(url: str) -> None:
    with pytest.raises(ValueError):
        origin_of(url)


def test_an_origin_is_written_without_its_default_port() -> None:
    assert str(Origin("https", "a.example", 443)) == "https://a.example"
    assert str(Origin("http", "a.example", 443)) == "http://a.example:443"
    assert str(Origin("http", "::1", 80)) == "http://[::1]"


_HOSTS = st.sampled_from(["a.example", "A.EXAMPLE", "b.example", "127.0.0.1", "[::1]", "a.example.", "a", ""])
_PIECES = st.sampled_from(
    ["@", ":", "\\", "/", "?", "#", "%40", "%2f", " ", "..", "//", ";", "a.example", "b.example", ":80", ":443", "x:y@"]
)


@given(st.sampled_from(["http", "https", "HTTP"]), st.lists(st.one_of(_HOSTS, _PIECES), max_size=6).map("".join))
def test_the_origin_is_where_requests_goes(scheme: str, rest: str) -> None:
    """The one test that matters: what is compared with the API's origin is what a connection is made to."""
    try:
        prepared = requests.Request("GET", f"{scheme}://{rest}").prepare()
    except (requests.RequestException, UnicodeError):
        return
    assert prepared.url is not None
    try:
        origin = origin_of(prepared.url)
    except ValueError:
        return  # gets no token
    with PoolManager() as manager:
        adapter = requests.adapters.HTTPAdapter()
        host, _ = adapter.build_connection_pool_key_attributes(prepared, True)
        pool = manager.connection_from_host(**host)
    assert (origin.scheme, origin.host) == (pool.scheme, (pool.host or "").strip("[]").rstrip(".").lower())
    assert origin.port == (pool.port or {"http": 80, "https": 443}[origin.scheme])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "app.localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "notlocalhost", "10.0.0.1", "0.0.0.0", "128.0.0.1", "::2", "", "127.1"]
)
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "url", ["https://api.example/v3", " https://api.example ", "http://localhost:8000", "http://127.0.0.1/x", "http://[::1]:1"]
)
def test_urls_a_secret_may_go_to(url: str) -> None:
    assert checked_url("url", url) == url.strip()


def test_clear_text_wants_to_be_allowed() -> None:
    with pytest.raises(ConfigurationError, match=r"api_base_url is http, .*clear text \(http://api.example/v3\).*allow_insecure_http=True"):
        checked_url("api_base_url", "http://user:canary@api.example/v3?key=canary")
    assert checked_url("url", "http://api.example", allow_insecure_http=True) == "http://api.example"


@pytest.mark.parametrize(
    "url", ["", " ", None, 5, "api.example", "ftp://api.example", "https://", "https://a b.example", "https://a.example/x\ny"]
)
def test_what_is_no_url(url: object) -> None:
    with pytest.raises(ConfigurationError, match="the_field must be"):
        checked_url("the_field", url)


def test_errors_do_not_show_what_may_be_secret() -> None:
    for url in ("//user:canary@host/?key=canary", "ftp://host/?key=canary", "https://h:x/?key=canary", "https://host/a b?key=canary"):
        with pytest.raises(ConfigurationError) as caught:
            checked_url("url", url)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("misplaced", ["sk-live-0123456789abcdef", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"])
def test_what_has_no_scheme_is_not_repeated(misplaced: str) -> None:
    """It may be a key that was put in the wrong place."""
    with pytest.raises(ConfigurationError) as raised:
        checked_url("api_base_url", misplaced)
    assert misplaced not in str(raised.value)
    assert misplaced not in (raised.value.hint or "")
