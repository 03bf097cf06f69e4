"""Sorting failures: did the request leave, and which limit fired."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
import requests
from requests import exceptions as r
from urllib3 import exceptions as u
from urllib3.connection import HTTPConnection

from animus.errors import ApiConnectionError, ApiTimeoutError, ConfigurationError
from animus.http.failure import LimitExceeded, conceal, connection_error, limit_hint, sort_failure, without_authorization
from animus.http.timeouts import Timeouts

CONNECTION = HTTPConnection("api.example.test")
POOL: Any = None


def _limit(limit: str, sent: bool = True) -> LimitExceeded:
    error = LimitExceeded("time is up")
    error.limit, error.sent = limit, sent
    return error


def _retries(reason: Exception) -> u.MaxRetryError:
    return u.MaxRetryError(POOL, "/v3?key=secret", reason)


SORTED: list[tuple[Exception, str, str | None]] = [
    (_limit("deadline"), "unanswered", "deadline"),
    (_limit("deadline", sent=False), "never_connected", "deadline"),
    (_limit("first_event"), "unanswered", "first_event"),
    (r.InvalidURL("x"), "invalid", None),
    (r.MissingSchema("x"), "invalid", None),
    (r.InvalidSchema("x"), "invalid", None),
    (r.InvalidHeader("x"), "invalid", None),
    (r.InvalidJSONError("x"), "invalid", None),
    (r.InvalidProxyURL("x"), "invalid", None),
    (r.UnrewindableBodyError("x"), "invalid", None),
    (r.TooManyRedirects("x"), "invalid", None),
    (r.SSLError(_retries(u.SSLError("certificate verify failed"))), "tls", None),
    (r.ProxyError(_retries(u.ProxyError("no", OSError("x")))), "never_connected", None),
    (r.ConnectTimeout(_retries(u.ConnectTimeoutError(CONNECTION, "slow"))), "never_connected", "connect"),
    (r.ReadTimeout(u.ReadTimeoutError(POOL, "/", "slow")), "unanswered", "read"),
    (r.ChunkedEncodingError(u.ProtocolError("broken")), "unanswered", None),
    (r.ContentDecodingError(u.DecodeError("no gzip")), "unanswered", None),
    (r.ConnectionError(_retries(u.NewConnectionError(CONNECTION, "refused"))), "never_connected", None),
    (r.ConnectionError(_retries(u.NameResolutionError("x", CONNECTION, socket.gaierror()))), "never_connected", None),
    (r.ConnectionError(u.ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))), "unanswered", None),
    (r.ConnectionError(u.ReadTimeoutError(POOL, "/", "slow")), "unanswered", "read"),  # psf/requests#5430
    (r.ConnectionError(u.SSLError("in a body")), "tls", None),
    (r.ConnectionError("just text"), "unanswered", None),
    (r.RetryError(_retries(u.ResponseError("too many 500"))), "unanswered", None),
    (u.ReadTimeoutError(POOL, "/", "slow"), "unanswered", "read"),
    (u.ProtocolError("broken"), "unanswered", None),
    (u.IncompleteRead(1, 2), "unanswered", None),
    (OSError("Could not find a suitable TLS CA certificate bundle, invalid path: x"), "tls", None),
    (OSError("Could not find the TLS key file, invalid path: x"), "tls", None),
    (ConnectionResetError(104, "reset"), "unanswered", None),
]


@pytest.mark.parametrize(("error", "kind", "limit"), SORTED, ids=lambda value: repr(value)[:50])
def test_failures_are_sorted(error: Exception, kind: str, limit: str | None) -> None:
    failure = sort_failure(error)
    assert (failure.kind, failure.limit) == (kind, limit)
    assert failure.text
    assert "\n" not in failure.text
    assert "secret" not in failure.text


def test_rings_of_causes_end() -> None:
    one, two = r.ConnectionError("one"), r.ConnectionError("two")
    one.__cause__, two.__cause__ = two, one
    assert sort_failure(one).kind == "unanswered"
    conceal(one)


def test_the_text_tells_the_reason() -> None:
    reset = r.ConnectionError(u.ProtocolError("Connection aborted.", ConnectionResetError(104, "Connection reset by peer")))
    assert "Connection reset by peer" in sort_failure(reset).text


@pytest.mark.parametrize(("error", "kind", "limit"), SORTED, ids=lambda value: repr(value)[:50])
def test_every_failure_has_an_error_of_ours(error: Exception, kind: str, limit: str | None) -> None:
    ours = connection_error(error, url="https://user:secret@api.example.test/v3/chat?key=secret", attempts=2)
    assert "secret" not in str(ours)
    assert "api.example.test/v3/chat" in str(ours)
    assert ours.attempts == 2
    if isinstance(error, r.TooManyRedirects):
        assert isinstance(ours, ApiConnectionError)
    elif kind == "invalid":
        assert isinstance(ours, ConfigurationError)
    else:
        assert isinstance(ours, ApiTimeoutError if limit else ApiConnectionError)
        assert getattr(ours, "limit", None) == limit
        assert ours.sent == (kind == "unanswered")  # type: ignore[attr-defined]
        assert ours.hint or kind == "unanswered"


@pytest.mark.parametrize("limit", [name for name in Timeouts.__dataclass_fields__])
def test_hints_name_a_setting_that_exists(limit: str) -> None:
    assert f"Timeouts({limit}=" in limit_hint(limit)


def _prepared(url: str = "https://api.example.test/") -> requests.PreparedRequest:
    return requests.Request("POST", url, headers={"Authorization": "Bearer canary", "X-A": "1"}, data=b"body").prepare()


def _answered() -> requests.Response:
    response = requests.Response()
    response.request = _prepared()
    earlier = requests.Response()
    earlier.request = _prepared()
    response.history = [earlier]
    return response


CONCEALED: dict[str, Callable[[], Exception]] = {
    "request": lambda: r.ConnectionError(u.ProtocolError("x"), request=_prepared()),
    "wrapped": lambda: r.ConnectionError(r.ReadTimeout("x", request=_prepared())),
    "cause": lambda: _caused(r.ReadTimeout("x", request=_prepared())),
    "response": lambda: r.TooManyRedirects("x", response=_answered()),
}


def _caused(cause: Exception) -> Exception:
    error = LimitExceeded("time is up")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("make", CONCEALED.values(), ids=CONCEALED.keys())
def test_the_authorization_is_taken_out(make: Callable[[], Exception]) -> None:
    error = make()
    conceal(error)
    current: Any = error
    while current is not None:
        found = [getattr(current, "request", None)]
        response = getattr(current, "response", None)
        if response is not None:
            found += [response.request, *(earlier.request for earlier in response.history)]
        for request in found:
            assert request is None or "Authorization" not in request.headers
            assert request is None or request.headers["X-A"] == "1"
        current = current.args[0] if current.args and isinstance(current.args[0], Exception) else current.__cause__


def test_the_callers_own_request_keeps_its_headers() -> None:
    request = _prepared()
    conceal(r.ConnectionError("x", request=request))
    assert request.headers["Authorization"] == "Bearer canary"
    bare = without_authorization(request)
    assert without_authorization(bare) is bare
    assert bare.body == b"body"
    assert without_authorization(None) is None
