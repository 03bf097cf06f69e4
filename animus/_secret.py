"""Hiding: nothing that leaves the package as text may show a token or key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

REDACTED = "[redacted]"

# base64url of '{"' or '{ ' begins so: every JWT header does, and so every token someone echoes, but no keycloak.example
_JWT = re.compile(r"ey[A-DI-L][A-Za-z0-9_-]{3,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*")
_BEARER = re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{8,}")
_SHORTEST_SECRET = 6  # shorter ones would blank out ordinary words


class Secret(str):
    """A string that does not show itself in ``repr``, also inside containers and headers.

    ``str(secret)``, ``format`` and concatenation give the real text: it must go on the wire.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"'{REDACTED}'"

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled; pickle the source it came from")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def scrub(text: str, secrets: Iterable[str] = ()) -> str:
    """Give ``text`` without anything that looks like a token, and without ``secrets`` and their parts."""
    # first, since the parts of a secret, taken out of another token that shares some, would leave the rest of that
    text = _BEARER.sub(rf"\1\2{REDACTED}", _JWT.sub(REDACTED, text))
    for secret in secrets:
        if len(secret) < _SHORTEST_SECRET:
            continue
        text = text.replace(secret, REDACTED)
        parts = secret.split(".")
        if len(parts) == 3:  # the parts of a JWT; the signature alone is as bad as the whole
            for part in parts[1:]:
                if len(part) >= _SHORTEST_SECRET:
                    text = text.replace(part, REDACTED)
    return text


def scrub_deep(value: Any, secrets: Iterable[str] = ()) -> Any:
    """Give a JSON value with every string in it scrubbed."""
    secrets = tuple(secrets)
    if isinstance(value, str):
        return scrub(value, secrets)
    if isinstance(value, Mapping):
        return {scrub(k, secrets) if isinstance(k, str) else k: scrub_deep(v, secrets) for k, v in value.items()}
    if isinstance(value, list):
        return [scrub_deep(item, secrets) for item in value]
    return value


def bare_url(url: str) -> str:
    """Give a URL without userinfo, query and fragment, whose values may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if ":" in host:
            host = f"[{host}]"
        if parts.port is not None:
            host += f":{parts.port}"
    except ValueError:
        return "<unreadable URL>"
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


# what fields are called; a secret that somebody sends back as a key is rarely without a digit in the middle, or that short
_FIELD_NAME = re.compile(r"\w{1,8}|[A-Za-z_$@][A-Za-z_$@.-]{0,30}[0-9]{0,3}")


def shape_of(value: Any, depth: int = 2) -> str:
    """Describe a JSON value by keys and types, never by its values; keys that do not look like names of fields are not shown either.

    >>> shape_of({"animus": {"token": "abc"}, "n": 1})
    '{"animus": {"token": string}, "n": number}'
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, Mapping):
        if not depth:
            return "{…}"
        keys = [f"{_shown_key(str(key))}: {shape_of(each, depth - 1)}" for key, each in list(value.items())[:12]]
        return "{" + ", ".join(keys) + (", …" if len(value) > 12 else "") + "}"
    if isinstance(value, (list, tuple)):
        return f"[{shape_of(value[0], depth - 1) if value and depth else ''}{', …' if len(value) > 1 else ''}]"
    return type(value).__name__


def _shown_key(key: str) -> str:
    scrubbed = scrub(key)
    return f'"{scrubbed[:40]}"' if scrubbed != key or _FIELD_NAME.fullmatch(key) else "…"
