"""Users by a secret of their own in ``Authorization: Bearer …``: for services and scripts that have no session."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any

from animus import _check
from animus._http_date import header

_SHORTEST_SECRET = 16


class BearerUsers:
    """An ``authenticate`` for requests with a bearer: gives the user whose secret it is, or None.

    All secrets are compared, each in constant time, so that neither their number of equal characters nor their order shows
    in how long it takes. Works with the requests of Flask, Django, Starlette and WSGI.

    >>> authenticate = BearerUsers({"ada": "a secret of 16 letters or more"})
    >>> authenticate({"HTTP_AUTHORIZATION": "Bearer a secret of 16 letters or more"})
    'ada'

    Threads: any. ``repr`` shows no secret; it is not pickled.

    Args:
        users: User -> secret; or a function that gives such a mapping for each request.

    Raises:
        ConfigurationError: no mapping, or a secret that is too short to be one.
    """

    def __init__(self, users: Mapping[str, str] | Callable[[], Mapping[str, str]]) -> None:
        if not callable(users) and not isinstance(users, Mapping):
            raise _check.refuse("users", users, "a mapping of users to secrets, or a function that gives one")
        self._read = users if callable(users) else None
        self._digests = {} if callable(users) else _digests(users)

    def __call__(self, request: Any) -> str | None:
        """Give the user whose secret the request has."""
        digests = self._digests if self._read is None else _digests(self._read())
        scheme, _, secret = (_authorization(request) or "").partition(" ")
        given = _digest(secret.strip())
        found: str | None = None
        for user, digest in digests.items():
            if hmac.compare_digest(digest, given):
                found = user
        return found if scheme.lower() == "bearer" else None

    def __repr__(self) -> str:
        return "<BearerUsers>"

    def __reduce__(self) -> Any:
        raise TypeError("BearerUsers is not pickled: it holds secrets; make one in each process")


def _authorization(request: Any) -> str | None:
    headers = getattr(request, "headers", None)
    if headers is not None:
        return header(headers, "authorization")
    value = request.get("HTTP_AUTHORIZATION")  # a WSGI environment
    return value if isinstance(value, str) else None


def _digests(users: Mapping[str, str]) -> dict[str, bytes]:
    for user, secret in users.items():
        # ASCII, since servers do not agree on what other bytes of a header mean
        if len(_check.text(f"the secret of {user!r}", secret)) < _SHORTEST_SECRET or not secret.isascii() or secret != secret.strip():
            allowed = f"at least {_SHORTEST_SECRET} ASCII characters, without white space around them"
            raise _check.refuse(f"the secret of {user!r}", secret, allowed)
    return {user: _digest(secret) for user, secret in users.items()}


def _digest(secret: str) -> bytes:
    # of one length whatever comes in: compare_digest is constant only for texts of equal length
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
