"""The environment as a source, and the source that the environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from animus import _check, _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.errors import ConfigurationError
from animus.sources.fingerprint import fingerprint
from animus.sources.variable import EnvironmentVariable
from animus.tokens.reasons import failure

if TYPE_CHECKING:
    from animus.sources.protocol import TokenRequest, TokenSource

TOKEN_PROVIDER_URL = "ANIMUS_TOKEN_PROVIDER_URL"
ACCESS_TOKEN = "ANIMUS_ACCESS_TOKEN"
API_KEY = "ANIMUS_API_KEY"


class EnvironmentTokenSource:
    """Gives the token in an environment variable, which is read anew for each fetch. It may be opaque.

    Threads: any. Fork: works in the child. Pickling: the name of the variable travels, its value does not.

    Args:
        variable: Its name.
    """

    local = True
    contains_callables = False

    def __init__(self, variable: str = ACCESS_TOKEN) -> None:
        self.variable: str = _check.text("variable", variable)
        self.name: str = f"environment variable {variable}"

    @property
    def fingerprint(self) -> str:
        """The name of the variable, and a hash of its present value."""
        return fingerprint("environment", self.variable, os.environ.get(self.variable))

    def fetch(self, request: TokenRequest) -> str:
        """Read the variable.

        Raises:
            TokenSourceError: it is not set, or blank (``not_available``).
        """
        value = os.environ.get(self.variable, "").strip()
        if not value:
            raise failure("not_available", f"{self.variable} is not set", source=self.name)
        return value

    def __repr__(self) -> str:
        return f"EnvironmentTokenSource({self.variable!r})"


def default_source(
    environ: Mapping[str, str],
    *,
    allow_insecure_http: bool = False,
    api_base_url: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> TokenSource:
    """Give the source that the environment names: a provider's URL, else an access token, else an API key to exchange.

    Raises:
        ConfigurationError: none of the three is set; or the URL is not possible.
    """
    url = environ.get(TOKEN_PROVIDER_URL, "").strip()
    if url:
        with _fork.forks_wait:
            from animus.sources.url import UrlTokenSource

        return UrlTokenSource(url, allow_insecure_http=allow_insecure_http, clock=clock)
    if environ.get(ACCESS_TOKEN, "").strip():
        return EnvironmentTokenSource(ACCESS_TOKEN)
    if environ.get(API_KEY, "").strip():
        with _fork.forks_wait:
            from animus.sources.apikey import ApiKeyTokenSource

        key = EnvironmentVariable(API_KEY)
        return ApiKeyTokenSource(key, api_base_url=api_base_url, allow_insecure_http=allow_insecure_http, clock=clock)
    raise ConfigurationError(
        "there is no token source",
        hint=f"Pass token_source=, or set one of {TOKEN_PROVIDER_URL} (your back end's token route), {ACCESS_TOKEN} or {API_KEY}",
    )
