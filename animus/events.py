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

import difflib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, overload

from blinker import NamedSignal, Namespace

from animus import _fork

logger: logging.Logger = logging.getLogger(__name__)
_signals = Namespace()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The root of all event payloads. ``name`` is the name for :meth:`Emitter.on`."""

    name: ClassVar[str] = ""


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


# ---- signals -------------------------------------------------------------------------------------------

message_start: NamedSignal = _signals.signal("message_start")
message_tokens: NamedSignal = _signals.signal("message_tokens")
message_progress: NamedSignal = _signals.signal("message_progress")
message_complete: NamedSignal = _signals.signal("message_complete")
message_error: NamedSignal = _signals.signal("message_error")
turns_complete: NamedSignal = _signals.signal("turns_complete")
exchange_cancelled: NamedSignal = _signals.signal("exchange_cancelled")
image_generation_start: NamedSignal = _signals.signal("image_generation_start")
image_generation_complete: NamedSignal = _signals.signal("image_generation_complete")
image_generation_error: NamedSignal = _signals.signal("image_generation_error")
tool_call_start: NamedSignal = _signals.signal("tool_call_start")
tool_call_complete: NamedSignal = _signals.signal("tool_call_complete")
tool_call_error: NamedSignal = _signals.signal("tool_call_error")
token_refreshed: NamedSignal = _signals.signal("token_refreshed")
token_refresh_failed: NamedSignal = _signals.signal("token_refresh_failed")
token_cleared: NamedSignal = _signals.signal("token_cleared")
token_issued: NamedSignal = _signals.signal("token_issued")
token_refused: NamedSignal = _signals.signal("token_refused")
request_start: NamedSignal = _signals.signal("request_start")
request_retry: NamedSignal = _signals.signal("request_retry")
request_complete: NamedSignal = _signals.signal("request_complete")
job_progress: NamedSignal = _signals.signal("job_progress")
job_complete: NamedSignal = _signals.signal("job_complete")
batch_progress: NamedSignal = _signals.signal("batch_progress")
receiver_failed: NamedSignal = _signals.signal("receiver_failed")

SIGNALS: Mapping[str, NamedSignal] = {str(signal.name): signal for signal in _signals.values()}

# typed in JavaScript, but never emitted there; people who port code ask for them (E16)
_LEGACY = {
    "conversational_turn_start": "message_start (message_type 'auto')",
    "conversational_turn_complete": "message_complete (message_type 'auto')",
    "conversational_turns_complete": "turns_complete",
    "conversational_turns_canceled": "exchange_cancelled",
    "conversational_turns_cancelled": "exchange_cancelled",
}

Receiver = Callable[[Any], object]
R = TypeVar("R", bound=Receiver)


def event_name(name: str) -> str:
    """Give the event name for ``name``, which may be spelt as in JavaScript.

    Raises:
        ValueError: there is no such event; the text names near ones, or what replaces it.

    >>> event_name("messageComplete")
    'message_complete'
    """
    if not isinstance(name, str):
        raise ValueError(f"an event name is a string, not {type(name).__name__}; known are {', '.join(SIGNALS)}")
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    if snake in SIGNALS:
        return snake
    if snake in _LEGACY:
        raise ValueError(f"the event {name!r} is never emitted; listen to {_LEGACY[snake]}")
    near = difflib.get_close_matches(snake, SIGNALS, 3)
    raise ValueError(f"unknown event {name!r}; " + (f"did you mean {' or '.join(near)}?" if near else f"known are {', '.join(SIGNALS)}"))


class Subscription:
    """What :meth:`Emitter.on` gives back. ``cancel()`` ends it; so does leaving it as a context manager."""

    __slots__ = ("_call", "_emitter", "event_name", "receiver")

    def __init__(self, emitter: Emitter, event_name: str, receiver: Receiver, call: Receiver) -> None:
        self._emitter = emitter
        self._call = call  # the receiver, or what calls it once
        self.event_name: str = event_name
        self.receiver: Receiver = receiver

    def cancel(self) -> None:
        """Stop calling the receiver; a second call does nothing."""
        self._emitter._remove(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.cancel()

    def __repr__(self) -> str:
        return f"<Subscription {self.event_name} -> {_name_of(self.receiver)}>"


class Emitter:
    """Subscriptions of one client or conversation, and the one place that calls receivers.

    Threads: any. The lock guards the table of subscriptions while it is changed; emitting reads one immutable tuple.
    Pickling: subscriptions do not travel.

    Args:
        sender: What raw blinker receivers get as sender: the root client.
        parent: The emitter that hears everything too (a conversation's parent is its client's).
        strict: Raise what a receiver raises, after the others were called.
    """

    def __init__(self, sender: Any = None, *, parent: Emitter | None = None, strict: bool = False) -> None:
        self.sender = sender
        self.strict = strict
        self._parent = parent
        self._table: dict[str, tuple[Subscription, ...]] = {}
        self._lock = threading.Lock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    @overload
    def on(self, name: str) -> Callable[[R], R]: ...
    @overload
    def on(self, name: str, receiver: Receiver) -> Subscription: ...
    def on(self, name: str, receiver: Receiver | None = None) -> Any:
        """Call ``receiver(event)`` for every event of that name; as decorator give back the function.

        Raises:
            ValueError: unknown event name, or a receiver that cannot be called.
        """
        known = event_name(name)
        if receiver is None:

            def decorate(function: R) -> R:
                self.on(known, function)
                return function

            return decorate
        return self._subscribe(known, receiver, receiver)

    def _subscribe(self, known: str, receiver: Receiver, call: Receiver) -> Subscription:
        if not callable(receiver):
            raise ValueError(f"the receiver for {known} cannot be called: it is a {type(receiver).__name__}")
        subscription = Subscription(self, known, receiver, call)
        with self._lock:
            self._table[known] = (*self._table.get(known, ()), subscription)
        return subscription

    def once(self, name: str, receiver: Receiver) -> Subscription:
        """Call ``receiver`` for the next event of that name only."""
        lock = threading.Lock()

        def first(event: Event) -> None:
            if lock.acquire(blocking=False):  # two threads may emit at once: the second finds it taken
                subscription.cancel()
                receiver(event)

        with lock:  # an event that comes before the subscription is known here is not yet for it
            subscription = self._subscribe(event_name(name), receiver, first)
        return subscription

    def off(self, name: str, receiver: Receiver | None = None) -> int:
        """Cancel the subscriptions of ``receiver`` (of all, without one) to that event; give how many."""
        known = event_name(name)
        gone = [s for s in self._table.get(known, ()) if receiver is None or s.receiver == receiver]
        for subscription in gone:
            subscription.cancel()
        return len(gone)

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            rest = tuple(s for s in self._table.get(subscription.event_name, ()) if s is not subscription)
            if rest:
                self._table[subscription.event_name] = rest
            else:
                self._table.pop(subscription.event_name, None)

    def wants(self, name: str) -> bool:
        """Tell whether anybody listens to that event."""
        return (
            name in self._table
            or bool(SIGNALS[name].receivers)
            or (self._parent is not None and name in self._parent._table)
        )

    def emit(self, event: Event) -> None:
        """Call all receivers of ``event``: own ones, the parent's, then those of the blinker signal.

        Emits ``receiver_failed`` for each receiver that raised.

        Raises:
            Exception: with ``strict``, the first one a receiver raised.
        """
        name = event.name
        failed: list[tuple[str, Exception]] = []
        for subscription in (*self._table.get(name, ()), *(self._parent._table.get(name, ()) if self._parent else ())):
            try:
                subscription._call(event)
            except Exception as error:
                failed.append((_name_of(subscription.receiver), error))
        signal = SIGNALS[name]
        if signal.receivers:
            for receiver in signal.receivers_for(self.sender):
                try:
                    receiver(self.sender, event=event)
                except Exception as error:
                    failed.append((_name_of(receiver), error))
        if failed:
            self._report(event, failed)

    def _report(self, event: Event, failed: list[tuple[str, Exception]]) -> None:
        for receiver, error in failed:
            logger.error("the receiver %s of %s raised", receiver, event.name, exc_info=error)
            if not isinstance(event, ReceiverFailed) and self.wants(ReceiverFailed.name):
                self.emit(ReceiverFailed(receiver=receiver, event=event, error=error))
        if self.strict:
            raise failed[0][1]

    def __reduce__(self) -> Any:
        return Emitter, ()


def _name_of(receiver: Any) -> str:
    return getattr(receiver, "__qualname__", None) or type(receiver).__name__


__all__ = [
    *(n for n, v in list(globals().items()) if isinstance(v, type) and issubclass(v, Event)),
    *SIGNALS,
    "SIGNALS",
    "Emitter",
    "Subscription",
    "event_name",
]
