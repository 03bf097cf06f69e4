"""Limits of the loop: no model calls tools without end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from animus import _check
from animus._clock import Clock
from animus.errors import ToolError
from animus.tools.arguments import canonical


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolLimits:
    """How far the loop may go; None switches a limit off. What goes beyond ends the run with a :class:`~animus.ToolError`.

    Attributes:
        rounds: So many rounds of calls; a round is all calls of one answer.
        seconds: From the first call to the beginning of the last one, the model's answers between them included. A
            function that runs is not ended: give it a time limit of its own.
        identical_calls: So many calls with the same name and the same arguments.
    """

    rounds: int | None = 10
    seconds: float | None = 120.0
    identical_calls: int | None = 3

    def __post_init__(self) -> None:
        if self.rounds is not None:
            _check.integer("tool_limits.rounds", self.rounds, 1)
        if self.seconds is not None:
            _check.seconds("tool_limits.seconds", self.seconds, zero=False)
        if self.identical_calls is not None:
            _check.integer("tool_limits.identical_calls", self.identical_calls, 1)

    @classmethod
    def make(cls, value: object, default: ToolLimits | None = None) -> ToolLimits:
        """Give the limits that ``value`` means: None (the default), a :class:`ToolLimits`, or a mapping of single limits.

        Raises:
            ConfigurationError: anything else.
        """
        made = _check.made_of(default or cls(), value, "tool_limits")
        if made is not None:
            return made
        raise _check.refuse("tool_limits", value, "a ToolLimits or a mapping of limits")


class LimitWatch:
    """Counts what a run has used. One thread uses it."""

    def __init__(self, limits: ToolLimits, clock: Clock) -> None:
        self.limits = limits
        self.rounds: int = 0
        self._clock = clock
        self._began: float | None = None
        self._calls: Counter[tuple[str, str]] = Counter()

    def begin_round(self) -> None:
        """Count a round.

        Raises:
            ToolError: it is one too many, or the time is over.
        """
        if self._began is None:
            self._began = self._clock.monotonic()
        if self.limits.rounds is not None and self.rounds >= self.limits.rounds:
            raise _reached("rounds", f"the model wanted tools called in more than {self.limits.rounds} rounds")
        self._check_time()
        self.rounds += 1

    def count_call(self, name: str, arguments: str) -> None:
        """Count a call.

        Raises:
            ToolError: the same call was made too often, or the time is over.
        """
        self._check_time()
        call = name, canonical(arguments)
        if self.limits.identical_calls is not None and self._calls[call] >= self.limits.identical_calls:
            times = self.limits.identical_calls
            raise _reached("identical_calls", f"the model wanted {name} called more than {times} times with the same arguments")
        self._calls[call] += 1

    def _check_time(self) -> None:
        limit = self.limits.seconds
        if limit is not None and self._began is not None and self._clock.monotonic() - self._began >= limit:
            raise _reached("seconds", f"the tool calls took longer than {limit:g} s")


def _reached(limit: str, text: str) -> ToolError:
    return ToolError(text, limit=limit, hint=f"ToolLimits({limit}=…) sets the limit; what was done so far is on this exception")
