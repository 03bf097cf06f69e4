"""The usual source: a route of your back end that answers a token."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from requests.auth import AuthBase

from animus import _check
from animus._clock import SYSTEM_CLOCK, Clock
from animus._origin import checked_url
from animus._secret import Secret, bare_url
from animus.errors import ConfigurationError, TokenSourceError
from animus.http.plain import PlainAnswer
from animus.sources.credentials import Headers, checked_headers, contains_callables, evaluate, has_secret, hidden, literal_secrets
from animus.sources.exchange import TokenExchange
from animus.sources.fingerprint import fingerprint
from animus.sources.protocol import TokenRequest
from animus.tokens.reasons import failure
from animus.tokens.token import Token

_METHOD_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


class UrlTokenSource:
    """Asks your back end's token route, which authenticates its own user and answers a short-lived JWT.

    Understood are ``{"accessToken": jwt}``, ``{"animus": {"token": jwt}, …}``, ``access_token`` or ``token`` at the top,
    and the JWT alone. Redirects are not followed, and at most 1 MiB is read.

    Threads: any. Fork: works in the child. Pickling: the settings travel, unless one of them is a literal that may be a
    secret (headers, cookies, auth, a body, a query in the URL): a ``TypeError`` says which. Functions travel by name.

    Args:
        url: The route; ``https``, or ``http`` on this machine.
        method: ``POST`` (default), ``GET``, …
        headers: A mapping, or a function that gives one; its values may be functions too. Functions are called for each fetch.
        cookies: A mapping, or a function that gives one. Cookies that the route sets are not kept.
        auth: What requests takes as ``auth``: a ``(user, password)`` pair or an ``AuthBase``; or a function without
            arguments that gives one.
        json, data: A body, or a function that gives one; at most one of the two. None is sent by default.
        verify, cert: As in requests: the CA bundle, the client's certificate.
        timeout: Seconds for one fetch, a repetition included.
        allow_insecure_http: Allow ``http`` to other machines.
        background: Whether renewals may run in a short-lived thread; False if functions need the caller's thread.
        clock: For tests.

    Raises:
        ConfigurationError: a setting that is not possible.
    """

    def __init__(
        self,
        url: str,
        *,
        method: str = "POST",
        headers: Headers | None = None,
        cookies: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        auth: Any = None,
        json: Any = None,
        data: Any = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        timeout: float = 10.0,
        allow_insecure_http: bool = False,
        background: bool = True,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        # copies, since the caller's own may change later
        headers, cookies, auth, json, data = map(hidden, (headers, cookies, auth, json, data))
        self._settings = {name: value for name, value in locals().items() if name not in ("self", "url")}
        self._url = checked_url("url", url, allow_insecure_http=allow_insecure_http)
        self.name: str = bare_url(self._url)
        if has_secret(self._url):
            self._url = Secret(self._url)
        self.method: str = _checked_method(method)
        if json is not None and data is not None:
            raise ConfigurationError("json and data exclude each other: a request has one body")
        if isinstance(headers, Mapping):
            checked_headers({name: value for name, value in headers.items() if not callable(value)})
        elif headers is not None and not callable(headers):
            raise _check.refuse("headers", headers, "a mapping, or a function that returns one")
        self._headers = headers
        self._given = {"cookies": cookies, "auth": auth, "json": json, "data": data}
        self.timeout: float = _check.seconds("timeout", timeout, zero=False)
        self.background: bool = _check.boolean("background", background)
        self._exchange = TokenExchange(clock=clock, verify=verify, cert=cert)

    @property
    def contains_callables(self) -> bool:
        """Whether what is sent may differ from user to user without the fingerprint telling so."""
        return contains_callables(self._headers, *self._given.values())

    @property
    def fingerprint(self) -> str:
        """Text that tells this source from others; no secret can be read from it."""
        settings = self._settings
        return fingerprint("url", self.name, self._url, self.method, self._headers, self._given, settings["verify"], settings["cert"])

    def fetch(self, request: TokenRequest) -> Token:
        """Ask the route once.

        Raises:
            TokenSourceError: there is no usable token in the answer, or no answer; ``.reason`` and ``.hint`` tell why.
        """
        return self._exchange.read(self.answer(request), self.name)

    def answer(self, request: TokenRequest, *, further_headers: Mapping[str, str] | None = None) -> PlainAnswer:
        """Ask the route once, and give what it answers as it came: whoever looks for a fault wants to see it.

        Args:
            further_headers: Sent beside the source's own.

        Raises:
            TokenSourceError: there is no answer.
        """
        given = {what: value for what, value in self._given.items() if value is not None}
        # an AuthBase is called by requests, with the request
        now = {what: value if isinstance(value, AuthBase) else evaluate(what, value, self.name) for what, value in given.items()}
        headers = {**self._headers_now(request.force), **(further_headers or {})}
        return self._ask(self.method, self._url, request, headers=headers, **now)

    def probe(self, request: TokenRequest, method: str, headers: Mapping[str, str]) -> PlainAnswer:
        """Give the route's answer to another method, without anything that signs somebody in: a browser's preflight is such a request.

        Raises:
            TokenSourceError: there is no answer.
        """
        parts = urlsplit(self._url)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
        return self._ask(method, bare, request, headers=headers)

    def header_names(self) -> tuple[str, ...]:
        """Give the names, in lower case, of the headers of its own that the source sends, those of ``auth`` and ``cookies`` among them.

        Raises:
            TokenSourceError: the function for the headers raised, or gave something else.
        """
        names = [name.lower() for name in self._headers_now(force=False)]
        if self._given["auth"] is not None or "@" in urlsplit(self._url).netloc:
            names.append("authorization")
        if self._given["cookies"]:
            names.append("cookie")
        return tuple(sorted(set(names)))

    def _ask(self, method: str, url: str, request: TokenRequest, **given: Any) -> PlainAnswer:
        return self._exchange.answer(method, url, name=self.name, timeout=self.timeout, left=request.left, **given)

    def close(self) -> None:
        """Close the connections; a later fetch opens new ones."""
        self._exchange.close()

    def _headers_now(self, force: bool) -> dict[str, str]:
        error: TokenSourceError
        try:
            headers = checked_headers(evaluate("headers", self._headers, self.name))
        except ConfigurationError as refused:
            error = failure("failed", f"the request is not possible: {refused.message}", source=self.name, hint="Check headers=")
        else:
            given = {name.lower() for name in headers}
            if "accept" not in given:
                headers["Accept"] = "application/json"
            if force and "cache-control" not in given:
                headers["Cache-Control"] = "no-cache"  # RFC 9111 section 5.2.1.4: the token a back end may have kept was refused
            return headers
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def __repr__(self) -> str:
        return f"<UrlTokenSource {self.method} {self.name}>"

    def __copy__(self) -> UrlTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> UrlTokenSource:
        return self

    def __reduce__(self) -> Any:
        found = literal_secrets(self._url, self._headers, self._given)
        if found:
            raise TypeError(
                f"{self!r} is not pickled: {', '.join(found)} may be a secret. "
                "Give it as a function (of a module, so that pickle finds it) that reads it where it is needed"
            )
        return functools.partial(type(self), self._url, **self._settings), ()


def _checked_method(method: object) -> str:
    method = _check.text("method", method).strip().upper()
    if not set(method) <= _METHOD_LETTERS:
        raise _check.refuse("method", method, 'an HTTP method such as "POST"')
    return method
