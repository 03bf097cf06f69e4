"""Every exception the package raises.

    AnimusError
    ├─ ConfigurationError (ValueError)       a setting is missing or wrong; nothing was sent
    ├─ AuthenticationError                   no usable token, or the API refused it
    │   ├─ TokenSourceError                  the place where tokens come from failed
    │   └─ UnauthorizedError (ApiError)      the API answered 401, after one renewal
    ├─ ApiError                              the API answered, but not with success
    │   ├─ BadRequestError                   400, 422
    │   ├─ PaymentRequiredError              402
    │   ├─ PermissionDeniedError             403
    │   ├─ NotFoundError                     404
    │   ├─ ConflictError                     409
    │   ├─ RateLimitError                    429 (.retry_after)
    │   ├─ ServerError                       5xx
    │   └─ ResponseDecodeError               2xx, but not what the API promises
    ├─ ApiConnectionError                    no answer (.sent: did the request leave)
    │   └─ ApiTimeoutError                   a time limit fired (.limit says which)
    ├─ StreamError                           a streamed answer broke off (.partial: what had arrived)
    │   ├─ StreamInterruptedError            the connection ended too early
    │   ├─ StreamDecodeError                 an event that is no chunk
    │   ├─ StreamApiError (ApiError)         an error object inside the stream
    │   └─ StreamTimeoutError (ApiTimeoutError)
    ├─ JobError                              long work did not succeed (.job)
    │   ├─ JobFailedError
    │   └─ JobTimeoutError
    ├─ ToolError                             a tool or its loop ended the exchange
    ├─ WebhookError                          a webhook that cannot be trusted
    └─ BatchError                            part of a batch failed

All of them pickle as plain data: keyword state only, no live response, no lock. None of them ever
holds a token or key.
"""

from __future__ import annotations

from typing import Any


def _rebuild(cls: type[AnimusError], message: str, state: dict[str, Any]) -> AnimusError:
    error = cls.__new__(cls)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


class AnimusError(Exception):
    """The root of all errors of this package.

    Args:
        message: What went wrong, in one line.
        hint: What to do about it, in one line.

    Attributes:
        message: The text without status, request id and hint.
        hint: What to do about it, or None.
        attempts: How many HTTP requests the failed call made, or None where no call was made.
        partial: What had arrived when a call broke off, or None.
    """

    def __init__(self, message: str = "", *, hint: str | None = None, attempts: int | None = None, partial: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.attempts = attempts
        self.partial = partial

    def _details(self) -> list[str]:
        return []

    def __str__(self) -> str:
        details = self._details()
        text = " ".join(str(self.message).split()) or type(self).__name__
        if details:
            text += f" ({', '.join(details)})"
        if self.hint:
            text += f". {self.hint}"
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, dict(self.__dict__))


class ConfigurationError(AnimusError, ValueError):
    """A setting is missing or wrong. Nothing was sent and nothing was changed."""


class AuthenticationError(AnimusError):
    """There is no usable token, or the API refused the one it was shown.

    Attributes:
        reason: A short fixed word for what happened, such as ``"unauthorized"`` or ``"html_page"``.
        status: The HTTP status of the side that refused, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "unauthorized",
        status: int | None = None,
        hint: str | None = None,
        attempts: int | None = None,
        partial: Any = None,
        **further: Any,
    ) -> None:
        super().__init__(message, hint=hint, attempts=attempts, partial=partial, **further)
        self.reason = reason
        self.status = status


class TokenSourceError(AuthenticationError):
    """The token source failed or answered something that is no usable token.

    Attributes:
        source: The name of the source (never with credentials or a query in it).
        reason: One of ``unauthorized``, ``not_found``, ``method_not_allowed``, ``rate_limited``, ``client_error``,
            ``server_error``, ``redirect_to_login``, ``html_page``, ``not_json``, ``wrong_shape``, ``bad_jwt``,
            ``no_exp``, ``expired``, ``bad_signature``, ``bad_claims``, ``no_keys``, ``unreachable``, ``timeout``, ``tls``,
            ``too_large``, ``not_available``, ``failed``.
        status: The HTTP status the source answered, or None.
        retry_after: Seconds the source asked to wait, or None.
        failures: For a chain of sources: what each of those it asked ended in, as ``(name, TokenSourceError)``, in order.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "failed",
        source: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        failures: tuple[tuple[str, TokenSourceError], ...] = (),
        hint: str | None = None,
        attempts: int | None = None,
    ) -> None:
        super().__init__(message, reason=reason, status=status, hint=hint, attempts=attempts)
        self.source = source
        self.retry_after = retry_after
        self.failures = failures

    def _details(self) -> list[str]:
        details = [f"reason: {self.reason}"]
        if self.status is not None:
            details.append(f"status {self.status}")
        if self.source:
            details.append(f"source: {self.source}")
        return details


