"""Which pages may ask, and what browsers are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.errors import ConfigurationError
from animus.server.cors import CrossOrigin

APP = "https://app.example.com"
LISTED = CrossOrigin([APP, "http://localhost:5173"])


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        (APP, APP),
        ("HTTPS://App.Example.COM", APP),
        ("https://app.example.com:443", APP),
        ("http://app.example.com:8080", "http://app.example.com:8080"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_origins_are_kept_as_browsers_write_them(text: str, origin: str) -> None:
    assert CrossOrigin(text).origins == {origin}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app.example.com",
        "null",
        f"{APP}/",
        f"{APP}/chat",
        f"{APP}?x",
        f"{APP}#",
        "https://user@app.example.com",
        "https://*.example.com",
        "ftp://app.example.com",
        "https://",
        None,
        5,
    ],
)
def test_what_is_no_origin_is_refused(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="origins must be"):
        CrossOrigin([text])


def test_a_slash_too_much_is_told() -> None:
    with pytest.raises(ConfigurationError, match=f"Did you mean '{APP}'"):
        CrossOrigin([f"{APP}/"])


@pytest.mark.parametrize("origins", ["*", ["*"], [APP, "*"]])
def test_all_origins_together_with_credentials_are_refused_at_start(origins: Any) -> None:
    with pytest.raises(ConfigurationError, match="every web page in the world"):
        CrossOrigin(origins)


def test_all_origins_without_credentials_are_a_choice() -> None:
    every = CrossOrigin("*", credentials=False)
    assert every.admits({"Origin": "https://anywhere.example"})
    assert every.headers({"Origin": "https://anywhere.example"})[0] == ("Access-Control-Allow-Origin", "*")
    assert "Access-Control-Allow-Credentials" not in dict(every.headers({"Origin": "https://anywhere.example"}, preflight=True))


@pytest.mark.parametrize("names", [["X-A", "bad header"], ["*"], ["X-A\r\nX-B: c"], "X-A", [None]])
def test_names_of_headers_are_checked(names: Any) -> None:
    with pytest.raises(ConfigurationError, match="allow_headers"):
        CrossOrigin([APP], allow_headers=names)


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({}, True),  # no page: a script, the SDK, another server
        ({"Origin": APP}, True),
        ({"origin": "http://localhost:5173"}, True),
        ({"Origin": f"{APP}:443"}, False),  # no browser writes it so
        ({"Origin": "https://APP.example.com"}, False),
        ({"Origin": f"{APP}.evil.example"}, False),
        ({"Origin": "https://evilapp.example.com"}, False),
        ({"Origin": "http://app.example.com"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "*"}, False),
        ({"Origin": f"{APP}, https://evil.example"}, False),
        ({"Origin": f"{APP}\n"}, False),
        # the endpoint's own origin
        ({"Origin": "https://api.example.com", "Host": "api.example.com"}, True),
        ({"Origin": "https://api.example.com", "Host": "api.example.com:443"}, True),
        ({"Origin": "http://127.0.0.1:5000", "Host": "127.0.0.1:5000"}, True),
        ({"Origin": "http://[::1]:5000", "Host": "[::1]:5000"}, True),
        ({"Origin": "https://api.example.com", "Host": "api.example.com:8443"}, False),
        ({"Origin": "https://evil.example", "Host": "api.example.com"}, False),
        ({"Origin": "https://evil.example", "Host": "evil.example@api.example.com"}, False),
        ({"Origin": "https://evil.example", "Host": "api.example.com", "X-Forwarded-Host": "evil.example"}, False),
        ({"Origin": "https://evil.example", "Host": "evil.example/api.example.com"}, False),
        ({"Origin": "null", "Host": "null"}, False),
        # what browsers add by themselves
        ({"Origin": "https://shown.example", "Host": "internal:8000", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": APP, "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_who_is_admitted(headers: dict[str, str], admitted: bool) -> None:
    assert LISTED.admits(headers) is admitted


def test_a_listed_page_is_named_exactly() -> None:
    assert LISTED.headers({"Origin": APP}) == [
        ("Access-Control-Allow-Origin", APP),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "Retry-After"),
    ]


def test_a_preflight_says_what_may_be_sent() -> None:
    cors = CrossOrigin([APP], allow_headers=["X-Session"])
    headers = dict(cors.headers({"Origin": APP, "Access-Control-Request-Headers": "x-evil"}, preflight=True))
    assert headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert {"Authorization", "X-Session"} <= set(headers["Access-Control-Allow-Headers"].split(", "))
    assert "evil" not in headers["Access-Control-Allow-Headers"]
    assert int(headers["Access-Control-Max-Age"]) > 0


@given(st.text(max_size=60), st.text(max_size=60), st.booleans())
def test_nothing_of_a_request_gets_into_headers(origin: str, host: str, preflight: bool) -> None:
    headers = {"Origin": origin, "Host": host, "Access-Control-Request-Headers": host, "Access-Control-Request-Method": host}
    LISTED.admits(headers)
    given = LISTED.headers(headers, preflight=preflight)
    assert given == [] or origin in LISTED.origins
