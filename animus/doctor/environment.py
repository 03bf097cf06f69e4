"""Where tokens are to come from, and where the API is: the arguments and the environment."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from animus._clock import Clock
from animus._origin import checked_url
from animus._secret import bare_url
from animus._version import __version__
from animus.client import DEFAULT_API_BASE_URL
from animus.doctor.finding import Finding, failed, passed
from animus.errors import ConfigurationError
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.credentials import Headers
from animus.sources.env import ACCESS_TOKEN, API_KEY, TOKEN_PROVIDER_URL
from animus.sources.make import as_token_source
from animus.sources.protocol import TokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.make import TOKEN_STORE

API_BASE_URL = "ANIMUS_API_BASE_URL"
_NAMES = (TOKEN_PROVIDER_URL, ACCESS_TOKEN, API_KEY)  # the first that is set counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is to be examined.

    Attributes:
        source: Where tokens come from; None: that is not possible.
        provider_url: The URL that is asked for tokens, without userinfo and query; None: no URL is.
        api_base_url: The API; None: its URL is not possible.
        finding: What there is to say about it.
    """

    source: TokenSource | None
    provider_url: str | None
    api_base_url: str | None
    finding: Finding

    @property
    def source_name(self) -> str | None:
        """The source's own name."""
        return None if self.source is None else str(getattr(self.source, "name", type(self.source).__name__))


def read_setting(
    token_source: Any,
    *,
    headers: Headers | None,
    method: str,
    api_base_url: str | None,
    timeout: float,
    allow_insecure_http: bool,
    clock: Clock,
) -> Setting:
    """Give the setting that a client would have; arguments as for :func:`animus.doctor.examine`."""
    source: TokenSource | None = None
    base: str | None = None
    errors: list[ConfigurationError] = []
    try:
        given = api_base_url or os.environ.get(API_BASE_URL) or DEFAULT_API_BASE_URL
        base = checked_url("api_base_url", given, allow_insecure_http=allow_insecure_http).rstrip("/")
    except ConfigurationError as error:
        errors.append(error)
    try:
        url = _url_of(token_source)
        if url is not None:
            source = UrlTokenSource(
                url, method=method, headers=headers, timeout=timeout, allow_insecure_http=allow_insecure_http, clock=clock
            )
        else:
            source = as_token_source(token_source, allow_insecure_http=allow_insecure_http, clock=clock, api_base_url=base)
    except ConfigurationError as error:
        errors.insert(0, error)
    return Setting(
        source=source,
        provider_url=_asked_url(source),
        api_base_url=base,
        finding=_finding(errors, source, base, given_source=token_source is not None),
    )


def versions() -> Mapping[str, str]:
    """Give the versions of what takes part."""
    return {
        "animus-client": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("requests", "urllib3")},
        "openssl": ssl.OPENSSL_VERSION,
    }


def _url_of(token_source: Any) -> str | None:
    """Give the URL that is meant, or None if another kind of source is."""
    if token_source is None:
        return os.environ.get(TOKEN_PROVIDER_URL, "").strip() or None
    if isinstance(token_source, str) and token_source.strip().lower().startswith(("http://", "https://")):
        return token_source
    return None


def _asked_url(source: TokenSource | None) -> str | None:
    if isinstance(source, UrlTokenSource) or (isinstance(source, ApiKeyTokenSource) and source.mode == "exchange"):
        return source.name
    return None


def _finding(errors: list[ConfigurationError], source: TokenSource | None, base: str | None, *, given_source: bool) -> Finding:
    if errors:
        first = errors[0]
        return failed("environment", first.message, reason="configuration", advice=first.hint)
    name = str(getattr(source, "name", type(source).__name__))
    set_names = [name for name in _NAMES if os.environ.get(name, "").strip()]
    origin = "as given" if given_source else f"by {set_names[0]}"
    text = f"animus-client {__version__}, Python {platform.python_version()}; tokens come from {name} ({origin}), the API is {_shown(base)}"
    return passed("environment", text, _advice(set_names, given_source=given_source))


def _advice(set_names: list[str], *, given_source: bool) -> str | None:
    unused = set_names if given_source else set_names[1:]
    said = []
    if unused:
        said.append(f"{' and '.join(unused)} {'is' if len(unused) == 1 else 'are'} set, but not used here")
    if os.environ.get(TOKEN_STORE, "").strip():
        said.append(f"{TOKEN_STORE} is set: clients look for a token there first, which is not looked at here")
    return ". ".join(said) or None


def _shown(base: str | None) -> str:
    return "nowhere" if base is None else bare_url(base)
