"""The one loop that repeats.

It sits below redirects and hooks, around a single exchange. The first attempt is made without a controller: tenacity is
imported, and costs something, only when there is a failure to repeat; a call that succeeds meets two functions here, ``run`` and
``_attempt``. Exactly one layer repeats (lessons: 4 attempts of
one layer times 3 of another are 12 requests).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Union, final

import requests
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError

from animus import _fork
from animus._clock import Clock
from animus._emitter import Emitter
from animus.errors import AuthenticationError, UnauthorizedError
from animus.http.backoff import full_jitter
from animus.http.failure import Failure, sort_failure
from animus.transport.bearer import BearerAuth, carried_token
from animus.transport.budget import RetryBudget
from animus.transport.call import Call, IdempotencyKey
from animus.transport.pauses import Pauses
from animus.transport.policy import IDEMPOTENT, repeats_failure, repeats_status

if TYPE_CHECKING:
    from tenacity import RetryCallState

logger: logging.Logger = logging.getLogger(__name__)
Exchange = Callable[[requests.PreparedRequest, Call], requests.Response]
_Outcome = Union[requests.Response, "_Unsuccessful"]
# what an exchange may raise that is a failure of the exchange
FAILURES = (requests.RequestException, HTTPError, OSError)


@final
class _Unsuccessful:
    """An attempt that may be worth a repetition: an answer, or none. A value, so that the user's traceback tells of real errors only."""

    __slots__ = ("error", "failure", "response")

    def __init__(self, response: requests.Response | None, error: Exception | None, failure: Failure | None) -> None:
        self.response = response
        self.error = error
        self.failure = failure


