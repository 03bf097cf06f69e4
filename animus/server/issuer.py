"""Tokens for the users of a back end."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from animus import _check, _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus._emitter import Receiver
from animus.errors import AnimusError, ConfigurationError
from animus.refresh.asking import Asking
from animus.server.audit import Audit
from animus.server.auth_service import AuthService, answer_with
from animus.server.cache import TokenCache
from animus.server.refusal import refusal_for
from animus.server.users import user_id
from animus.server.wire_json import encode
from animus.sources.apikey import Key
from animus.sources.variable import EnvironmentVariable
from animus.stores.make import as_token_store
from animus.stores.protocol import TokenStore
from animus.tokens.reasons import HINTS
from animus.tokens.token import Token

logger: logging.Logger = logging.getLogger(__name__)

API_KEY, AUTH_URL, API_BASE_URL = "ANIMUS_API_KEY", "ANIMUS_AUTH_URL", "ANIMUS_API_BASE_URL"
ORGANISATION = "organisation"
CacheBy = Literal["organisation", "user"] | Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a user gets. ``repr`` shows no token, and it is not pickled.

    Attributes:
        answer: The JSON object for the client: ``accessToken``, ``animus.token``, and all else the auth service gave. A copy of its own.
        expires_at: Unix seconds on our clock at which the token is over.
        cached: Whether it was handed out before.
    """

    answer: dict[str, Any] = field(repr=False, hash=False)
    expires_at: float | None = None
    cached: bool = False

    def to_json(self) -> bytes:
        """Give the answer as the body of a response."""
        return encode(self.answer)

    def __reduce__(self) -> Any:
        raise TypeError("a TokenGrant is not pickled: it holds a token")


