"""Rounds of tool calls: the calls of one answer are made, and each gets its result."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any

from animus._clock import SYSTEM_CLOCK, Clock
from animus.errors import ToolError
from animus.events import Event
from animus.tools.limits import LimitWatch, ToolLimits
from animus.tools.result import ToolResult
from animus.tools.round import CANCELLED, Round
from animus.tools.toolbox import Toolbox


class ToolRun:
    """The tool calls of one exchange, round by round, under its limits.

    Threads: one runs it. With a parallel toolbox functions run in daemon threads; receivers of events and hooks are called in the
    thread that runs it, never two at once. A function that runs is never ended.

    Args:
        toolbox: The tools.
        limits: How far it may go; see :meth:`ToolLimits.make`.
        clock: Measures the seconds.
    """

    def __init__(self, toolbox: Toolbox, *, limits: ToolLimits | Mapping[str, Any] | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.toolbox = toolbox
        self._watch = LimitWatch(ToolLimits.make(limits), clock)
        self._results: list[ToolResult] = []
        self._last: tuple[ToolResult, ...] = ()

    @property
    def rounds(self) -> int:
        """How many rounds were begun."""
        return self._watch.rounds

    @property
    def results(self) -> tuple[ToolResult, ...]:
        """The results of all rounds."""
        return tuple(self._results)

    @property
    def last_results(self) -> tuple[ToolResult, ...]:
        """The results of the last round, one for each of its calls, in order; also of a round that was ended half-way."""
        return self._last

    def round(
        self,
        calls: Sequence[Mapping[str, Any]],
        *,
        say: Callable[[Event], object] | None = None,
        ids: Mapping[str, Any] | None = None,
        cut: threading.Event | None = None,
    ) -> list[ToolResult]:
        """Make the calls of one answer; give their results in the order of the calls.

        What is wrong with a call (its arguments, an unknown tool, a function that raises) is a result like any other:
        its content tells the model.

        Args:
            calls: As sent: ``{"id", "type", "function": {"name", "arguments"}}``.
            say: Called with each event.
            ids: ``chat_id``, ``conversation_id`` and ``message_type`` for the events.
            cut: When it is set, functions that have not begun are not called any more; their results say so.

        Emits ``tool_call_start`` for each call that is looked at, then ``tool_call_complete`` or ``tool_call_error``.

        Raises:
            ToolError: a limit was reached (``.limit``), a hook raised, or a function did and the toolbox raises errors.
                ``.results`` has a result for every call, so that a history can be kept consistent.
        """
        with closing(self.steps(calls, ids=ids, cut=cut)) as steps:
            while True:
                try:
                    event = next(steps)
                except StopIteration as end:
                    results: list[ToolResult] = end.value
                    return results
                if say is not None:
                    say(event)

    def steps(
        self, calls: Sequence[Mapping[str, Any]], *, ids: Mapping[str, Any] | None = None, cut: threading.Event | None = None
    ) -> Generator[Event, None, list[ToolResult]]:
        """Do what :meth:`round` does as a generator of its events, for a caller who gives them on; it returns the results.

        Closing it half-way leaves alone what runs, and calls no further function.
        """
        current = self._round(calls, ids, cut)
        try:
            self._watch.begin_round()
            yield from current.run()
        except ToolError as error:
            error.results = tuple(current.settled(f"Not called: {error.message}."))
            raise
        finally:
            self._last = tuple(current.settled(CANCELLED))
            self._results += self._last
        return list(self._last)

    def unmade(self, calls: Sequence[Mapping[str, Any]]) -> tuple[ToolResult, ...]:
        """Give results which say that these calls were not made; for a round that did not come to its beginning."""
        return tuple(self._round(calls).settled(CANCELLED))

    def _round(
        self, calls: Sequence[Mapping[str, Any]], ids: Mapping[str, Any] | None = None, cut: threading.Event | None = None
    ) -> Round:
        return Round(self.toolbox, self._watch, calls, ids=ids or {}, cut=cut)
