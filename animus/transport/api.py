"""One call of the API: from the session's answer or exception to the package's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import requests

from animus import _fork
from animus._secret import scrub, scrub_deep
from animus.errors import AnimusError, ApiError, ApiTimeoutError, ResponseDecodeError, StreamTimeoutError
from animus.http.failure import LimitExceeded, conceal, connection_error, limit_hint
from animus.http.response import LazyResponse
from animus.http.status import LONGEST_BODY, api_error, body_text, message_in, request_id_of
from animus.http.timeouts import Timeouts
from animus.models.answer import HttpInfo
from animus.transport.attempts import FAILURES
from animus.transport.bearer import carried_token
from animus.transport.call import Call, Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

if TYPE_CHECKING:
    from animus.http.body import BodyStream

ELSEWHERE = "Check api_base_url: something other than the API may have answered"


class ApiAnswer(NamedTuple):
    """A successful answer and what it took to get it."""

    response: requests.Response
    call: Call

    @property
    def http(self) -> HttpInfo:
        """Status, headers, elapsed seconds and attempts."""
        response = self.response
        return HttpInfo(
            status=response.status_code,
            headers=response.raw.headers if type(response) is LazyResponse else response.headers,
            elapsed=response.elapsed.total_seconds(),
            attempts=self.call.attempts,
        )

    @property
    def request_id(self) -> str | None:
        """The id the API gave the request."""
        return request_id_of(self.response.headers)

    @property
    def media_type(self) -> str:
        """The content type without parameters, in lower case."""
        return str(self.response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown even if the server echoes it."""
        token = carried_token(self.response.request)
        return () if token is None else (token,)

    def content(self) -> bytes:
        """Give the whole body, also of an answer that was asked for as a stream.

        Raises:
            ApiConnectionError: it broke off, or took longer than the call's limits.
        """
        response, call = self.response, self.call
        failure: AnimusError | None = None
        try:
            content = response.content or b""
            exceeded = call.guard.fired if call.guard is not None else None
            if exceeded is None:  # else a body that ends with the connection only looks complete
                return content
        except FAILURES as error:
            exceeded = call.guard.exceeded() if call.guard is not None else None
            failure = connection_error(error, url=response.url, attempts=call.attempts)
            failure.__cause__ = error
        finally:
            call.release()
        if exceeded is not None:
            failure = ApiTimeoutError("the answer took too long", limit=exceeded, attempts=call.attempts, hint=limit_hint(exceeded))
        assert failure is not None
        raise failure

    def body_stream(self) -> BodyStream:
        """Give the body of a streamed answer as pieces of bytes."""
        with _fork.forks_wait:
            from animus.http.body import BodyStream

        call = self.call
        return BodyStream(self.response, guard=call.guard, timeouts=call.timeouts, deadline=call.deadline)

    def undecodable(self, what: str, why: str, hint: str | None = ELSEWHERE) -> ResponseDecodeError:
        """Give the error for a body that is not ``what`` the API promises."""
        return ResponseDecodeError(
            f"the API answered {self.response.status_code}, but not with {what}: {scrub(why, self.secrets)}",
            status=self.response.status_code,
            body=scrub(body_text(self.response)[:LONGEST_BODY], self.secrets),
            request_id=self.request_id,
            attempts=self.call.attempts,
            hint=hint,
        )

    def reported_error(self, raw: Mapping[str, Any]) -> ApiError:
        """Give the error for a body that says ``error`` under a status of success: some services mean it otherwise."""
        return ApiError(
            f"the API reported an error: {scrub(message_in(raw) or 'without a message', self.secrets)}",
            status=self.response.status_code,
            error_data=scrub_deep(dict(raw), self.secrets),
            request_id=self.request_id,
            attempts=self.call.attempts,
        )


def call_api(
    session: AnimusSession,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    stream: bool = False,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    cancellation: Cancellation | None = None,
) -> ApiAnswer:
    """Make a call and give its answer if that is a success.

    Args:
        path: Relative to the base URL, or a full URL.
        body: JSON.
        stream: Leave the body unread, for events.
        timeouts, retry: Instead of the session's.
        cancellation: How another thread may end the call.

    Raises:
        ApiError: the API answered, but not with success; the class says how.
        ApiConnectionError: there was no answer.
        AuthenticationError: no token was to be had.
    """
    call = Call(
        timeouts or session.timeouts,
        retry or session.retry,
        session.clock,
        resource=True,
        streaming=stream,
        cancellation=cancellation,
    )
    fields = {"Accept": "text/event-stream" if stream else "application/json", **(headers or {})}
    if body is not None:
        fields["Content-Type"] = "application/json"
    try:
        response = session.call_api(call, method, path, headers=fields, body=body, params=params)
    except FAILURES as error:
        raise _no_answer(error, session, call) from error
    answer = ApiAnswer(response, call)
    if not 200 <= response.status_code < 300:
        raise _refused(answer, session)
    return answer


def _no_answer(error: Exception, session: AnimusSession, call: Call) -> Exception:
    url = getattr(getattr(error, "request", None), "url", None) or session.base_url
    conceal(error)
    if isinstance(error, LimitExceeded) and call.streaming:
        return StreamTimeoutError(
            "no event of the stream came in time", limit=error.limit, sent=error.sent, attempts=call.attempts, hint=limit_hint(error.limit)
        )
    return connection_error(error, url=url, attempts=call.attempts)


def _refused(answer: ApiAnswer, session: AnimusSession) -> ApiError:
    response, call = answer.response, answer.call
    hint = None
    if 300 <= response.status_code < 400:
        hint = "The API redirects to another place or method, which is not followed: check api_base_url"
    try:
        return api_error(response, now=session.clock.time(), attempts=call.attempts, secrets=answer.secrets, hint=hint)
    finally:
        response.close()
        call.release()
