"""One plain exchange: what token sources use. No bearer, no redirect, no netrc, no cookie kept, no repetition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Literal

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from animus import _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.http.cookies import free_lock_of
from animus.http.discreet import DiscreetAdapter
from animus.http.failure import sort_failure
from animus.http.watchdog import Guard, Watchdog, guarded_by

_PIECE = 65536
DEFAULT_MAX_BYTES = 1 << 20

Reason = Literal["unreachable", "timeout", "tls", "too_large"]


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """What came back; ``repr`` shows neither headers nor body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed: float


class PlainFailure(Exception):
    """No answer. ``reason``: unreachable, timeout, tls or too_large; ``head`` is what was read of one that is too large."""

    def __init__(self, reason: Reason, text: str, head: bytes = b"") -> None:
        super().__init__(text)
        self.reason = reason
        self.head = head


class _NoAuth(AuthBase):
    """Nothing; but having one keeps requests from asking netrc (psf/requests#3929)."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class PlainHttp:
    """Makes single exchanges, each within a time limit that also holds against a server that drips.

    Threads: any. Fork: works in the child. ``close()`` frees sockets and thread.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._watchdog = Watchdog()
        self._session = requests.Session()
        self._session.auth = _NoAuth()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("https://", DiscreetAdapter(pool_size=10))
        self._session.mount("http://", DiscreetAdapter(pool_size=10))
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        free_lock_of(self._session.cookies)

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cookies: Any = None,
        auth: Any = None,
        data: Any = None,
        json: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: dict[str, str] | None = None,
        timeout: float,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> PlainAnswer:
        """Give the answer to one request.

        Args:
            timeout: Seconds for the whole exchange.
            max_bytes: Most bytes of body that are read.

        Raises:
            PlainFailure: there is no answer.
            ValueError: the request is not possible (a bad URL or header value).
        """
        guard = self._watchdog.guard()
        guard.arm("deadline", timeout)
        start = self._clock.monotonic()
        try:
            with guarded_by(guard), self._session.request(
                method,
                url,
                headers=dict(headers or {}),
                cookies=cookies,
                auth=auth,
                data=data,
                json=json,
                verify=verify,
                cert=cert,
                proxies=proxies,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read(response, max_bytes, guard)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _failure(error, guard, timeout) from error
        finally:
            guard.release()
        return PlainAnswer(response.status_code, response.headers, body, self._clock.monotonic() - start)

    def close(self) -> None:
        """Close the connections and end the thread."""
        _fork.check_pid()
        self._session.close()
        self._watchdog.close()


def _read(response: requests.Response, max_bytes: int, guard: Guard) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in response.iter_content(_PIECE):
        size += len(piece)
        if size > max_bytes:
            raise PlainFailure("too_large", f"the answer is larger than {max_bytes} bytes", b"".join(pieces))
        pieces.append(piece)
    if guard.fired:  # a body that ends with the connection looks complete when its socket is shut
        raise requests.Timeout("time is up")
    return b"".join(pieces)


def _failure(error: Exception, guard: Guard, timeout: float) -> Exception:
    if guard.exceeded():
        return PlainFailure("timeout", f"no complete answer within {timeout:g} s")
    failure = sort_failure(error)
    if failure.kind == "invalid":
        return ValueError(failure.text)
    if failure.kind == "tls":
        return PlainFailure("tls", failure.text)
    if failure.limit is not None:
        return PlainFailure("timeout", f"no complete answer within {timeout:g} s")
    return PlainFailure("unreachable", failure.text)
