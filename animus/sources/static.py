"""One fixed token as a source."""

from __future__ import annotations

from typing import Any

from animus import _check
from animus._secret import Secret
from animus.sources.fingerprint import fingerprint
from animus.sources.protocol import TokenRequest
from animus.tokens.token import Token


class StaticTokenSource:
    """Gives always the same token: for scripts and tests. When the API refuses it, there is no other.

    Threads: any. Fork: works in the child. Pickling: refused, since the token is a secret.

    Args:
        token: Its text (a JWT, or an opaque one such as an API key), or a :class:`~animus.tokens.token.Token`.

    Raises:
        ConfigurationError: an empty text, or something else.
    """

    local = True  # fetch() costs nothing: its tokens are not put into a store
    name = "fixed token"
    contains_callables = False

    def __init__(self, token: str | Token) -> None:
        if not isinstance(token, Token):
            token = Secret(_check.text("token", token))
        self._token = token

    @property
    def fingerprint(self) -> str:
        """Text that tells tokens apart; the token cannot be read from it."""
        return fingerprint("static", "token", self._token.value if isinstance(self._token, Token) else self._token)

    def fetch(self, request: TokenRequest) -> Token | str:
        """Give the token."""
        return self._token

    def __repr__(self) -> str:
        return "<StaticTokenSource>"

    def __copy__(self) -> StaticTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> StaticTokenSource:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("a StaticTokenSource holds a literal token and is not pickled; use EnvironmentTokenSource, or a function")