class TokenIssuer:
    """Asks the auth service for tokens with the organisation's API key.

    >>> issuer = TokenIssuer()                                               # doctest: +SKIP
    >>> issuer.issue("ada").to_json()                                        # doctest: +SKIP
    b'{"accessToken":"eyJ…","animus":{"token":"eyJ…"},"livekit":{…}}'

    A request that fails for a passing reason (no connection, 429, 5xx) is repeated once. With ``cache``, tokens are handed out until they
    end, by the rules of the client's token manager: one request under any storm, the failure of one shared by all who wait and
    remembered for about a second, renewal a minute before the end.

    Emits ``token_issued`` and ``token_refused`` (sender: the issuer), and logs both as JSON (:mod:`animus.server.audit`).

    Threads: any; one issuer serves a process. Fork: works in the child. Pickling: refused.

    Args:
        api_key: The key, or a function that gives it for each request to the auth service; by default the environment variable
            ``ANIMUS_API_KEY``, which is then read each time, too.
        auth_url: The auth service. By default ``ANIMUS_AUTH_URL``, else ``/auth/generate-token`` on the origin of ``api_base_url``.
        api_base_url: The API; by default ``ANIMUS_API_BASE_URL``, else the platform's.
        method: ``POST``; on a 405 it goes over to ``GET``.
        cache: None: each call asks the auth service. ``"organisation"``: one token for all. ``"user"``: one for each. Or a function that
            gives the key to keep a user's token by.
        cache_size: How many tokens are kept.
        store: Where kept tokens are shared with other processes, in any form that a client's ``token_store`` has. Of the auth service's
            answer it keeps token and realtime details alone.
        timeout: Seconds for one call, its repetition included.
        verify, cert: As in requests.
        allow_insecure_http: Allow an auth service on ``http`` on another machine.
        clock, rng: For tests.

    Raises:
        ConfigurationError: a setting that is not possible, or no key.
    """

    def __init__(
        self,
        api_key: Key | None = None,
        *,
        auth_url: str | None = None,
        api_base_url: str | None = None,
        method: Literal["POST", "GET"] = "POST",
        cache: CacheBy | None = None,
        cache_size: int = 1000,
        store: TokenStore | str | None = None,
        timeout: float = 10.0,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        allow_insecure_http: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        rng = rng or random.Random()
        if auth_url is None and api_base_url is None:
            auth_url, api_base_url = _variable(AUTH_URL), _variable(API_BASE_URL)
        self._source = AuthService(
            _key_from_environment() if api_key is None else api_key,
            auth_url=auth_url,
            api_base_url=api_base_url,
            method=method,
            timeout=timeout,
            verify=verify,
            cert=cert,
            allow_insecure_http=allow_insecure_http,
            clock=clock,
        )
        self._clock = clock
        self._key_of = _key_function(cache)
        self._closing = threading.Event()
        self._asking = Asking(self._source, self._source.name, identity=None, clock=clock, rng=rng, closing=self._closing)
        self._store, self._owns_store = _store_for(store, cache, clock), isinstance(store, str)
        size = _check.integer("cache_size", cache_size, 1)
        self._cache = None if cache is None else TokenCache(self._source, size=size, store=self._store, clock=clock, rng=rng)
        self._warned: str | None = None
        self.audit: Audit = Audit(self)
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        closing, self._closing = self._closing.is_set(), threading.Event()  # an event has a lock too
        if closing:
            self._closing.set()
        self._asking.closing = self._closing

    def issue(self, user: Any, *, fresh: bool = False, remote_address: str | None = None) -> TokenGrant:
        """Give a token for ``user``, whom the caller has authenticated.

        Args:
            user: Anything by which the application knows its user: a text, a number, an object with an ``id``, …; it shows up in the
                audit, and with ``cache`` tells whose token is kept. The auth service is not told.
            fresh: The API has refused the user's token: do not give a kept one that is older than ten seconds.
            remote_address: Where the user's request came from, for the audit.

        Raises:
            TokenSourceError: the auth service gave none, or there is no key.
            ConfigurationError: tokens are kept by user, but this one has nothing to tell it from others.
        """
        try:
            token, cached = self._token(user, fresh)
        except AnimusError as error:
            self._tell_once(error)
            self.audit.refused(refusal_for(error, user), remote_address)
            raise
        self._warned = None
        grant = TokenGrant(answer_with(token, self._clock.time()), token.usable_until, cached)
        self.audit.issued(user, remote_address, "cached" if cached else "fetched")
        return grant

    def clear(self, user: Any = None) -> None:
        """Forget the kept token of ``user`` (at logout), or all kept tokens. With a token for the whole organisation both are the same."""
        if self._cache is not None:
            self._cache.clear(None if user is None else self._key_of(user))

    def on(self, name: str, receiver: Receiver) -> Any:
        """Call ``receiver`` with every event of that name (``token_issued``, ``token_refused``); the subscription has ``cancel()``."""
        return self.audit.emitter.on(name, receiver)

    def known_secrets(self) -> list[str]:
        """Give what must be in no log: the API key, as far as it is known without asking a function for it."""
        key = self._source.known_key
        return [key] if key else []

    def close(self) -> None:
        """End pauses, and close the connections. The issuer can be used on."""
        _fork.check_pid()
        self._closing.set()
        if self._cache is not None:
            self._cache.close()
        self._source.close()
        close_store = getattr(self._store, "close", None)
        if self._owns_store and callable(close_store):
            close_store()

    def _token(self, user: Any, fresh: bool) -> tuple[Token, bool]:
        if self._cache is not None:
            return self._cache.token(self._key_of(user), fresh=fresh)
        ends_at = self._clock.monotonic() + self._source.timeout
        return self._asking.fresh_token(ends_at, lambda: None), False

    def _tell_once(self, error: AnimusError) -> None:
        """Log a failure: the first of its kind as a warning, since nobody but the log is told what the matter is."""
        reason = str(getattr(error, "reason", type(error).__name__))
        level = logging.DEBUG if reason == self._warned else logging.WARNING
        self._warned = reason
        # of the hints only ours: the others are for those who ask a back end, and this is one
        hint = f". {error.hint}" if error.hint and reason not in HINTS.keys() - {"unauthorized"} else ""
        logger.log(level, "the auth service (%s) gives no token: %s: %s%s", self._source.name, reason, error.message, hint)

    def __enter__(self) -> TokenIssuer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<TokenIssuer for {self._source.name}>"

    def __reduce__(self) -> Any:
        raise TypeError("a TokenIssuer is not pickled: it holds the API key; make one in each process")


def _variable(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _key_from_environment() -> EnvironmentVariable:
    key = EnvironmentVariable(API_KEY)
    if not key():
        raise ConfigurationError("there is no API key to issue tokens with", hint=f"Set {API_KEY}, or pass api_key=")
    return key


def _store_for(store: TokenStore | str | None, cache: object, clock: Clock) -> TokenStore | None:
    if store is None:  # unlike a client, which then goes by ANIMUS_TOKEN_STORE: that is for tokens of its own
        return None
    if cache is None:
        raise ConfigurationError("store= is for tokens that are kept", hint='Pass cache="organisation" or cache="user", too')
    return as_token_store(store, clock=clock)


def _key_function(cache: object) -> Callable[[Any], str]:
    if cache is None or cache == ORGANISATION:
        return lambda user: ORGANISATION
    if callable(cache):
        return lambda user: f"key:{_check.text('the key that cache= gives', cache(user))}"
    if cache != "user":
        raise _check.refuse("cache", cache, 'None, "organisation", "user" or a function')
    return _id_of


def _id_of(user: Any) -> str:
    found = user_id(user)
    if found is None:
        raise ConfigurationError(
            f"tokens are kept for each user, but a {type(user).__name__} has no id to tell one from another",
            hint="Have authenticate= return a text, or give cache= a function that takes the user and gives one",
        )
    return f"user:{found}"
