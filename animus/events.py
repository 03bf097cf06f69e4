"""Events: every blinker signal, its frozen payload, subscribing and emitting.

Two ways to listen:

* ``client.on("message_complete", receiver)``: the receiver is held strongly, called with the event in the emitting
  thread, in the order of subscription, and isolated: if it raises, the exception is logged with its traceback,
  reported by ``receiver_failed``, and the work goes on (with ``strict_receivers=True`` it is raised). JavaScript
  spellings (``"messageComplete"``) are accepted.
* ``animus.events.message_complete.connect(receiver)``: the blinker signal, for people who know blinker: weak
  references, no promised order, called as ``receiver(client, event=event)`` for all clients of the process.

Without a receiver an event costs one look: emitters ask :meth:`Emitter.wants` before they build a payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from animus._emitter import (
    SIGNALS as SIGNALS,
    Emitter as Emitter,
    Receiver as Receiver,
    Subscription as Subscription,
    batch_progress as batch_progress,
    event_name as event_name,
    exchange_cancelled as exchange_cancelled,
    image_generation_complete as image_generation_complete,
    image_generation_error as image_generation_error,
    image_generation_start as image_generation_start,
    job_complete as job_complete,
    job_progress as job_progress,
    message_complete as message_complete,
    message_error as message_error,
    message_progress as message_progress,
    message_start as message_start,
    message_tokens as message_tokens,
    receiver_failed as receiver_failed,
    request_complete as request_complete,
    request_retry as request_retry,
    request_start as request_start,
    token_cleared as token_cleared,
    token_issued as token_issued,
    token_refresh_failed as token_refresh_failed,
    token_refreshed as token_refreshed,
    token_refused as token_refused,
    tool_call_complete as tool_call_complete,
    tool_call_error as tool_call_error,
    tool_call_start as tool_call_start,
    turns_complete as turns_complete,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all event payloads. ``name`` is the name for :meth:`Emitter.on`."""

    name: ClassVar[str] = ""

    def _failure_of(self, receiver: str, error: BaseException) -> ReceiverFailed | None:
        """Give what is told when a receiver of this event raised."""
        return ReceiverFailed(receiver=receiver, event=self, error=error)


# ---- messages ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent(Event):
    """What all events of an exchange have.

    Attributes:
        chat_id: The conversation this belongs to.
        conversation_id: The exchange (one ``send`` or one ``completions`` call) this belongs to; the name is
            JavaScript's.
        message_type: ``"regular"``, ``"auto"`` (a turn) or ``"followup"``.
    """

    chat_id: str | None = None
    conversation_id: str | None = None
    message_type: str = "regular"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStart(MessageEvent):
    """A message begins.

    Attributes:
        content: The user's text; for a turn the text that is about to be said; empty for a follow-up.
        delay: Seconds of typing before a turn is said.
    """

    name: ClassVar[str] = "message_start"
    content: str = ""
    turn_index: int | None = None
    total_turns: int | None = None
    delay: float | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    compliance_violations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTokens(MessageEvent):
    """A further piece of streamed text, never half a character."""

    name: ClassVar[str] = "message_tokens"
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageProgress(MessageEvent):
    """The streamed text so far, each time its length reaches or passes a further multiple of 20 characters."""

    name: ClassVar[str] = "message_progress"
    content: str = ""
    is_complete: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageComplete(MessageEvent):
    """A message is complete; the history already has it."""

    name: ClassVar[str] = "message_complete"
    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    image_prompt: str | None = None
    compliance_violations: tuple[str, ...] = ()
    finish_reason: str | None = None
    turn_index: int | None = None
    total_turns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageError(MessageEvent):
    """A message failed. ``error`` is always an exception; its ``.partial`` has what had arrived."""

    name: ClassVar[str] = "message_error"
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnsComplete(MessageEvent):
    """The last turn of an answer was said."""

    name: ClassVar[str] = "turns_complete"
    message_type: str = "auto"
    total_turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCancelled(MessageEvent):
    """Something pending of an exchange was cut: so many turns, and perhaps a follow-up."""

    name: ClassVar[str] = "exchange_cancelled"
    pending_turns: int = 0
    follow_up: bool = False


