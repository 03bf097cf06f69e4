"""Asking a URL for a token, once: what the sources that know a URL share."""

from __future__ import annotations

import re
from typing import Any

from animus._cause import describe, safe_cause
from animus._clock import Clock
from animus._origin import is_loopback, origin_of
from animus._secret import scrub
from animus.errors import TokenSourceError
from animus.http.plain import PlainAnswer, PlainFailure, PlainHttp
from animus.http.retry_after import retry_after
from animus.sources.credentials import secret_texts, userinfo
from animus.tokens.reasons import failure
from animus.tokens.response import read_answer
from animus.tokens.token import Token

# the beginning of an answer that is one endless token: in JSON at a documented place, or bare
_ENDLESS_TOKEN = re.compile(rb'[\s\xef\xbb\xbf]*(?:\{.{0,1000}?"(?:accessToken|access_token|token)"\s*:\s*")?[A-Za-z0-9_.-]+', re.DOTALL)


class TokenExchange:
    """Makes single requests for a token over a session of its own, which knows no bearer, cookie, redirect or netrc.

    Threads: any. Fork: works in the child.
    """

    def __init__(self, *, clock: Clock, verify: bool | str = True, cert: Any = None) -> None:
        self._clock = clock
        self._verify = verify
        self._cert = cert
        self._http = PlainHttp(clock)

    def ask(self, method: str, url: str, *, name: str, timeout: float, left: float | None, **given: Any) -> Token:
        """Give the token that one request brings; arguments as for :meth:`answer`.

        Raises:
            TokenSourceError: there is no usable token in the answer, or no answer.
        """
        return self.read(self.answer(method, url, name=name, timeout=timeout, left=left, **given), name)

    def answer(self, method: str, url: str, *, name: str, timeout: float, left: float | None, **given: Any) -> PlainAnswer:
        """Give the answer to one request, whatever it says.

        Args:
            name: The name of the source, for errors.
            timeout: Most seconds for the request.
            left: Seconds left for the flight, or None.
            given: ``headers``, ``cookies``, ``auth``, ``data``, ``json`` of the request. None of them is ever shown.

        Raises:
            TokenSourceError: there is no answer.
        """
        if left is not None:
            timeout = min(timeout, left)
        if timeout <= 0:
            raise failure("timeout", "there was no time left to ask the token provider", source=name)
        if given.get("auth") is None:
            given["auth"] = userinfo(url)  # requests takes it off the URL and, for a session with an auth, forgets it
        secrets = secret_texts(*given.values(), url=url)
        host = origin_of(url).host
        # secrets for this machine do not take the way over a proxy
        proxies = {"no_proxy": host} if is_loopback(host) else None
        error: TokenSourceError
        try:
            return self._http.exchange(method, url, verify=self._verify, cert=self._cert, proxies=proxies, timeout=timeout, **given)
        except PlainFailure as raised:
            error = _no_answer(raised, name, secrets)
        except (ValueError, TypeError, OSError) as raised:
            error = failure("failed", f"the request is not possible: {describe(raised, secrets)}", source=name)
            error.__cause__ = safe_cause(raised, secrets, drop_requests=True)
        try:
            raise error  # outside of the except clauses: a context would keep what the cause must not show
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def read(self, answer: PlainAnswer, name: str) -> Token:
        """Give the token in an answer that has just arrived.

        Raises:
            TokenSourceError: there is no usable one.
        """
        now = self._clock.time()
        asked_wait = retry_after(answer.headers, now)
        return read_answer(answer.status, answer.headers, answer.body, now=now, source=name, retry_after=asked_wait)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _no_answer(raised: PlainFailure, name: str, secrets: list[str]) -> TokenSourceError:
    if raised.reason == "too_large" and _ENDLESS_TOKEN.fullmatch(raised.head):
        return failure("bad_jwt", "the token is larger than any server takes as a header", source=name)
    error = failure(raised.reason, f"there is no answer: {scrub(str(raised), secrets)}", source=name)
    error.__cause__ = safe_cause(raised, secrets, drop_requests=True)
    return error
