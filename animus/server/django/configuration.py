"""From Django's settings to a token endpoint.

``ANIMUS_TOKEN`` is a mapping. Functions, that for the key apart, are given themselves or by name (``"package.module.function"``):

====================================  ===================================================================================
``API_KEY``                           the key, or a function; by default the environment variable ``ANIMUS_API_KEY``
``AUTH_URL``, ``API_BASE_URL``        as for :class:`~animus.server.TokenIssuer`; so are ``TIMEOUT``, ``VERIFY``,
                                      ``ALLOW_INSECURE_HTTP``, ``CACHE``, ``CACHE_SIZE``, ``STORE``
``AUTHENTICATE``                      gets the request and gives the user or None; by default who is logged in (``request.user``)
``AUTHORIZE``                         gets the user; False: no token
``ORIGINS``                           origins whose pages may ask; ``CREDENTIALS`` and ``ALLOW_HEADERS`` belong to it
``LIMIT``, ``LIMIT_STORAGE``          by default ``"30/minute"`` in memory; None: no limit
``CLIENT_ADDRESS``                    gets the request and gives the client's address
====================================  ===================================================================================
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django import conf
from django.core.exceptions import PermissionDenied
from django.core.signals import setting_changed
from django.http import HttpRequest

from animus import _check, _fork
from animus.errors import ConfigurationError
from animus.server.endpoint import DEFAULT_LIMIT, TokenEndpoint
from animus.server.issuer import TokenIssuer
from animus.server.limit import MEMORY, RateLimit
from animus.server.loading import load_function
from animus.server.refusal import NotAllowed

SETTING = "ANIMUS_TOKEN"
_ISSUER = ("API_KEY", "AUTH_URL", "API_BASE_URL", "TIMEOUT", "VERIFY", "ALLOW_INSECURE_HTTP", "CACHE", "CACHE_SIZE", "STORE")
_ENDPOINT = ("ORIGINS", "CREDENTIALS", "ALLOW_HEADERS")
_FUNCTIONS = ("AUTHORIZE", "CLIENT_ADDRESS")
_KNOWN = (*_ISSUER, *_ENDPOINT, *_FUNCTIONS, "AUTHENTICATE", "LIMIT", "LIMIT_STORAGE")


def given_settings() -> Mapping[str, Any]:
    """Give ``ANIMUS_TOKEN``, empty if it is not set.

    Raises:
        ConfigurationError: it is no mapping, or has something in it that nobody knows.
    """
    given = getattr(conf.settings, SETTING, {})
    if not isinstance(given, Mapping):
        raise _check.refuse(SETTING, given, "a mapping")
    for name in given:
        if name not in _KNOWN:
            raise ConfigurationError(f"{SETTING} has no setting {str(name)!r}", hint=f"Known are: {', '.join(_KNOWN)}")
    return given


def endpoint_from_settings(**stand_ins: Any) -> TokenEndpoint:
    """Give a new endpoint as the settings describe it, ``stand_ins`` apart.

    Raises:
        ConfigurationError: a setting that is not possible, or no API key.
    """
    given = {**given_settings(), **stand_ins}
    options = {name.lower(): given[name] for name in _ENDPOINT if name in given}
    for name in _FUNCTIONS:
        if given.get(name) is not None:
            options[name.lower()] = load_function(f"{SETTING}[{name!r}]", given[name])
    limit = given.get("LIMIT", DEFAULT_LIMIT)
    if isinstance(limit, str):
        limit = RateLimit(limit, storage=given.get("LIMIT_STORAGE", MEMORY))
    authenticate = given.get("AUTHENTICATE")
    if authenticate is not None:
        authenticate = load_function(f"{SETTING}['AUTHENTICATE']", authenticate)
    issuer = TokenIssuer(**{name.lower(): given[name] for name in _ISSUER if name in given})
    return make_endpoint(issuer, authenticate=authenticate, limit=limit, **options)


def make_endpoint(issuer: TokenIssuer, *, authenticate: Callable[[HttpRequest], Any] | None = None, **options: Any) -> TokenEndpoint:
    """Give an endpoint that knows who is logged in, and what ``PermissionDenied`` means."""
    return TokenEndpoint(issuer, authenticate=_with_permission_denied(authenticate or _logged_in), **options)


class ConfiguredEndpoint:
    """The one endpoint of the settings, made when it is first needed, and anew after tests change them.

    Threads: any. The lock guards that there is but one: its kept tokens are those of the whole process.
    """

    _lock = _fork.Lock()

    def __init__(self) -> None:
        self._endpoint: TokenEndpoint | None = None
        self._reset_after_fork()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()

    def get(self) -> TokenEndpoint:
        """Give it.

        Raises:
            ConfigurationError: the settings are wrong, as ``manage.py check`` says, too.
        """
        with self._lock:
            if self._endpoint is None:
                self._endpoint = endpoint_from_settings()
            return self._endpoint

    def forget(self, *, setting: str, **signal: Any) -> None:
        """Receive Django's ``setting_changed``."""
        if setting == SETTING:
            with self._lock:
                old, self._endpoint = self._endpoint, None
            if old is not None:
                old.issuer.close()


CONFIGURED = ConfiguredEndpoint()
setting_changed.connect(CONFIGURED.forget)


def _logged_in(request: HttpRequest) -> Any:
    return request.user


def _with_permission_denied(authenticate: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    @functools.wraps(authenticate, updated=())
    def call(request: HttpRequest) -> Any:
        try:
            return authenticate(request)
        except PermissionDenied:
            raise NotAllowed from None

    return call