# ---- images and tools ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGenerationStart(MessageEvent):
    """An image is being asked for."""

    name: ClassVar[str] = "image_generation_start"
    prompt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGenerationComplete(MessageEvent):
    """An image was made."""

    name: ClassVar[str] = "image_generation_complete"
    prompt: str = ""
    image_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGenerationError(MessageEvent):
    """An image could not be made."""

    name: ClassVar[str] = "image_generation_error"
    prompt: str = ""
    error: BaseException


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallEvent(MessageEvent):
    """What all events of a tool call have. ``arguments`` is the JSON text the model sent."""

    tool_call_id: str | None = None
    tool_name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallStart(ToolCallEvent):
    """A tool is about to be called."""

    name: ClassVar[str] = "tool_call_start"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallComplete(ToolCallEvent):
    """A tool gave its result; ``result`` is what goes back to the model."""

    name: ClassVar[str] = "tool_call_complete"
    result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallError(ToolCallEvent):
    """A tool raised, or its arguments were not valid."""

    name: ClassVar[str] = "tool_call_error"
    error: BaseException


# ---- authentication, requests, long work ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed(Event):
    """A new token is in use. Times are Unix seconds and seconds; the token itself is not here."""

    name: ClassVar[str] = "token_refreshed"
    source: str = ""
    expires_at: float | None = None
    elapsed: float = 0.0
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshFailed(Event):
    """The token source failed. With ``background`` the valid token stays in use."""

    name: ClassVar[str] = "token_refresh_failed"
    source: str = ""
    error: BaseException
    background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCleared(Event):
    """The token was dropped: ``reason`` is ``"cleared"`` (by the caller) or ``"rejected"`` (by the API)."""

    name: ClassVar[str] = "token_cleared"
    source: str = ""
    reason: str = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpointEvent(Event):
    """What the events of a token endpoint (:mod:`animus.server`) have; their sender is the issuer. The token itself is not here.

    Attributes:
        user: The id of the user, or None where nobody is known.
        remote_address: Where the request came from, or None where there was none.
        reason: A short fixed word.
    """

    user: str | None = None
    remote_address: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssued(TokenEndpointEvent):
    """A token was handed out: ``reason`` is ``"fetched"`` (from the auth service, now) or ``"cached"``."""

    name: ClassVar[str] = "token_issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused(TokenEndpointEvent):
    """No token was handed out.

    Attributes:
        reason: ``not_signed_in``, ``not_allowed``, ``foreign_origin``, ``method_not_allowed``, ``length_required``, ``too_large``,
            ``rate_limited``, ``server_error``, ``upstream_failed``, ``upstream_unavailable`` or ``upstream_timeout``.
        status: The HTTP status that goes with it.
        cause: Where the auth service's side failed: the reason of the :class:`~animus.errors.TokenSourceError`.
    """

    name: ClassVar[str] = "token_refused"
    status: int = 0
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent(Event):
    """What all events of an HTTP attempt have. ``path`` has no query; ``attempt`` counts from 1."""

    method: str = ""
    path: str = ""
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStart(RequestEvent):
    """An HTTP request is about to be sent."""

    name: ClassVar[str] = "request_start"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRetry(RequestEvent):
    """A request will be repeated after ``wait`` seconds, because of ``status`` or ``error``."""

    name: ClassVar[str] = "request_retry"
    wait: float = 0.0
    status: int | None = None
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestComplete(RequestEvent):
    """An attempt ended: with a ``status`` (for a stream: its head arrived) or with an ``error``."""

    name: ClassVar[str] = "request_complete"
    status: int | None = None
    elapsed: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress(Event):
    """A job was looked at."""

    name: ClassVar[str] = "job_progress"
    job_id: str = ""
    kind: str = ""
    status: str = ""
    percent: float | None = None
    elapsed: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobComplete(Event):
    """A job ended; ``error`` is None if it succeeded."""

    name: ClassVar[str] = "job_complete"
    job_id: str = ""
    kind: str = ""
    status: str = ""
    elapsed: float = 0.0
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress(Event):
    """So many of ``total`` items are done, of which ``failed`` failed."""

    name: ClassVar[str] = "batch_progress"
    done: int = 0
    failed: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverFailed(Event):
    """A receiver raised; ``event`` is what it was given."""

    name: ClassVar[str] = "receiver_failed"
    receiver: str = ""
    event: Event
    error: BaseException

    def _failure_of(self, receiver: str, error: BaseException) -> None:
        """Nothing is told: it would be without end."""


__all__ = [
    *(n for n, v in list(globals().items()) if isinstance(v, type) and issubclass(v, Event)),
    *SIGNALS,
    "SIGNALS",
    "Emitter",
    "Subscription",
    "event_name",
]
