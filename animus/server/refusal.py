"""Why no token is handed out: a word for each case, the status, and what the caller is told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from animus.errors import AnimusError, TokenSourceError


class NotAllowed(Exception):
    """To be raised by ``authenticate``: the user is known, but may not have a token (403). Its text stays on the server."""


# nothing here depends on what the auth service or the user's own code said: that may show the key
TEXTS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "not_signed_in": (401, "Unauthorized"),
        "not_allowed": (403, "Forbidden"),
        "foreign_origin": (403, "This origin may not ask for a token"),
        "method_not_allowed": (405, "Ask with POST"),
        "length_required": (411, "The length of the body must be given"),
        "too_large": (413, "The body is too large"),
        "rate_limited": (429, "Too many requests"),
        "server_error": (500, "Failed to generate token"),
        "upstream_failed": (502, "Failed to generate token"),
        "upstream_unavailable": (503, "The token service is not available, try again"),
        "upstream_timeout": (504, "The token service took too long"),
    }
)

_TEMPORARY = frozenset(("unreachable", "rate_limited", "server_error"))
_OURS = frozenset(("not_available", "failed"))  # no key here, or the function for it raised
# seconds: a failure of the cached token is remembered for up to 1.25 s, and who comes back earlier meets it again
_SHORTEST_WAIT, _LONGEST_WAIT = 2.0, 60.0


class Refused(Exception):
    """There is no token for this request.

    Attributes:
        reason: One of the words of :data:`TEXTS`.
        user: Whom it was refused to; None: nobody known.
        retry_after: Seconds after which to try again, or None.
        cause: What the auth service's side said, a reason of :class:`~animus.errors.TokenSourceError`; for the audit only.
    """

    def __init__(self, reason: str, *, user: object = None, retry_after: float | None = None, cause: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.user = user
        self.retry_after = retry_after
        self.cause = cause

    @property
    def status(self) -> int:
        """The HTTP status."""
        return TEXTS[self.reason][0]

    @property
    def text(self) -> str:
        """What the caller is told."""
        return TEXTS[self.reason][1]


def refusal_for(error: AnimusError, user: object) -> Refused:
    """Give the refusal for a failure to get a token from the auth service."""
    cause = str(getattr(error, "reason", "failed"))
    if cause in _OURS or not isinstance(error, TokenSourceError):
        return Refused("server_error", user=user, cause=cause)
    if cause == "timeout":
        return Refused("upstream_timeout", user=user, cause=cause, retry_after=_SHORTEST_WAIT)
    if cause in _TEMPORARY:
        wait = min(max(error.retry_after or 0.0, _SHORTEST_WAIT), _LONGEST_WAIT)
        return Refused("upstream_unavailable", user=user, cause=cause, retry_after=wait)
    return Refused("upstream_failed", user=user, cause=cause)
