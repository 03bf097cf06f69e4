"""Limits and cancellation around an exchange: their exceptions, and bodies that the caller reads by himself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests
from requests import PreparedRequest, Response

from animus.http.connection import IS_KNOWN, SocketOf
from animus.http.failure import LimitExceeded, without_authorization
from animus.http.watchdog import Guard
from animus.transport.attempts import FAILURES
from animus.transport.call import Call


def limit_exceeded(limit: str, request: PreparedRequest | None, *, sent: bool = True) -> LimitExceeded:
    error = LimitExceeded("time is up", request=without_authorization(request))
    error.limit = limit
    error.sent = sent
    return error


def call_cancelled(request: PreparedRequest) -> requests.ConnectionError:
    return requests.ConnectionError("the call was cancelled", request=without_authorization(request))


def reach_foreign(response: Response, guard: Guard) -> None:
    """Let a guard end the reading of a body whose connection is not one of ours: another adapter's, or a SOCKS proxy's."""
    if guard.attached:
        return
    sock = getattr(getattr(response.raw, "connection", None), "sock", None)
    if not IS_KNOWN and sock is not None:  # urllib3-future's shutdown() does nothing
        guard.attach(SocketOf(sock))
    elif hasattr(response.raw, "shutdown"):
        guard.attach_shutdown(response.raw.shutdown)


def timeout_within(timeout: Any, seconds: float) -> Any:
    """Give the ``timeout`` of one request, no longer than ``seconds``; urllib3's own ``Timeout`` is left to who made it."""
    if isinstance(timeout, tuple):
        return tuple(seconds if part is None else min(part, seconds) for part in timeout)
    if timeout is None or isinstance(timeout, (int, float)):
        return seconds if timeout is None else min(timeout, seconds)
    return timeout


def go_on_watching(call: Call, response: Response) -> None:
    """Let the deadline go on over a body that the caller reads by himself, through anything but ``response.raw``."""
    guard = call.guard
    assert guard is not None
    if guard.limit != "deadline" or response._content_consumed:
        call.release()
        return
    read: Any = response.iter_content
    close = response.close

    def iter_content(chunk_size: int | None = 1, decode_unicode: bool = False) -> Iterator[Any]:
        return _until_exceeded(guard, response, read(chunk_size, decode_unicode))

    def close_and_release() -> None:
        close()
        guard.release()

    response.iter_content = iter_content  # type: ignore[method-assign]
    response.close = close_and_release  # type: ignore[method-assign]


def _until_exceeded(guard: Guard, response: Response, pieces: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from pieces
    except FAILURES as error:
        exceeded = guard.exceeded()
        if exceeded is not None:
            raise limit_exceeded(exceeded, response.request) from error
        raise
    if guard.fired:  # a body that ends with the connection looks complete when its socket is shut
        raise limit_exceeded(guard.fired, response.request)
    guard.release()
