"""What the emulator was asked, for assertions."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, overload

from animus import _fork
from animus._secret import Secret

Kind = Literal["token", "auth", "api", "image", "preflight", "other"]
Credential = Literal["jwt", "api_key", "unknown", "none"]

_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "apikey", "x-api-key", "cookie"})


def path_matches(pattern: str, path: str) -> bool:
    """Tell whether ``path`` is ``pattern`` or ends with it: ``/chat/completions`` stands for both API versions."""
    return path == pattern or (pattern.startswith("/") and len(pattern) > 1 and path.endswith(pattern))


class RecordedHeaders(Mapping[str, str]):
    """Request headers, whatever the case of their names. ``repr`` hides what may be a secret; reading a header gives it."""

    __slots__ = ("_by_name",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        """Take name and value pairs; several of one name are joined by a comma (RFC 9110 section 5.3)."""
        self._by_name: dict[str, tuple[str, str]] = {}
        for name, value in pairs:
            key = name.lower()
            if key in self._by_name:
                value = f"{self._by_name[key][1]}, {value}"
            self._by_name[key] = (name, Secret(value) if key in _SECRET_HEADERS else value)

    def __getitem__(self, name: str) -> str:
        return self._by_name[name.lower()][1]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._by_name

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        shown = dict(self.items())
        scheme, _, credentials = self.get("Authorization", "").partition(" ")
        if credentials:
            shown = {name: f"{scheme} [redacted]" if name.lower() == "authorization" else value for name, value in shown.items()}
        return f"RecordedHeaders({shown!r})"


@dataclass(slots=True, eq=False, repr=False)
class RecordedRequest:
    """One request, as it arrived. ``repr`` shows neither headers nor query nor body.

    Attributes:
        number: Its place among all requests since the last reset, from 1.
        method: The HTTP method.
        path: The decoded path.
        query: The query as sent.
        headers: The headers; names in any case.
        body: The body as sent, without transfer coding.
        kind: ``token`` (the provider), ``auth`` (the auth service), ``api``, ``image`` (a picture being fetched), ``preflight``, ``other``.
        connection: The number of its TCP connection: equal for requests that shared one.
        time: When it arrived, on the emulator's clock, seconds since 1970.
        request_id: The ``x-request-id`` of the answer.
        credential: What the ``Authorization`` header held: ``jwt`` (one of the emulator's, valid or not), ``api_key``, ``unknown``,
            ``none``.
        user: Whose token it held (the ``sub`` claim); for the token provider: who was given one. Or None.
        token_id: The ``jti`` claim of that token, or None.
        status: The status it was answered with; None before that, and for a connection that was dropped without an answer.
        fault: Whether an armed fault was applied.
        aborted: Whether the connection broke before the answer's end, by the client's leaving or by ``close()`` and ``reset()``.
        finished: Whether all is over; only then ``aborted`` is certain (see :meth:`Recording.wait_until_idle`).
    """

    number: int
    method: str
    path: str
    query: str
    headers: RecordedHeaders
    body: bytes
    kind: Kind
    connection: int
    time: float
    request_id: str
    credential: Credential = "none"
    user: str | None = None
    token_id: str | None = None
    status: int | None = None
    fault: bool = False
    aborted: bool = False
    finished: bool = False

    @property
    def json(self) -> Any:
        """The body decoded, or None if it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies sent."""
        pairs = (part.strip().partition("=") for part in self.headers.get("Cookie", "").split(";"))
        return {name: Secret(value) for name, equals, value in pairs if equals}

    def __repr__(self) -> str:
        user = f" user={self.user!r}" if self.user is not None else ""
        return f"<RecordedRequest {self.number} {self.method} {self.path} kind={self.kind!r}{user} status={self.status}>"


class Recording:
    """The requests since the last reset, oldest first. Reads like a list; every method may be called from any thread.

    Only the newest ``limit`` requests are kept, so that an emulator may run for weeks.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._requests: deque[RecordedRequest] = deque(maxlen=limit)
        self._changed = threading.Condition()  # guards the requests
        _fork.register(self)

    def add(self, request: RecordedRequest) -> None:
        """Append a request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def finish(self, request: RecordedRequest) -> None:
        """Note that a request has been answered, or never will be."""
        with self._changed:
            request.finished = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Forget all requests."""
        with self._changed:
            self._requests.clear()

    def where(
        self,
        *,
        kind: Kind | None = None,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        user: str | None = None,
    ) -> list[RecordedRequest]:
        """Give the requests of which everything given is true. ``path`` may be the end of one, such as ``/chat/completions``."""
        return [
            request
            for request in self._all()
            if (kind is None or request.kind == kind)
            and (path is None or path_matches(path, request.path))
            and (method is None or request.method == method.upper())
            and (status is None or request.status == status)
            and (user is None or request.user == user)
        ]

    def count(
        self,
        kind: Kind | None = None,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        user: str | None = None,
    ) -> int:
        """Count the requests of which everything given is true (see :meth:`where`)."""
        return len(self.where(kind=kind, path=path, method=method, status=status, user=user))

    def last(self, kind: Kind | None = None, *, path: str | None = None) -> RecordedRequest:
        """Give the newest such request.

        Raises:
            LookupError: there is none.
        """
        found = self.where(kind=kind, path=path)
        if not found:
            raise LookupError("no such request was made")
        return found[-1]

    def wait_for(self, count: int, kind: Kind | None = None, *, path: str | None = None, timeout: float = 10.0) -> list[RecordedRequest]:
        """Wait until there are ``count`` such requests, ``timeout`` seconds of real time at most; give them.

        Raises:
            TimeoutError: there were fewer.
        """
        with self._changed:
            if self._changed.wait_for(lambda: self.count(kind, path=path) >= count, timeout):
                return self.where(kind=kind, path=path)
        raise TimeoutError(f"{self.count(kind, path=path)} requests came, not {count}")

    def wait_until_idle(self, timeout: float = 10.0) -> None:
        """Wait until all requests are finished, ``timeout`` seconds of real time at most.

        Raises:
            TimeoutError: some are not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: all(request.finished for request in self._requests), timeout):
                raise TimeoutError(f"{sum(not request.finished for request in self._requests)} requests are not finished")

    def _all(self) -> list[RecordedRequest]:
        with self._changed:
            return list(self._requests)

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._all())

    @overload
    def __getitem__(self, index: int) -> RecordedRequest: ...

    @overload
    def __getitem__(self, index: slice) -> list[RecordedRequest]: ...

    def __getitem__(self, index: int | slice) -> RecordedRequest | list[RecordedRequest]:
        return self._all()[index]

    def __repr__(self) -> str:
        return f"Recording({self._all()!r})"

    def _reset_after_fork(self) -> None:
        self._changed = threading.Condition()
