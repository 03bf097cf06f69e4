"""From what people write as ``token_source`` to a source."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from animus import _check, _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.errors import ConfigurationError
from animus.sources.env import default_source
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenSource, is_token_source

if TYPE_CHECKING:
    from animus.sources.apikey import ApiKeyTokenSource

_MEMBERS = ("fingerprint", "fetch")


def as_token_source(
    value: object,
    *,
    allow_insecure_http: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    api_base_url: str | None = None,
) -> TokenSource:
    """Give the source that ``value`` means.

    * an object with ``fetch`` and ``fingerprint``: itself; an :class:`~animus.sources.apikey.ApiKeyTokenSource` that knows no
      auth service gets the one of ``api_base_url``;
    * a function: a :class:`~animus.sources.function.CallableTokenSource`;
    * an ``http(s)`` URL: a :class:`~animus.sources.url.UrlTokenSource`;
    * ``name:rest``: what the installed package with that name makes of the rest (:mod:`animus.sources.plugins`);
    * None: what the environment names.

    Raises:
        ConfigurationError: none of these. A text is never shown: it may be a token.
    """
    if value is None:
        return default_source(os.environ, allow_insecure_http=allow_insecure_http, api_base_url=api_base_url, clock=clock)
    if isinstance(value, str):
        return _at_home(_from_text(value, allow_insecure_http=allow_insecure_http, clock=clock), api_base_url)
    if isinstance(value, type):
        raise ConfigurationError(f"token_source is the class {value.__name__}, not an object of it", hint=f"Write {value.__name__}(…)")
    if is_token_source(value):
        return _at_home(cast(TokenSource, value), api_base_url)
    if callable(value):
        return CallableTokenSource(value)
    lacking = [name for name in _MEMBERS if not hasattr(value, name)]
    hint = f"An object is a source if it has fetch(request) and fingerprint; a {type(value).__name__} lacks {' and '.join(lacking)}"
    raise _check.refuse("token_source", value, "a URL, a function or an object such as UrlTokenSource(…)", hint)


def _from_text(text: str, *, allow_insecure_http: bool, clock: Clock) -> TokenSource:
    if text.strip().lower().startswith(("http://", "https://")):
        with _fork.forks_wait:
            from animus.sources.url import UrlTokenSource

        return UrlTokenSource(text, allow_insecure_http=allow_insecure_http, clock=clock)
    if ":" in text:
        with _fork.forks_wait:
            from animus.sources.plugins import is_named, source_by_name

        if is_named(text):
            return source_by_name(text)
    raise _check.refuse(
        "token_source",
        text,
        'an http(s) URL, "name:rest" for a source that is installed, a function or a source object',
        hint="For a fixed token write StaticTokenSource(token), for an API key ApiKeyTokenSource(key)",
    )


def _at_home(source: TokenSource, api_base_url: str | None) -> TokenSource:
    if api_base_url is None or not hasattr(source, "for_api"):
        return source
    bound: ApiKeyTokenSource = source.for_api(api_base_url)
    return bound
