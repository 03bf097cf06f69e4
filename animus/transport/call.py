"""The state of one logical call: one attempt count, one deadline and one 401 state for all its requests."""

from __future__ import annotations

import secrets
import threading
from typing import Any

from animus._clock import Clock
from animus.http.timeouts import Deadline, Timeouts
from animus.http.watchdog import Guard
from animus.transport.policy import RetryPolicy


class Cancellation:
    """A way to end a call from another thread: its waits are woken, its blocked read is ended.

    Attributes:
        event: Set once it is cancelled.
        guard: The guard of the exchange under way.
        sleeping: What wakes the wait under way.

    Fork: whoever has one resets it.
    """

    __slots__ = ("event", "guard", "sleeping")

    def __init__(self) -> None:
        self.event: threading.Event = threading.Event()
        self.guard: Guard | None = None
        self.sleeping: threading.Event | None = None

    def _reset_after_fork(self) -> None:
        cancelled, self.event = self.event.is_set(), threading.Event()
        if cancelled:
            self.event.set()
        self.guard = self.sleeping = None  # what they would end is the parent's

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self.event.is_set()

    def cancel(self) -> None:
        """End the call. What it raises then is nobody's business."""
        self.event.set()
        sleeping, guard = self.sleeping, self.guard
        if sleeping is not None:
            sleeping.set()
        if guard is not None:
            guard.shut()


class IdempotencyKey(str):
    """A key that we made, and so may replace in a request that is sent for another call."""

    __slots__ = ()


class Call:
    """What a call has used up. Belongs to one thread.

    Attributes:
        attempts: HTTP requests made so far, those of redirects and repetitions included.
        renewed: Whether the token was renewed after a 401; that happens once.
        resource: A call of the package itself, which follows no redirect that changes method or origin.
        streaming: The body is an event stream: ``first_event`` counts from when the request is sent.
        guard: The guard of the last attempt, kept when its body is still to be read.
        cancellation: How another thread may end the call, or None.
        send_kwargs: What ``Session.send`` was given beside the request: stream, timeout, verify, cert, proxies.
    """

    __slots__ = (
        "attempts",
        "cancellation",
        "deadline",
        "guard",
        "idempotency_key",
        "policy",
        "renewed",
        "repeats",
        "resource",
        "send_kwargs",
        "streaming",
        "timeouts",
    )

    def __init__(
        self,
        timeouts: Timeouts,
        policy: RetryPolicy,
        clock: Clock,
        *,
        resource: bool = False,
        streaming: bool = False,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.timeouts: Timeouts = timeouts
        self.policy: RetryPolicy = policy
        self.deadline: Deadline = Deadline(timeouts.deadline, clock)
        self.attempts: int = 0
        self.repeats: int = 0
        self.renewed: bool = False
        self.resource: bool = resource
        self.streaming: bool = streaming
        self.cancellation: Cancellation | None = cancellation
        self.guard: Guard | None = None
        self.send_kwargs: dict[str, Any] = {}
        # made once, where the call begins: a new key with each attempt is worse than none (gocardless-pro-python#12)
        self.idempotency_key: IdempotencyKey | None = IdempotencyKey(secrets.token_hex(16)) if policy.idempotency_header else None

    def release(self) -> None:
        """Let go of the last attempt's connection, whose body nobody will read."""
        if self.guard is not None:
            self.guard.release()
            self.guard = None

    @property
    def cancelled(self) -> bool:
        """Whether another thread ended this call."""
        return self.cancellation is not None and self.cancellation.cancelled

    def limit(self) -> tuple[str, float] | None:
        """Give the limit that the next exchange must keep as a whole, by name and seconds; None if there is none."""
        seconds = self.timeouts.first_event if self.streaming else None
        left = self.deadline.remaining()
        if left is not None and (seconds is None or left < seconds):
            return "deadline", left
        return None if seconds is None else ("first_event", seconds)
