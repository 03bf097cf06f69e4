"""``POST /chat/completions``: one call, a typed answer or a stream of typed chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from animus import _fork
from animus.http.timeouts import Timeouts
from animus.models.chat import ChatCompletion, ShapeError, decode_completion
from animus.resources.body import encode_body
from animus.transport.api import ApiAnswer, call_api
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

if TYPE_CHECKING:
    from animus.streaming.stream import ChatStream, StreamObserver

_PATH = "/chat/completions"


@overload
def complete(
    session: AnimusSession,
    body: Mapping[str, Any],
    *,
    stream: Literal[False] = ...,
    observer: None = ...,
    timeouts: Timeouts | None = ...,
    retry: RetryPolicy | None = ...,
    cancellation: Cancellation | None = ...,
) -> ChatCompletion: ...
@overload
def complete(
    session: AnimusSession,
    body: Mapping[str, Any],
    *,
    stream: Literal[True],
    observer: StreamObserver | None = ...,
    timeouts: Timeouts | None = ...,
    retry: RetryPolicy | None = ...,
    cancellation: Cancellation | None = ...,
) -> ChatStream: ...
def complete(
    session: AnimusSession,
    body: Mapping[str, Any],
    *,
    stream: bool = False,
    observer: StreamObserver | None = None,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    cancellation: Cancellation | None = None,
) -> ChatCompletion | ChatStream:
    """Make one call (plus repetitions).

    Args:
        body: The request as the API takes it.
        stream: Whether ``body`` asks for a stream.
        observer: Whom the stream tells about text, end and failure.

    Raises:
        ApiError, ApiConnectionError, AuthenticationError: as :func:`animus.transport.api.call_api`.
        ResponseDecodeError: the answer is not what the API promises.
    """
    answer = call_api(
        session, "POST", _PATH, body=encode_body(body), stream=stream, timeouts=timeouts, retry=retry, cancellation=cancellation
    )
    if not stream:
        return whole_completion(answer)
    with _fork.forks_wait:
        from animus.streaming.stream import ChatStream

    if answer.media_type == "application/json" or answer.response.status_code == 204:
        return ChatStream.of(whole_completion(answer), observer=observer)
    return ChatStream(
        answer.body_stream(), http=answer.http, request_id=answer.request_id, observer=observer, secrets=answer.secrets
    )


def whole_completion(answer: ApiAnswer) -> ChatCompletion:
    """Read an answer that is one JSON object.

    Raises:
        ResponseDecodeError: it is no completion.
        ApiError: it is an error object.
        ApiConnectionError: it broke off.
    """
    try:
        completion = decode_completion(answer.content(), answer.http)
    except ShapeError as error:
        raise answer.undecodable("a completion", str(error)) from None
    if not completion.choices:
        raw = completion.raw
        if isinstance(raw, Mapping) and raw.get("error"):
            raise answer.reported_error(raw)
        raise answer.undecodable("a completion", "there are no choices in it")
    return completion
