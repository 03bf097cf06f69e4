"""Asking one source, once: whatever it does becomes a token or a :class:`~animus.errors.TokenSourceError`."""

from __future__ import annotations

from animus._cause import describe, safe_cause
from animus._secret import scrub
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
        TokenSourceError: it has none, with a reason, and without secrets in its texts and causes.
    """
    error: TokenSourceError
    try:
        return read_value(source.fetch(request), now=request.clock.time(), source=name, opaque_ok=True)
    except TokenSourceError as raised:
        error = _without_secrets(raised, name)
    except Exception as raised:
        error = failure("failed", f"the token source raised {describe(raised)}", source=name)
        error.__cause__ = safe_cause(raised)
    try:
        raise error  # outside of the except clauses: a context would keep what the cause must not show
    finally:
        del error  # else error, cause, traceback and frame hold each other


def _without_secrets(error: TokenSourceError, name: str) -> TokenSourceError:
    """Give a source's own error with the source's name, and without secrets in its text."""
    error.source = error.source or name
    error.message = scrub(str(error.message))
    error.hint = None if error.hint is None else scrub(error.hint)
    if error.__cause__ is not None:
        error.__cause__ = safe_cause(error.__cause__)
    if error.__context__ is not None:
        error.__context__ = safe_cause(error.__context__)
    return error
