"""Time limits as values."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from animus import _check
from animus._clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The limits of one call, in seconds; None switches one off.

    Attributes:
        connect: To connect, the TLS handshake included.
        read: Silence of the server while its answer is awaited or read.
        first_event: Until the first event of a streamed answer.
        idle: Between two events of a streamed answer; comments and empty events do not count.
        deadline: Over everything: fetching a token, all attempts, the waits between them, and the body.
    """

    connect: float | None = 10.0
    read: float | None = 120.0
    first_event: float | None = 120.0
    idle: float | None = 60.0
    deadline: float | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                _check.seconds(f"timeouts.{field.name}", value, zero=False)

    @classmethod
    def make(cls, value: object, default: Timeouts | None = None) -> Timeouts:
        """Give the limits that ``timeouts=value`` means.

        Args:
            value: None (the default), a :class:`Timeouts`, a mapping of single limits, or a number: the deadline.
            default: What is not named comes from here.

        Raises:
            ConfigurationError: anything else.
        """
        default = default or cls()
        made = _check.made_of(default, value, "timeouts")
        if made is not None:
            return made
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return replace(default, deadline=value)
        raise _check.refuse("timeouts", value, "a Timeouts, a mapping of limits, or the seconds for the whole call")


class Deadline:
    """A point in time by which everything must be over; ``end`` is on ``clock.monotonic()``."""

    __slots__ = ("clock", "end")

    def __init__(self, seconds: float | None, clock: Clock) -> None:
        self.clock: Clock = clock
        self.end: float | None = None if seconds is None else clock.monotonic() + seconds

    def remaining(self) -> float | None:
        """Give the seconds left (negative: over), or None without a limit."""
        return None if self.end is None else self.end - self.clock.monotonic()

    def over(self) -> bool:
        """Tell whether the time is up."""
        return self.end is not None and self.clock.monotonic() >= self.end

    def within(self, seconds: float | None) -> float | None:
        """Give the lesser of ``seconds`` and what is left."""
        left = self.remaining()
        if left is None:
            return seconds
        return left if seconds is None else min(seconds, left)
