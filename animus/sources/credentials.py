"""What goes with a request for a token: literal values, or functions that are asked anew for each fetch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from requests.auth import AuthBase

from animus import _check
from animus._cause import describe, safe_cause
from animus._secret import Secret
from animus.errors import TokenSourceError
from animus.tokens.reasons import failure

Headers = Mapping[str, str | Callable[[], str] | None] | Callable[[], Mapping[str, str]]

# header names whose values are no secret; all others may be one
_HARMLESS = frozenset(
    ("accept", "accept-language", "accept-encoding", "cache-control", "content-type", "origin", "user-agent", "x-requested-with")
)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^\s|\s$")


def evaluate(what: str, value: Any, source: str) -> Any:
    """Give ``value``, or what it returns if it is a function; so for the values of a mapping.

    Raises:
        TokenSourceError: a function raised (``failed``).
    """
    if isinstance(value, Mapping):
        return {key: evaluate(f"{what}[{key!r}]", item, source) for key, item in value.items()}
    if not callable(value):
        return value
    error: TokenSourceError
    try:
        return value()
    except Exception as raised:
        error = failure("failed", f"the function for {what} raised {describe(raised)}", source=source)
        error.__cause__ = safe_cause(raised)
    try:
        raise error
    finally:
        del error  # else error, cause, traceback and frame hold each other


def checked_headers(headers: Any) -> dict[str, str]:
    """Give headers that can be sent; those that are None are left out.

    Raises:
        ConfigurationError: a name or value that cannot stand in a header; the value is not shown.
    """
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise _check.refuse("headers", headers, "a mapping, or a function that returns one")
    checked = {}
    for name, value in headers.items():
        if value is None:
            continue
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise _check.refuse("headers", name, "a mapping whose keys are header names")
        if not isinstance(value, str) or _BAD_VALUE.search(value):
            raise _check.refuse(f"headers[{name!r}]", value, "one line of text without white space around it")
        checked[name] = value
    return checked


def hidden(value: Any) -> Any:
    """Give a copy of literal values that does not show them in ``repr``; harmless headers, functions and objects stay."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        return {key: item if str(key).lower() in _HARMLESS else hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hidden(item) for item in value]
    return tuple(map(hidden, value)) if isinstance(value, tuple) else value


def literal_secrets(url: str, headers: Any, others: Mapping[str, Any]) -> list[str]:
    """Name all parts that are given as they are, and may be secrets. Empty: it can be pickled."""
    found = ["the URL's query or user"] if has_secret(url) else []
    if isinstance(headers, Mapping):
        found += [f"headers[{name!r}]" for name, value in headers.items() if isinstance(value, str) and name.lower() not in _HARMLESS]
    found += [name for name, value in others.items() if _is_literal(value)]
    return found


def has_secret(url: str) -> bool:
    """Tell whether a URL has a query or a user, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return bool(parts.query) or parts.username is not None or parts.password is not None


def userinfo(url: str) -> tuple[str, str] | None:
    """Give user and password of a URL, for ``auth``, or None if it has neither."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return None
    return unquote(parts.username or ""), unquote(parts.password or "")


def contains_callables(*values: Any) -> bool:
    """Tell whether any of the values, or of their items, is a function: it may answer differently for each user."""
    return any(callable(v) or (isinstance(v, Mapping) and contains_callables(*v.values())) for v in values)


def secret_texts(*values: Any, url: str = "") -> list[str]:
    """Give all texts in the values, and in the query and userinfo of a URL: none of them may be shown."""
    found: list[str] = []
    if url:
        parts = urlsplit(url)
        raw = [pair.partition("=")[2] for pair in parts.query.split("&")]
        user = [text for text in (parts.username, parts.password) if text]
        found += [*raw, *(value for _, value in parse_qsl(parts.query)), *user, *map(unquote, user)]
    for value in values:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, bytes):
            found.append(value.decode("utf-8", "replace"))
        elif isinstance(value, Mapping):
            found += secret_texts(*(item for key, item in value.items() if str(key).lower() not in _HARMLESS))
        elif isinstance(value, (list, tuple)):
            found += secret_texts(*value)
        elif isinstance(value, AuthBase):
            found += secret_texts(*(item for item in vars(value).values() if isinstance(item, (str, bytes))))
    return [text for text in found if text]


def _is_literal(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_literal(item) for item in value.values())
    return bool(value) and not callable(value)
