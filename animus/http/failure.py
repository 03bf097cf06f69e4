"""Sorting what can go wrong below HTTP: did the request leave, and which limit fired."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import requests
from requests import exceptions as from_requests
from urllib3 import exceptions as from_urllib3

from animus._secret import bare_url, scrub
from animus.errors import AnimusError, ApiConnectionError, ApiTimeoutError, ConfigurationError

Kind = Literal["never_connected", "unanswered", "tls", "invalid"]


class LimitExceeded(from_requests.Timeout):
    """A limit of ours fired. A :class:`requests.Timeout`, so that ``client.session`` raises what requests raises.

    Attributes:
        limit: ``deadline`` or ``first_event``.
        sent: False if the request certainly had not left by then.
    """

    limit = "deadline"
    sent = True


class Failure(NamedTuple):
    """What happened.

    Attributes:
        kind: ``never_connected`` (the request certainly never left), ``unanswered`` (it left, or may have), ``tls``
            (the other side could not be trusted; nothing was sent), ``invalid`` (the request itself is not possible).
        limit: The time limit that fired: ``connect``, ``read``, ``first_event`` or ``deadline``; None if it was none.
        text: One line, without URLs' secrets.
    """

    kind: Kind
    limit: str | None
    text: str


_INVALID = (
    from_requests.InvalidURL,
    from_requests.MissingSchema,
    from_requests.InvalidSchema,
    from_requests.InvalidHeader,
    from_requests.InvalidJSONError,
    from_requests.UnrewindableBodyError,
    from_requests.TooManyRedirects,
)
_BROKEN_BODY = (from_requests.ChunkedEncodingError, from_requests.ContentDecodingError, from_requests.StreamConsumedError)
_BY_CLASS: tuple[tuple[Any, Kind, str | None], ...] = (
    (_INVALID, "invalid", None),
    (from_requests.SSLError, "tls", None),
    (from_requests.ProxyError, "never_connected", None),
    (from_requests.ConnectTimeout, "never_connected", "connect"),
    (from_requests.ReadTimeout, "unanswered", "read"),
    (_BROKEN_BODY, "unanswered", None),
)


def sort_failure(error: BaseException) -> Failure:
    """Give what an exception of requests or urllib3 means."""
    text = _text_of(error)
    if isinstance(error, LimitExceeded):
        return Failure("unanswered" if error.sent else "never_connected", error.limit, text)
    for classes, kind, limit in _BY_CLASS:
        if isinstance(error, classes):
            return Failure(kind, limit, text)
    inner = _inner(error)
    if isinstance(inner, from_urllib3.ConnectTimeoutError):  # NewConnectionError is one in urllib3 2.0 to 2.2 only
        timed_out = not isinstance(inner, from_urllib3.NewConnectionError)
        return Failure("never_connected", "connect" if timed_out else None, text)
    if isinstance(inner, (from_urllib3.NewConnectionError, from_urllib3.ProxyError)):
        return Failure("never_connected", None, text)
    if isinstance(inner, from_urllib3.ReadTimeoutError):  # requests calls one inside a body ConnectionError (psf/requests#5430)
        return Failure("unanswered", "read", text)
    if isinstance(inner, from_urllib3.SSLError):
        return Failure("tls", None, text)
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return Failure("tls" if "TLS" in text else "unanswered", None, text)  # requests: a CA bundle, certificate or key is not there
    return Failure("unanswered", None, text)


def _inner(error: BaseException) -> Any:
    """Give the exception of urllib3 that requests wrapped."""
    inner: Any = error
    for _ in range(8):  # a chain of causes may be a ring
        if isinstance(inner, from_urllib3.MaxRetryError) and inner.reason is not None:
            inner = inner.reason
        elif isinstance(inner, requests.RequestException) and inner.args and isinstance(inner.args[0], BaseException):
            inner = inner.args[0]
        else:
            break
    return inner


def _text_of(error: BaseException) -> str:
    inner = _inner(error)
    if isinstance(inner, from_urllib3.ProtocolError) and len(inner.args) > 1 and isinstance(inner.args[1], BaseException):
        inner = inner.args[1]
    cause = getattr(inner, "__cause__", None) if isinstance(inner, from_urllib3.NewConnectionError) else None
    text = str(cause or inner) or type(inner).__name__
    return scrub(" ".join(text.split()))[:300]


def conceal(error: BaseException) -> None:
    """Take the Authorization out of the requests that an exception of requests holds, and those it wraps."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        request = getattr(current, "request", None)
        if request is not None:
            current.request = without_authorization(request)  # type: ignore[attr-defined]
        response = getattr(current, "response", None)
        for answer in (*response.history, response) if response is not None else ():
            answer.request = without_authorization(answer.request)
        inner = current.args[0] if current.args else None
        current = inner if isinstance(inner, BaseException) else current.__cause__


def without_authorization(request: Any) -> Any:
    """Give a request without its Authorization: itself if it has none, else a copy."""
    if "Authorization" not in (getattr(request, "headers", None) or ()):
        return request
    bare = request.copy()
    del bare.headers["Authorization"]
    return bare


_HINTS = {
    "never_connected": "Check the host in api_base_url, the network and any proxy",
    "tls": "The server's certificate was not accepted: check the host name, the CA bundle (session.verify) and any proxy in between",
    "invalid": "Check the URL and the arguments of the request",
}


def connection_error(error: BaseException, *, url: str, attempts: int | None = None) -> AnimusError:
    """Give the package's error for an exception of requests; the caller chains it with ``from``."""
    failure = sort_failure(error)
    where = bare_url(url)
    conceal(error)
    if failure.kind == "invalid":
        if isinstance(error, from_requests.TooManyRedirects):
            return ApiConnectionError(f"{where} redirects without end", sent=True, attempts=attempts, hint="Check api_base_url")
        return ConfigurationError(f"the request to {where} is not possible: {failure.text}", hint=_HINTS["invalid"], attempts=attempts)
    sent = failure.kind == "unanswered"
    if failure.limit is not None:
        return ApiTimeoutError(
            f"no complete answer from {where} in time", limit=failure.limit, sent=sent, attempts=attempts, hint=limit_hint(failure.limit)
        )
    said = "broke off" if sent else "could not be reached" if failure.kind == "never_connected" else "could not be trusted"
    return ApiConnectionError(f"{where} {said}: {failure.text}", sent=sent, attempts=attempts, hint=_HINTS.get(failure.kind))


def limit_hint(limit: str) -> str:
    """Say which setting a fired limit belongs to."""
    return f"Raise Timeouts({limit}=…) if the wait is expected" + ("; long answers are better streamed" if limit == "read" else "")