class ApiError(AnimusError):
    """The API answered, but not with success.

    Attributes:
        status: The HTTP status.
        error_data: The decoded JSON body of the answer, or None.
        body: The first part of the body as text.
        request_id: The ``x-request-id`` (or relative) of the answer, or None.
        response: A :class:`requests.Response` copy without the request's Authorization, or None.
        retry_after: Seconds the API asked to wait (``Retry-After``), or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int | None = None,
        error_data: Any = None,
        body: str | None = None,
        request_id: str | None = None,
        response: Any = None,
        retry_after: float | None = None,
        hint: str | None = None,
        attempts: int | None = None,
        partial: Any = None,
        **further: Any,
    ) -> None:
        super().__init__(message, hint=hint, attempts=attempts, partial=partial, **further)
        self.status = status
        self.error_data = error_data
        self.body = body
        self.request_id = request_id
        self.response = response
        self.retry_after = retry_after

    def _details(self) -> list[str]:
        details = [] if self.status is None else [f"status {self.status}"]
        if self.request_id:
            details.append(f"request {self.request_id}")
        if self.attempts is not None and self.attempts > 1:
            details.append(f"after {self.attempts} attempts")
        return details

    def __reduce__(self) -> tuple[Any, ...]:
        # a response holds a socket and a connection; what it said is in status, body and error_data
        return _rebuild, (type(self), self.message, {**self.__dict__, "response": None})


class UnauthorizedError(AuthenticationError, ApiError):
    """The API answered 401, also to a renewed token."""

    def __init__(self, message: str = "", *, reason: str = "refused_by_api", **state: Any) -> None:
        status = state.pop("status", 401)
        super().__init__(message, reason=reason, status=status, **state)
        self.status = status

    def _details(self) -> list[str]:
        return [f"reason: {self.reason}", *ApiError._details(self)]


class BadRequestError(ApiError):
    """400 or 422: the API does not accept what was sent."""


class PaymentRequiredError(ApiError):
    """402: no plan, or not enough credit."""


class PermissionDeniedError(ApiError):
    """403: the token is known, but may not do this."""


class NotFoundError(ApiError):
    """404: there is no such thing."""


class ConflictError(ApiError):
    """409: the thing is in a state that does not allow this."""


class RateLimitError(ApiError):
    """429: too many requests. ``retry_after`` has the seconds to wait, if the API said so."""


class ServerError(ApiError):
    """5xx: the API failed."""


class ResponseDecodeError(ApiError):
    """The status says success, but the body is not what the API promises."""


class ApiConnectionError(AnimusError):
    """There was no answer.

    Attributes:
        sent: False if the request certainly never left; True if it did, or may have.
    """

    def __init__(self, message: str = "", *, sent: bool = True, **state: Any) -> None:
        super().__init__(message, **state)
        self.sent = sent

    def _details(self) -> list[str]:
        details = super()._details()
        if not self.sent:
            details.append("the request was not sent")
        if self.attempts is not None and self.attempts > 1:
            details.append(f"after {self.attempts} attempts")
        return details


class ApiTimeoutError(ApiConnectionError):
    """A time limit fired.

    Attributes:
        limit: Which one: ``connect``, ``read``, ``first_event``, ``idle`` or ``deadline``.
    """

    def __init__(self, message: str = "", *, limit: str = "read", **state: Any) -> None:
        super().__init__(message, **state)
        self.limit = limit

    def _details(self) -> list[str]:
        return [f"limit: {self.limit}", *super()._details()]


class StreamError(AnimusError):
    """A streamed answer did not come to its end.

    Attributes:
        partial: What had arrived, as a :class:`animus.models.chat.ChatCompletion`; None if nothing had.
    """


class StreamInterruptedError(StreamError):
    """The connection ended before the answer did."""


class StreamDecodeError(StreamError):
    """A complete event whose data is no chunk of an answer."""


class StreamApiError(StreamError, ApiError):
    """The API reported an error inside the stream.

    Attributes:
        code: The ``code`` of the error object, or None.
        type: The ``type`` of the error object, or None.
    """

    def __init__(self, message: str = "", *, code: Any = None, type: str | None = None, **state: Any) -> None:
        super().__init__(message, **state)
        self.code = code
        self.type = type


class StreamTimeoutError(StreamError, ApiTimeoutError):
    """A stream was silent for too long (``first_event``, ``idle``) or took too long (``deadline``)."""


class JobError(AnimusError):
    """Long work did not succeed.

    Attributes:
        job: The job as last seen.
    """

    def __init__(self, message: str = "", *, job: Any = None, **state: Any) -> None:
        super().__init__(message, **state)
        self.job = job


class JobFailedError(JobError):
    """The API says that the job failed or was cancelled."""


class JobTimeoutError(JobError):
    """The job was not done in time. It may still be running: ``.job`` has its id."""


class ToolError(AnimusError):
    """A tool, or the loop that calls tools, ended the exchange. ``.partial`` has all that was gathered.

    Attributes:
        limit: Which limit of the loop was reached: ``rounds``, ``seconds`` or ``identical_calls``; None: something else.
        results: The results of the round that was ended, one for each of its calls, in order.
    """

    def __init__(self, message: str = "", *, limit: str | None = None, results: Any = (), **state: Any) -> None:
        super().__init__(message, **state)
        self.limit = limit
        self.results = results

    def _details(self) -> list[str]:
        return [] if self.limit is None else [f"limit: {self.limit}"]


class WebhookError(AnimusError):
    """A webhook whose signature, time or body is not right."""


class BatchError(AnimusError):
    """Part of a batch failed.

    Attributes:
        results: One entry for each item: its result or its exception.
    """

    def __init__(self, message: str = "", *, results: Any = None, **state: Any) -> None:
        super().__init__(message, **state)
        self.results = results


STATUS_CLASSES: dict[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    402: PaymentRequiredError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadRequestError,
    429: RateLimitError,
}


def class_for_status(status: int) -> type[ApiError]:
    """Give the :class:`ApiError` class for an HTTP status."""
    if status >= 500:
        return ServerError
    return STATUS_CLASSES.get(status, ApiError)
