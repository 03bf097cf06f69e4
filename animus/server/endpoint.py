"""The token endpoint without any framework: from the parts of a request to the parts of a response."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypedDict

from animus import _check
from animus._cause import safe_cause
from animus._http_date import header
from animus.errors import AnimusError
from animus.server.cors import METHODS, CrossOrigin
from animus.server.issuer import TokenGrant, TokenIssuer
from animus.server.limit import RateLimit
from animus.server.refusal import NotAllowed, Refused, refusal_for
from animus.server.users import is_nobody, user_id
from animus.server.wire_json import encode

logger: logging.Logger = logging.getLogger(__name__)

DEFAULT_LIMIT = "30/minute"
_LARGEST_BODY = 65536  # bytes; clients send none, and what an application lets them send is small
_COMMON = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Pragma", "no-cache"),
    ("X-Content-Type-Options", "nosniff"),
)
# with this, servers may say what they want, RFC 9110 section 11.6.1 has 401 name a scheme; browsers ask nobody for a bearer
_CHALLENGE = ("WWW-Authenticate", 'Bearer realm="animus-token"')


class EndpointOptions(TypedDict, total=False):
    """What :class:`TokenEndpoint` takes beyond issuer and ``authenticate``; every framework's layer takes it too."""

    authorize: Callable[[Any], bool] | None
    origins: Iterable[str] | str
    credentials: bool
    allow_headers: Iterable[str]
    limit: RateLimit | str | None
    client_address: Callable[[Any], str | None] | None


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What to respond. ``body`` may have a token in it and is not shown.

    Attributes:
        status: The HTTP status.
        headers: Name and value of each header, no name twice.
        body: JSON, or nothing.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(default=b"", repr=False)


