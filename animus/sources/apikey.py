"""An organisation's API key as a source: for back ends and scripts, never for what users hold in their hands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

from animus import _check
from animus._cause import describe, safe_cause
from animus._clock import SYSTEM_CLOCK, Clock
from animus._origin import checked_url, origin_of
from animus._secret import Secret, bare_url
from animus.errors import ConfigurationError, TokenSourceError
from animus.http.plain import PlainAnswer
from animus.sources.credentials import checked_headers, has_secret
from animus.sources.exchange import TokenExchange
from animus.sources.fingerprint import fingerprint, name_of
from animus.sources.protocol import TokenRequest
from animus.sources.variable import EnvironmentVariable
from animus.tokens.reasons import failure
from animus.tokens.token import Token

GENERATE_TOKEN_PATH = "/auth/generate-token"
DEFAULT_API_BASE_URL = "https://api.animusai.co/v3"
Key = str | Callable[[], str]


class ApiKeyTokenSource:
    """Uses the organisation's API key.

    * ``mode="exchange"``: asks the Animus auth service for a short-lived JWT, with the key in the header ``apikey``.
    * ``mode="bearer"``: gives the key itself as an opaque token, as the REST reference does.

    Threads: any. Fork: works in the child. Pickling: refused with a literal key; give a function of a module, or leave the
    key to ``ANIMUS_API_KEY``.

    Args:
        key: The key, or a function that gives it for each fetch.
        mode: ``exchange`` or ``bearer``.
        auth_url: The auth service; by default ``/auth/generate-token`` on the origin of ``api_base_url``, so that the base
            URL of a test never sends a key to production.
        api_base_url: The API; a client fills in its own.
        method: ``POST``; on a 405 the source goes over to ``GET``, which some deployments want.
        verify, cert: As in requests.
        timeout: Seconds for one fetch, a repetition included.
        allow_insecure_http: Allow ``http`` to other machines.
        clock: For tests.

    Raises:
        ConfigurationError: a setting that is not possible.
    """

    def __init__(
        self,
        key: Key,
        *,
        mode: Literal["exchange", "bearer"] = "exchange",
        auth_url: str | None = None,
        api_base_url: str | None = None,
        method: Literal["POST", "GET"] = "POST",
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        timeout: float = 10.0,
        allow_insecure_http: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if isinstance(auth_url, str) and has_secret(auth_url):
            auth_url = Secret(auth_url)
        self._settings = {name: value for name, value in locals().items() if name not in ("self", "key")}
        if mode not in ("exchange", "bearer"):
            raise _check.refuse("mode", mode, '"exchange" or "bearer"')
        if method not in ("POST", "GET"):
            raise _check.refuse("method", method, '"POST" or "GET"')
        self._key: Key = key if callable(key) else Secret(_checked_key(key))
        self.mode = mode
        self._method: str = method
        url = _auth_url(auth_url, api_base_url, allow_insecure_http)
        self._url = Secret(url) if has_secret(url) else url
        self.timeout: float = _check.seconds("timeout", timeout, zero=False)
        self.name: str = "API key" if mode == "bearer" else bare_url(self._url)
        self._exchange = TokenExchange(clock=clock, verify=verify, cert=cert)

    @property
    def local(self) -> bool:
        """Whether a fetch costs nothing, so that its token is not put into a store."""
        return self.mode == "bearer"

    @property
    def contains_callables(self) -> bool:
        """Whether the key may differ from user to user without the fingerprint telling so."""
        return callable(self._key) and not isinstance(self._key, EnvironmentVariable)

    @property
    def fingerprint(self) -> str:
        """Text that tells this source from others; the key cannot be read from it."""
        key = self._key() if isinstance(self._key, EnvironmentVariable) else self._key
        return fingerprint("apikey", self.name, self.mode, self._url, key)

    def for_api(self, api_base_url: str) -> ApiKeyTokenSource:
        """Give this source, or one for the auth service of that API if neither ``auth_url`` nor ``api_base_url`` was given."""
        if self._settings["auth_url"] is not None or self._settings["api_base_url"] is not None:
            return self
        return type(self)(self._key, **{**self._settings, "api_base_url": api_base_url})

    def fetch(self, request: TokenRequest) -> Token | str:
        """Exchange the key for a token, or give the key.

        Raises:
            TokenSourceError: there is no key (``not_available``), or no usable answer.
        """
        key = self._key_now()
        if self.mode == "bearer":
            return key
        for method in dict.fromkeys((self._method, "GET")):
            try:
                token = self._ask(method, key, request)
            except TokenSourceError as refused:
                error = refused
                if error.reason != "method_not_allowed":
                    break
            else:
                self._method = method
                return token
        if error.reason == "unauthorized":
            error.hint = "The auth service did not accept the API key: check that it is complete, not revoked, and of this platform"
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def close(self) -> None:
        """Close the connections; a later fetch opens new ones."""
        self._exchange.close()

    def _ask(self, method: str, key: str, request: TokenRequest) -> Token:
        headers = {"Accept": "application/json", "apikey": key}
        exchange = self._exchange
        answer = exchange.answer(method, self._url, name=self.name, timeout=self.timeout, left=request.left, headers=headers)
        return self._read(answer, key)

    def _read(self, answer: PlainAnswer, key: str) -> Token:
        """Give the token in the auth service's answer; the token endpoint keeps more of it."""
        return self._exchange.read(answer, self.name)

    def _key_now(self) -> str:
        if not callable(self._key):
            return self._key
        error: TokenSourceError
        try:
            return Secret(_checked_key(self._key()))
        except ConfigurationError:
            error = failure("not_available", f"there is no usable API key: {name_of(self._key)} gave none", source=self.name)
        except Exception as raised:
            error = failure("failed", f"the function for the API key raised {describe(raised)}", source=self.name)
            error.__cause__ = safe_cause(raised)
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def __repr__(self) -> str:
        return f"<ApiKeyTokenSource {self.mode} {self.name}>"

    def __copy__(self) -> ApiKeyTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> ApiKeyTokenSource:
        return self

    def __reduce__(self) -> Any:
        if has_secret(self._url):
            raise TypeError(f"{self!r} is not pickled: the query or user in its auth_url may be a secret")
        if not callable(self._key):
            raise TypeError(
                f"{self!r} holds a literal key and is not pickled; give key= as a function of a module, or set ANIMUS_API_KEY and no source"
            )
        return functools.partial(type(self), **self._settings), (self._key,)


def _checked_key(key: object) -> str:
    """Give the key if it can stand in a header."""
    key = _check.text("key", key).strip()
    checked_headers({"apikey": key})
    return key


def _auth_url(auth_url: str | None, api_base_url: str | None, allow_insecure_http: bool) -> str:
    if auth_url is not None:
        return checked_url("auth_url", auth_url, allow_insecure_http=allow_insecure_http)
    base = checked_url("api_base_url", api_base_url or DEFAULT_API_BASE_URL, allow_insecure_http=allow_insecure_http)
    return f"{origin_of(base)}{GENERATE_TOKEN_PATH}"
