"""Signals, subscriptions, and telling: what every part that emits needs. The payloads are in :mod:`animus.events`.

Apart from them, because a client makes no payload before somebody listens: thirty classes need not be made before then.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from blinker import NamedSignal, Namespace

from animus import _fork

logger: logging.Logger = logging.getLogger("animus.events")  # the name by which people know it
_signals = Namespace()


class Payload(Protocol):
    """What is told: an :class:`animus.events.Event`."""

    @property
    def name(self) -> str:
        """The name of its event."""

    def _failure_of(self, receiver: str, error: BaseException) -> Payload | None:
        """Give what is told when a receiver of this raised; None: nothing."""


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
    import difflib  # for who mistypes

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

    Attributes:
        heard: Event name to something that is false while nobody can be listening. Where time counts this is looked at, in
            place of a call of :meth:`wants`: an item and its truth cost 10 ns, a call that looks in three places 60.
    """

    _lock = _fork.Lock()

    def __init__(self, sender: Any = None, *, parent: Emitter | None = None, strict: bool = False) -> None:
        self.sender = sender
        self.strict = strict
        self._parent = parent
        self._table: dict[str, tuple[Subscription, ...]] = {}
        # the very dicts in which blinker has its receivers: one that is connected later, or dies, shows here at once. One that
        # subscribes here is noted for good, and for all of a client's conversations: too much, which wants() puts right
        self.heard: dict[str, object] = parent.heard if parent is not None else {name: s.receivers for name, s in SIGNALS.items()}
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()

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
            self.heard[known] = True
        return subscription

    def once(self, name: str, receiver: Receiver) -> Subscription:
        """Call ``receiver`` for the next event of that name only."""
        lock = threading.Lock()

        def first(event: Payload) -> None:
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
        if not self.heard[name]:
            return False
        return (
            name in self._table
            or bool(SIGNALS[name].receivers)
            or (self._parent is not None and name in self._parent._table)
        )

    def emit(self, event: Payload) -> None:
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

    def _report(self, event: Payload, failed: list[tuple[str, Exception]]) -> None:
        for receiver, error in failed:
            logger.error("the receiver %s of %s raised", receiver, event.name, exc_info=error)
            report = event._failure_of(receiver, error) if self.wants("receiver_failed") else None
            if report is not None:
                self.emit(report)
        if self.strict:
            raise failed[0][1]

    def __reduce__(self) -> Any:
        return Emitter, ()


def _name_of(receiver: Any) -> str:
    return getattr(receiver, "__qualname__", None) or type(receiver).__name__
