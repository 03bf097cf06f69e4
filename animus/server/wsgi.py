"""The token endpoint as a WSGI application of its own, for any WSGI server.

``animus.server.wsgi:app`` is one that is configured by the environment:

=================================  =====================================================================================
``ANIMUS_API_KEY``                 the key; ``ANIMUS_AUTH_URL``, ``ANIMUS_API_BASE_URL`` as for :class:`~animus.server.TokenIssuer`
``ANIMUS_TOKEN_AUTHENTICATE``      ``package:function``: gets the WSGI environment, gives the user or None
``ANIMUS_TOKEN_PATH``              by default ``/api/get-animus-token``
``ANIMUS_TOKEN_ORIGINS``           origins whose pages may ask, separated by white space or commas
``ANIMUS_TOKEN_LIMIT``             by default ``30/minute``; ``none`` for no limit
``ANIMUS_TOKEN_LIMIT_STORAGE``     by default ``memory://``
``ANIMUS_TOKEN_CACHE``             ``organisation`` or ``user``
``ANIMUS_TOKEN_STORE``             where kept tokens are shared with other processes: ``file``, ``redis://…``
=================================  =====================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from animus import _check
from animus.server.endpoint import DEFAULT_LIMIT, EndpointAnswer, EndpointOptions, TokenEndpoint
from animus.server.issuer import TokenIssuer
from animus.server.limit import MEMORY, RateLimit
from animus.server.loading import load_function
from animus.server.wire_json import encode

if TYPE_CHECKING:
    from typing_extensions import Unpack

    app: TokenApplication

DEFAULT_PATH = "/api/get-animus-token"
_JSON = (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff"))
_VARIABLES = "ANIMUS_TOKEN_"


class TokenApplication:
    """Answers ``path`` with a token, ``/`` with a sign of life, and anything else with 404.

    Threads: any. Fork: works in the child.

    Args:
        issuer: Where tokens come from.
        authenticate: Gets the WSGI environment and gives the user, or None.
        path: The one path that hands out tokens.
        options: As for :class:`~animus.server.endpoint.TokenEndpoint`.

    Raises:
        ConfigurationError: a setting that is not possible.
    """

    def __init__(
        self,
        issuer: TokenIssuer,
        *,
        authenticate: Callable[[dict[str, Any]], Any],
        path: str = DEFAULT_PATH,
        **options: Unpack[EndpointOptions],
    ) -> None:
        if not _check.text("path", path).startswith("/"):
            raise _check.refuse("path", path, "a path that begins with a slash")
        self._path = path
        self._endpoint = TokenEndpoint(issuer, authenticate=authenticate, **options)

    @property
    def issuer(self) -> TokenIssuer:
        """Where tokens come from; its ``on`` hears of each."""
        return self._endpoint.issuer

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = str(environ.get("REQUEST_METHOD", "")), environ.get("PATH_INFO") or "/"
        if path == self._path:
            answer = self._endpoint.answer(
                method, headers_of(environ), request=environ, remote_address=environ.get("REMOTE_ADDR") or None
            )
        elif path == "/" and method in ("GET", "HEAD"):
            answer = EndpointAnswer(200, _JSON, encode({"status": "ok"}))
        else:
            answer = EndpointAnswer(404, _JSON, encode({"error": "Not Found"}))
        length = [] if answer.status == HTTPStatus.NO_CONTENT else [("Content-Length", str(len(answer.body)))]
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*answer.headers, *length])
        return [] if method == "HEAD" else [answer.body]


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """Give the request's headers from a WSGI environment (PEP 3333)."""
    headers = {key[5:].replace("_", "-").lower(): str(value) for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_LENGTH", "CONTENT_TYPE"):
        if environ.get(key):
            headers[key.replace("_", "-").lower()] = str(environ[key])
    return headers


def from_environment(environ: Mapping[str, str]) -> TokenApplication:
    """Give the application that environment variables describe.

    Raises:
        ConfigurationError: a variable is missing, or not as it should be.
    """

    def variable(name: str, default: str = "") -> str:
        return environ.get(f"{_VARIABLES}{name}", "").strip() or default

    authenticate = load_function(f"{_VARIABLES}AUTHENTICATE", variable("AUTHENTICATE"))
    limit = variable("LIMIT", DEFAULT_LIMIT)
    cache = variable("CACHE") or None
    return TokenApplication(
        TokenIssuer(cache=cache, store=variable("STORE") or None if cache else None),  # type: ignore[arg-type]  # the issuer checks it
        authenticate=authenticate,
        path=variable("PATH", DEFAULT_PATH),
        origins=variable("ORIGINS").replace(",", " ").split(),
        limit=None if limit == "none" else RateLimit(limit, storage=variable("LIMIT_STORAGE", MEMORY)),
    )


# made when a server asks for it, so that this module can be imported without any of the variables
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name != "app":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()["app"] = application = from_environment(os.environ)
        return application