class Attempts:
    """Makes the attempts of calls. One per session.

    Args:
        exchange: Makes one exchange.
        pauses: The waits between attempts; they end when the session closes.
    """

    def __init__(
        self, exchange: Exchange, *, emitter: Emitter, budget: RetryBudget, clock: Clock, pauses: Pauses, rng: random.Random
    ) -> None:
        self._exchange = exchange
        self._emitter = emitter
        self._heard = emitter.heard
        self._budget = budget
        self._clock = clock
        self._pauses = pauses
        self._rng = rng

    def run(self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None) -> requests.Response:
        """Give the answer to ``request``, of whatever status, after as many attempts as the policy allows.

        Emits ``request_start`` and ``request_complete`` for each attempt, ``request_retry`` before a further one.

        Raises:
            requests.RequestException: there was no answer.
            AuthenticationError: no token was to be had, or a refused one came again.
        """
        if call.idempotency_key is not None:
            _put_key(request, call)
        if bearer is not None:
            _put_token(request, call, bearer)
        outcome = self._attempt(request, call)
        if type(outcome) is _Unsuccessful or outcome.status_code == 401:
            return self._mended(request, call, bearer, outcome)
        if self._budget.is_short:
            self._budget.give_back()
        return outcome

    def _mended(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None, outcome: _Outcome
    ) -> requests.Response:
        """Go on after a first attempt that was refused or failed, so far as the policy allows; raise or give how it ended."""
        outcome = self._unrefused(request, call, bearer, outcome)
        if isinstance(outcome, _Unsuccessful) and self._worth_repeating(request, call, outcome):
            outcome = self._repeated(request, call, bearer, outcome)
        if isinstance(outcome, _Unsuccessful):
            return _give_up(outcome)
        self._budget.give_back()
        return outcome

    # ---- one attempt -----------------------------------------------------------------------------------

    def _authorized(self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None) -> _Outcome:
        """Make one attempt, and after a 401 one more with a renewed token."""
        if bearer is not None:
            _put_token(request, call, bearer)
        return self._unrefused(request, call, bearer, self._attempt(request, call))

    def _unrefused(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None, outcome: _Outcome
    ) -> _Outcome:
        """Give how an attempt ended, or after a 401 how one more with a renewed token did."""
        if isinstance(outcome, _Unsuccessful) or outcome.status_code != 401:
            return outcome
        token = None if bearer is None else carried_token(request)
        if token is None or bearer is None or call.renewed or not _rewind(request):
            return outcome
        return self._renewed(request, call, bearer, token, outcome)

    def _renewed(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth, token: str, response: requests.Response
    ) -> _Outcome:
        assert bearer.manager is not None
        call.renewed = True
        _drain(response, call)
        bearer.manager.invalidate(token)
        try:
            _put_token(request, call, bearer)
            renewed = carried_token(request)
        except AuthenticationError as error:
            if error.reason != "rejected_token":
                raise
            renewed = token
        if renewed == token:
            raise same_token_error(response, self._clock.time(), call.attempts, token)
        self._announce_retry(request, call, 0.0, _Unsuccessful(response, None, None))
        return self._attempt(request, call)

    def _attempt(self, request: requests.PreparedRequest, call: Call) -> _Outcome:
        """Make one attempt; give its answer, or what some policies repeat."""
        call.attempts += 1
        heard, started = self._heard, None
        if heard["request_start"] or heard["request_complete"]:
            started = self._announce_start(request, call)
        try:
            response = self._exchange(request, call)
        except FAILURES as error:
            self._announce_end(request, call, started, None, error)
            return _Unsuccessful(None, error, sort_failure(error))
        status = response.status_code
        if heard["request_complete"]:
            self._announce_end(request, call, started, response, None)
        if status >= 400 and (status >= 500 or status in (408, 429)):
            return _Unsuccessful(response, None, None)
        return response

    def _announce_start(self, request: requests.PreparedRequest, call: Call) -> float:
        """Tell who listens that an attempt begins; give when."""
        if self._emitter.wants("request_start"):
            with _fork.forks_wait:
                from animus.events import RequestStart

            self._emitter.emit(RequestStart(method=request.method or "", path=_path(request), attempt=call.attempts))
        return self._clock.monotonic()

    def _announce_end(
        self,
        request: requests.PreparedRequest,
        call: Call,
        started: float | None,
        response: requests.Response | None,
        error: Exception | None,
    ) -> None:
        if not self._emitter.wants("request_complete"):
            return
        with _fork.forks_wait:
            from animus.events import RequestComplete

        if started is not None:
            elapsed = self._clock.monotonic() - started
        else:  # somebody began to listen while the request was under way
            elapsed = 0.0 if response is None else response.elapsed.total_seconds()
        status = None if response is None else response.status_code
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
        if self._emitter.wants("request_retry"):
            with _fork.forks_wait:
                from animus.events import RequestRetry

            self._emitter.emit(
                RequestRetry(
                    method=request.method or "", path=_path(request), attempt=call.attempts, wait=wait, status=status, error=outcome.error
                )
            )

    # ---- further attempts ------------------------------------------------------------------------------

    def _repeated(
        self, request: requests.PreparedRequest, call: Call, bearer: BearerAuth | None, first: _Unsuccessful
    ) -> _Outcome:
        """Go on after a first attempt that failed; give how the last one ended."""
        with _fork.forks_wait:
            from tenacity import Retrying, retry_if_result  # the usual call needs no tenacity

        pending: list[_Outcome] = [first]

        def attempt() -> _Outcome:
            # the first attempt, which was made outside, counts as number 1
            return pending.pop() if pending else self._authorized(request, call, bearer)

        def stop(state: RetryCallState) -> bool:
            return not self._goes_on(request, call, _outcome_of(state), state.upcoming_sleep)

        def before_sleep(state: RetryCallState) -> None:
            outcome = _outcome_of(state)
            call.repeats += 1
            if outcome.response is not None:
                _drain(outcome.response, call)
            self._announce_retry(request, call, state.upcoming_sleep, outcome)

        controller = Retrying(
            retry=retry_if_result(lambda outcome: isinstance(outcome, _Unsuccessful)),
            wait=lambda state: self._wait_for(call, _outcome_of(state)),
            stop=stop,
            sleep=lambda seconds: self._sleep(call, seconds),
            before_sleep=before_sleep,
            reraise=True,
            retry_error_callback=_outcome_of,  # what tenacity would raise a RetryError for
        )
        return controller(attempt)

    def _worth_repeating(self, request: requests.PreparedRequest, call: Call, outcome: _Unsuccessful) -> bool:
        if call.repeats >= call.policy.repeats or self._pauses.ended or call.cancelled:
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
        with _fork.forks_wait:
            from animus.http.retry_after import retry_after

        return None if outcome.response is None else retry_after(outcome.response.headers, self._clock.time())

    def _wait_for(self, call: Call, outcome: _Unsuccessful) -> float:
        asked = self._asked_wait(outcome)
        if asked is not None:
            return min(asked, call.policy.retry_after_cap)
        return full_jitter(call.repeats + 1, base=call.policy.base, cap=call.policy.cap, rng=self._rng)

    def _sleep(self, call: Call, seconds: float) -> None:
        if not self._pauses.sleep(seconds, call.cancellation):
            raise requests.ConnectionError("the client was closed, or the call cancelled, while it waited to repeat a request")


def _put_token(request: requests.PreparedRequest, call: Call, bearer: BearerAuth) -> None:
    """Bring our token on a request up to date; leave requests alone that carry none of ours."""
    if carried_token(request) is not None:
        bearer.authorize(request, call.deadline)


def _put_key(request: requests.PreparedRequest, call: Call) -> None:
    """Put the call's idempotency key on a request that wants one, unless the caller has put one of his own there."""
    name, key = call.policy.idempotency_header, call.idempotency_key
    if name is None or key is None or request.method in IDEMPOTENT:
        return
    if isinstance(request.headers.get(name, key), IdempotencyKey):
        request.headers[name] = key


def same_token_error(response: requests.Response, now: float, attempts: int, token: str) -> UnauthorizedError:
    """Give the error for a token source that hands out the refused token again."""
    with _fork.forks_wait:
        from animus.http.status import api_error

    error = api_error(response, now=now, attempts=attempts, secrets=(token,))
    assert isinstance(error, UnauthorizedError)
    error.reason = "same_token"
    error.hint = (
        "The token source handed out the very token that the API had refused: "
        "a fixed token has ended, or the back end keeps tokens too long"
    )
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
    outcome = state.outcome.result()
    assert isinstance(outcome, _Unsuccessful)
    return outcome


def _drain(response: requests.Response, call: Call) -> None:
    """Let the connection of an answer that nobody will read be used again, or end it."""
    try:
        response.content  # noqa: B018  # reads the body, which is small for an error
    except (*FAILURES, RuntimeError):
        logger.debug("the body of a repeated request's answer broke off")
    response.close()
    call.release()


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
