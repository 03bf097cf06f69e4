"""Asking one source, once: whatever it does becomes a token or a :class:`~animus.errors.TokenSourceError`."""

from __future__ import annotations

from animus._cause import describe, safe_cause, without_secrets
from animus.errors import TokenSourceError
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.reasons import failure
from animus.tokens.response import read_value
from animus.tokens.token import Token


def ask(source: TokenSource, request: TokenRequest, *, name: str) -> Token:
    """Give the token that ``source`` has now.

    Args:
        name: The name of the source, for errors.

    Raises:
        TokenSourceError: it has none, with a reason, and without secrets in its texts, attributes and causes.
    """
    error: TokenSourceError
    try:
        return read_value(source.fetch(request), now=request.clock.time(), source=name, opaque_ok=True)
    except TokenSourceError as raised:
        error = without_secrets(raised)
        error.source = error.source or name
    except Exception as raised:
        error = failure("failed", f"the token source raised {describe(raised)}", source=name)
        error.__cause__ = safe_cause(raised)
    try:
        raise error  # outside of the except clauses: a context would keep what the cause must not show
    finally:
        del error  # else error, cause, traceback and frame hold each other
