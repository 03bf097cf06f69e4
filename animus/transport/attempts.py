"""The one loop that repeats.

It sits below redirects and hooks, around a single exchange. The first attempt is made without a controller: tenacity is
imported, and costs something, only when there is a failure to repeat. Exactly one layer repeats (lessons: 4 attempts of
one layer times 3 of another are 12 requests).
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError

from animus._clock import Clock
from animus.errors import UnauthorizedError
from animus.events import Emitter, RequestComplete, RequestRetry, RequestStart
from animus.http.backoff import full_jitter
from animus.http.failure import Failure, sort_failure
from animus.http.retry_after import retry_after
from animus.http.status import api_error
from animus.transport.bearer import BearerAuth, carried_token
from animus.transport.budget import RetryBudget
from animus.transport.call import Call
from animus.transport.policy import repeats_failure, repeats_status

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger = logging.getLogger(__name__)
Exchange = Callable[[requests.PreparedRequest, Call], requests.Response]
# what an exchange may raise that is a failure of the exchange
FAILURES = (requests.RequestException, HTTPError, OSError)


class _Unsuccessful(Exception):
    """An attempt that may be worth a repetition: an answer, or none."""

    def __init__(self, response: requests.Response | None, error: Exception | None, failure: Failure | None) -> None:
        super().__init__()
        self.response = response
        self.error = error
        self.failure = failure


class Attempts:
    """Makes the attempts of calls. One per session.

    Args:
        exchange: Makes one exchange.
        closing: Set when the session closes; it ends waits.
    """

    def __init__(
        self, exchange: Exchange, *, emitter: Emitter, budget: RetryBudget, clock: Clock, closing: threading.Event, rng: random.Random
    ) -> None:
        self._exchange = exchange
        self._emitter = emitter
        self._budget = budget
        self._clock = clock
        self._closing = closing
        self._rng = rng

    def run(self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None) -> requests.Response:
        """Give the answer to ``request``, of whatever status, after as many attempts as the policy allows.

        Emits ``request_start`` and ``request_complete`` for each attempt, ``request_retry`` before a further one.

        Raises:
            requests.RequestException: there was no answer.
            AuthenticationError: no token was to be had, or a refused one came again.
        """
        if call.idempotency_key is not None and call.policy.idempotency_header is not None and request.method == "POST":
            request.headers.setdefault(call.policy.idempotency_header, call.idempotency_key)
        try:
            response = self._authorized(request, call, bearer)
        except _Unsuccessful as first:
            return self._repeat(request, call, bearer, first)
        self._budget.give_back()
        return response

    # ---- one attempt -----------------------------------------------------------------------------------

    def _authorized(self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None) -> requests.Response:
        """Make one attempt, and after a 401 one more with a renewed token.

        Raises:
            _Unsuccessful: a failure, or a status that some policies repeat.
        """
        token = self._put_token(request, call, bearer)
        response = self._attempt(request, call)
        if response.status_code == 401 and token is not None and bearer is not None and not call.renewed and _rewind(request):
            response = self._renewed(request, call, bearer, token, response)
        if response.status_code >= 500 or response.status_code in (408, 429):
            raise _Unsuccessful(response, None, None)
        return response

    def _renewed(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth, token: str, response: requests.Response
    ) -> requests.Response:
        assert bearer.manager is not None
        call.renewed = True
        _drain(response)
        bearer.manager.invalidate(token)
        if self._put_token(request, call, bearer) == token:
            raise same_token_error(response, self._clock.time(), call.attempts, token)
        self._announce_retry(request, call, 0.0, _Unsuccessful(response, None, None))
        return self._attempt(request, call)

    @staticmethod
    def _put_token(request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None) -> str | None:
        """Bring our token on a request up to date; leave requests alone that carry none of ours."""
        if bearer is None or carried_token(request) is None:
            return None
        bearer.authorize(request, call.deadline)
        return carried_token(request)

    def _attempt(self, request: requests.PreparedRequest, call: Call) -> requests.Response:
        call.attempts += 1
        emitter = self._emitter
        start = self._clock.monotonic()
        if emitter.wants(RequestStart.name):
            emitter.emit(RequestStart(method=request.method or "", path=_path(request), attempt=call.attempts))
        try:
            response = self._exchange(request, call)
        except FAILURES as error:
            self._announce_end(request, call, start, None, error)
            raise _Unsuccessful(None, error, sort_failure(error)) from error
        self._announce_end(request, call, start, response.status_code, None)
        return response

    def _announce_end(
        self, request: requests.PreparedRequest, call: Call, start: float, status: int | None, error: Exception | None
    ) -> None:
        if self._emitter.wants(RequestComplete.name):
            elapsed = self._clock.monotonic() - start
            self._emitter.emit(
                RequestComplete(
                    method=request.method or "", path=_path(request), attempt=call.attempts, status=status, elapsed=elapsed, error=error
                )
            )

    def _announce_retry(self, request: requests.PreparedRequest, call: Call, wait: float, outcome: _Unsuccessful) -> None:
        status = None if outcome.response is None else outcome.response.status_code
        logger.debug(
            "repeating %s %s in %.2f s after attempt %d: %s",
            request.method,
            _path(request),
            wait,
            call.attempts,
            status if outcome.failure is None else outcome.failure.text,
        )
        if self._emitter.wants(RequestRetry.name):
            self._emitter.emit(
                RequestRetry(
                    method=request.method or "", path=_path(request), attempt=call.attempts, wait=wait, status=status, error=outcome.error
                )
            )

    # ---- further attempts ------------------------------------------------------------------------------

    def _repeat(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None, first: _Unsuccessful
    ) -> requests.Response:
        """Go on after a first attempt that failed."""
        if not self._worth_repeating(request, call, first):  # the usual end of a failure needs no tenacity
            return _give_up(first)
        from tenacity import Retrying, retry_if_exception_type

        pending: list[_Unsuccessful] = [first]

        def attempt() -> requests.Response:
            if pending:
                raise pending.pop()  # the first attempt, which was made outside, counts as number 1
            return self._authorized(request, call, bearer)

        def stop(state: RetryCallState) -> bool:
            return not self._goes_on(request, call, _outcome_of(state), state.upcoming_sleep)

        def before_sleep(state: RetryCallState) -> None:
            outcome = _outcome_of(state)
            call.repeats += 1
            if outcome.response is not None:
                _drain(outcome.response)
            self._announce_retry(request, call, state.upcoming_sleep, outcome)

        controller = Retrying(
            retry=retry_if_exception_type(_Unsuccessful),
            wait=lambda state: self._wait_for(call, _outcome_of(state)),
            stop=stop,
            sleep=lambda seconds: self._sleep(call, seconds),
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            response = controller(attempt)
        except _Unsuccessful as last:
            return _give_up(last)
        self._budget.give_back()
        return response

    def _worth_repeating(self, request: requests.PreparedRequest, call: Call, outcome: _Unsuccessful) -> bool:
        if call.repeats >= call.policy.repeats or self._closing.is_set() or call.cancelled:
            return False
        method = request.method or ""
        if outcome.failure is not None:
            worth = repeats_failure(call.policy, method, outcome.failure)
        else:
            assert outcome.response is not None
            path = (request.url or "").partition("?")[0].rstrip("/")
            worth = repeats_status(call.policy, method, path, outcome.response.status_code)
        return worth and _can_rewind(request)

    def _goes_on(self, request: requests.PreparedRequest, call: Call, outcome: _Unsuccessful, wait: float) -> bool:
        if not self._worth_repeating(request, call, outcome):
            return False
        asked = self._asked_wait(outcome)
        if asked is not None and asked > call.policy.retry_after_cap:
            return False
        left = call.deadline.remaining()
        if left is not None and wait >= left:
            return False  # no use in waiting for what cannot be finished
        return self._budget.take() and _rewind(request)

    def _asked_wait(self, outcome: _Unsuccessful) -> float | None:
        return None if outcome.response is None else retry_after(outcome.response.headers, self._clock.time())

    def _wait_for(self, call: Call, outcome: _Unsuccessful) -> float:
        asked = self._asked_wait(outcome)
        if asked is not None:
            return min(asked, call.policy.retry_after_cap)
        return full_jitter(call.repeats + 1, base=call.policy.base, cap=call.policy.cap, rng=self._rng)

    def _sleep(self, call: Call, seconds: float) -> None:
        ended = self._closing if call.cancellation is None else call.cancellation.event
        if self._clock.wait(ended, seconds):
            raise requests.ConnectionError("the client was closed while it waited to repeat a request")


def same_token_error(response: requests.Response, now: float, attempts: int, token: str) -> UnauthorizedError:
    """Give the error for a token source that hands out the refused token again."""
    error = api_error(response, now=now, attempts=attempts, secrets=(token,))
    assert isinstance(error, UnauthorizedError)
    error.reason = "same_token"
    error.hint = "The token source handed out the very token that the API had refused: a fixed token has ended, or the back end caches too long"
    return error


def _give_up(outcome: _Unsuccessful) -> requests.Response:
    if outcome.response is not None:
        return outcome.response
    assert outcome.error is not None
    try:
        raise outcome.error
    finally:
        outcome.error = None  # else error, traceback, frame and outcome hold each other


def _outcome_of(state: RetryCallState) -> _Unsuccessful:
    assert state.outcome is not None
    error = state.outcome.exception()
    assert isinstance(error, _Unsuccessful)
    return error


def _drain(response: requests.Response) -> None:
    """Let the connection of an answer that nobody will read be used again, or end it."""
    try:
        response.content  # noqa: B018  # reads the body, which is small for an error
    except (*FAILURES, RuntimeError):
        logger.debug("the body of a repeated request's answer broke off")
    response.close()


def _can_rewind(request: requests.PreparedRequest) -> bool:
    body: Any = request.body
    if body is None or isinstance(body, (str, bytes, bytearray)):
        return True
    return isinstance(getattr(request, "_body_position", None), int) and hasattr(body, "seek")


def _rewind(request: requests.PreparedRequest) -> bool:
    """Bring a body back to its beginning; False if it cannot be read twice."""
    if not _can_rewind(request):
        return False
    if hasattr(request.body, "seek"):
        try:
            rewind_body(request)
        except requests.exceptions.UnrewindableBodyError:
            return False
    return True


def _path(request: requests.PreparedRequest) -> str:
    return request.path_url.partition("?")[0]
