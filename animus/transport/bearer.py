"""The one place that puts a token on the wire."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.auth import AuthBase

from animus._origin import Origin, origin_of
from animus._secret import REDACTED, Secret
from animus.http.timeouts import Deadline

if TYPE_CHECKING:
    from animus.refresh.manager import TokenManager


class _Due(threading.local):
    """Until when this thread waits for a token while it prepares a request."""

    deadline: Deadline | None = None


_due = _Due()


@contextlib.contextmanager
def due_by(deadline: Deadline | None) -> Iterator[None]:
    """Have tokens of requests that this thread prepares come by ``deadline``."""
    before, _due.deadline = _due.deadline, deadline
    try:
        yield
    finally:
        _due.deadline = before


class BearerValue(Secret):
    """The value of an Authorization header that we put there; its ``repr`` shows nothing."""

    __slots__ = ()

    @property
    def token(self) -> str:
        """The token alone."""
        return self[len("Bearer ") :]

    def __reduce__(self) -> Any:
        # requests and responses of requests travel and are recorded; sent again, one gets the token of that time
        return BearerValue, (f"Bearer {REDACTED}",)


class BearerAuth(AuthBase):
    """Adds ``Authorization: Bearer <token>`` to requests for the API's own origins, and to no others.

    An ``AuthBase`` and not a header, because requests asks ``~/.netrc`` when a session has no auth, and lets it replace
    headers (psf/requests#3929).

    Args:
        manager: Where the token comes from; None sends none.
        origins: Scheme, host and port that may see it.
    """

    def __init__(self, manager: TokenManager | None, origins: frozenset[Origin]) -> None:
        self.manager = manager
        self.origins = origins
        self._prefixes = tuple(f"{origin}/" for origin in origins)

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        self.authorize(request, _due.deadline)
        return request

    def authorize(self, request: PreparedRequest, deadline: Deadline | None) -> None:
        """Put the current token on ``request``, or take ours off if its URL is not the API's.

        Raises:
            TokenSourceError: there is no token to be had.
        """
        if self.manager is None:
            return
        if self.allows(request.url):
            token = self.manager.token(deadline=deadline.end if deadline is not None else None)
            request.headers["Authorization"] = BearerValue(f"Bearer {token.value}")
        elif carried_token(request) is not None:
            del request.headers["Authorization"]

    def allows(self, url: str | None) -> bool:
        """Tell whether ``url`` is at one of the API's origins."""
        if not url:
            return False
        if url.startswith(self._prefixes):
            return True
        try:
            origin = origin_of(url)
            # requests connects to where the standard library's parser finds the host; a backslash makes the two disagree
            parts = urlsplit(url)
            seen = (parts.scheme, (parts.hostname or "").rstrip("."), parts.port or origin.port)
        except ValueError:
            return False
        return origin in self.origins and seen == origin

    def __repr__(self) -> str:
        return f"<BearerAuth for {', '.join(map(str, sorted(self.origins)))}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BearerAuth) and self.manager is other.manager and self.origins == other.origins

    def __hash__(self) -> int:
        return hash((id(self.manager), self.origins))


def carried_token(request: Any) -> str | None:
    """Give the token we put on ``request``, or None."""
    value = request.headers.get("Authorization")
    return value.token if isinstance(value, BearerValue) else None