class TokenEndpoint:
    """Answers requests for a token.

    In this order: 405 for other methods than POST; 403 for pages of foreign origins; 411 and 413 for bodies without length, or beyond
    64 KiB; 401 for who is not signed in; 429 for who asks too often; 403 for who may not have one; 502, 503 or 504 when the auth service
    fails; else 200 and the token. A function of the application that raises gives a 500 without details, and a log entry with the
    traceback. Every answer but a preflight's is JSON, says ``no-store``, and is told to the issuer's audit.

    Threads: any.

    Args:
        issuer: Where tokens come from.
        authenticate: Gets the framework's request and gives the user, or None. Anonymous users of Django and Flask-Login count as None.
            It may raise :class:`NotAllowed`.
        authorize: Gets the user; False means that this user may not have a token (403).
        origins: Origins whose pages may ask, exact; pages of the endpoint's own origin always may.
        credentials: Whether pages of other origins may send cookies.
        allow_headers: Further headers that they may send.
        limit: How often a user may ask (``"30/minute"``, a :class:`RateLimit`); None: as often as they like.
        client_address: Gets the framework's request and gives the client's address; by default the other end of the connection, as
            far as the framework knows it.

    Raises:
        ConfigurationError: a setting that is not possible.
    """

    def __init__(
        self,
        issuer: TokenIssuer,
        *,
        authenticate: Callable[[Any], Any],
        authorize: Callable[[Any], bool] | None = None,
        origins: Iterable[str] | str = (),
        credentials: bool = True,
        allow_headers: Iterable[str] = (),
        limit: RateLimit | str | None = DEFAULT_LIMIT,
        client_address: Callable[[Any], str | None] | None = None,
    ) -> None:
        if not isinstance(issuer, TokenIssuer):
            raise _check.refuse("issuer", issuer, "a TokenIssuer")
        for name, function in (("authenticate", authenticate), ("authorize", authorize), ("client_address", client_address)):
            if not callable(function) and (function is not None or name == "authenticate"):
                raise _check.refuse(name, function, "a function")
        self.issuer = issuer
        self._authenticate = authenticate
        self._authorize = authorize
        self._client_address = client_address
        self._cors = CrossOrigin(origins, credentials=credentials, allow_headers=allow_headers)
        self._limit = RateLimit.of(limit)

    def answer(
        self, method: str, headers: Mapping[str, str], *, request: Any = None, remote_address: str | None = None
    ) -> EndpointAnswer:
        """Give the response to one request. Raises nothing but what ends a program.

        Args:
            method: The HTTP method, as it came.
            headers: The request's headers, in any case.
            request: What ``authenticate`` gets.
            remote_address: The other end of the connection.
        """
        further: list[tuple[str, str]] = []
        preflight = method == "OPTIONS"
        body: Any
        try:
            remote_address = self._address(request, remote_address, headers)
            if preflight:
                self._check_origin(headers)
                return EndpointAnswer(204, self._headers(headers, [("Allow", METHODS)], preflight=True))
            status, body = 200, self._grant(method, headers, request, remote_address).answer
        except Refused as refused:
            if refused.cause is None:  # what came from the auth service the issuer has told already
                self.issuer.audit.refused(refused, remote_address)
            status, body, further = refused.status, _body_of(refused), _headers_of(refused)
        except Exception as error:  # a page for developers, as frameworks make them, shows what all variables hold
            logger.error("the token endpoint failed", exc_info=self._loggable(error, headers))
            failed = Refused("server_error")
            self.issuer.audit.refused(failed, remote_address)
            status, body = failed.status, _body_of(failed)
        return EndpointAnswer(status, self._headers(headers, further), encode(body))

    def _headers(
        self, headers: Mapping[str, str], further: list[tuple[str, str]], *, preflight: bool = False
    ) -> tuple[tuple[str, str], ...]:
        # the page's origin decides on refusals, too: nothing in between may give one page the answer to another
        common = [pair for pair in _COMMON if not preflight or pair[0] != "Content-Type"]
        return (*common, ("Vary", "Origin"), *further, *self._cors.headers(headers, preflight=preflight))

    def _grant(self, method: str, headers: Mapping[str, str], request: Any, address: str | None) -> TokenGrant:
        if method != "POST":
            raise Refused("method_not_allowed")
        self._check_origin(headers)
        _check_body(headers)
        user, name = self._user(request, headers)
        wait = None if self._limit is None else self._limit.hit(user=name, address=address)
        if wait is not None:
            raise Refused("rate_limited", user=user, retry_after=wait)
        if user is None:
            raise Refused("not_signed_in")
        if self._authorize is not None and not self._guarded("authorize", self._authorize, user, headers):
            raise Refused("not_allowed", user=user)
        fresh = "no-cache" in (header(headers, "cache-control") or "").lower()
        try:
            return self.issuer.issue(user, fresh=fresh, remote_address=address)
        except AnimusError as error:
            refused = refusal_for(error, user)
        raise refused

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        if not self._cors.admits(headers):
            raise Refused("foreign_origin")

    def _address(self, request: Any, remote_address: str | None, headers: Mapping[str, str]) -> str | None:
        if self._client_address is None:
            return remote_address
        found = self._guarded("client_address", self._client_address, request, headers)
        return None if found is None else str(found)

    def _user(self, request: Any, headers: Mapping[str, str]) -> tuple[Any, str | None]:
        """Give the user and the user's id; None and None for nobody."""

        def known(request: Any) -> tuple[Any, str | None]:
            user = self._authenticate(request)
            return (None, None) if is_nobody(user) else (user, user_id(user))

        found: tuple[Any, str | None] = self._guarded("authenticate", known, request, headers)
        return found

    def _guarded(self, name: str, function: Callable[[Any], Any], argument: Any, headers: Mapping[str, str]) -> Any:
        """Call a function of the application: what it raises is logged, and the caller is told nothing of it."""
        try:
            return function(argument)
        except NotAllowed:
            pass
        except Exception as error:
            logger.error("%s raised; the token was refused", name, exc_info=self._loggable(error, headers))
            raise Refused("server_error") from None
        raise Refused("not_allowed")

    def _loggable(self, error: BaseException, headers: Mapping[str, str]) -> BaseException:
        """Give the exception without what must not be in a log: the key, the request's credentials, and our own frames, whose variables
        hold them (Django mails them, other tools collect them)."""
        secrets = [*_credentials(headers), *self.issuer.known_secrets()]
        return safe_cause(error, secrets).with_traceback(_theirs(error.__traceback__))


def _check_body(headers: Mapping[str, str]) -> None:
    """Refuse bodies that somebody might read into memory; this endpoint reads none."""
    length = header(headers, "content-length")
    if not length:
        if header(headers, "transfer-encoding") is not None:
            raise Refused("length_required")
        return
    if not (length.isascii() and length.isdigit()) or len(length) > 12 or int(length) > _LARGEST_BODY:
        raise Refused("too_large")


def _body_of(refused: Refused) -> dict[str, str]:
    return {"error": refused.text, "reason": refused.reason}


def _headers_of(refused: Refused) -> list[tuple[str, str]]:
    further = []
    if refused.status == 401:
        further.append(_CHALLENGE)
    if refused.status == 405:
        further.append(("Allow", METHODS))
    if refused.retry_after is not None:
        further.append(("Retry-After", str(math.ceil(refused.retry_after))))
    return further


def _credentials(headers: Mapping[str, str]) -> list[str]:
    """Give the secrets that a request has in its headers."""
    cookies = [pair.partition("=")[2].strip() for pair in (header(headers, "cookie") or "").split(";")]
    bearer = (header(headers, "authorization") or "").partition(" ")[2].strip()
    return [secret for secret in (bearer, *cookies) if secret]


def _theirs(trace: TracebackType | None) -> TracebackType | None:
    """Give the part of a traceback that begins outside of this package; if there is none, its last frame, where it happened."""
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("animus."):
        trace = trace.tb_next
    return trace


def unconfigured() -> EndpointAnswer:
    """Give the answer for when there is no endpoint to ask."""
    return EndpointAnswer(500, (*_COMMON, ("Vary", "Origin")), encode(_body_of(Refused("server_error"))))
