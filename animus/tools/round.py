"""One round: the calls of one answer, from the model's text to the results."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from animus.errors import ToolError
from animus.events import Event, ToolCallComplete, ToolCallError, ToolCallStart
from animus.tools.calls import name_and_arguments, with_ids
from animus.tools.definition import Tool
from animus.tools.hooks import Replace, ToolCallRequest, Veto
from animus.tools.limits import LimitWatch
from animus.tools.result import ToolResult, error_text, result_text
from animus.tools.toolbox import Toolbox
from animus.tools.work import Crew, Outcome

logger: logging.Logger = logging.getLogger(__name__)

CANCELLED = "Cancelled: this call was not made."
_UNKNOWN = "Cancelled: this call was begun; what came of it is not known."


class Round:
    """The calls of one answer. Each is settled once: a result goes into the table, then its event is given."""

    def __init__(
        self,
        toolbox: Toolbox,
        watch: LimitWatch,
        calls: Sequence[Mapping[str, Any]],
        *,
        ids: Mapping[str, Any],
        cut: threading.Event | None,
    ) -> None:
        self._toolbox = toolbox
        self._watch = watch
        self._ids = dict(ids)
        self._cut = cut
        self._requests = [_request(call, watch.rounds + 1) for call in with_ids(calls)]
        self._results: dict[int, ToolResult] = {}
        self._begun: set[int] = set()
        self._failure: ToolError | None = None

    def run(self) -> Generator[Event, None, None]:
        """Make the calls; give the events.

        Raises:
            ToolError: the run must end. Functions that had begun are waited for before.
        """
        crew: Crew[int] = Crew(self._toolbox.parallel)
        waiting = list(range(len(self._requests)))
        while waiting or crew.is_busy:
            while waiting and crew.has_room and self._goes_on:
                yield from self._guarded(self._begin(waiting.pop(0), crew))
            if crew.is_busy:
                yield from self._guarded(self._end(*crew.next_outcome()))
            elif not self._goes_on:
                break
        if self._failure is not None:
            raise self._failure

    def settled(self, otherwise: str) -> list[ToolResult]:
        """Give a result for each call, in order; those that have none get one now."""
        for index in range(len(self._requests)):
            if index not in self._results:
                text = _UNKNOWN if index in self._begun else otherwise
                self._settle(index, text, ToolError(text))
        return [self._results[index] for index in range(len(self._requests))]

    @property
    def _goes_on(self) -> bool:
        return self._failure is None and not self._is_cut

    @property
    def _is_cut(self) -> bool:
        return self._cut is not None and self._cut.is_set()

    def _guarded(self, steps: Generator[Event, None, None]) -> Generator[Event, None, None]:
        try:
            yield from steps
        except ToolError as error:
            self._failure = self._failure or error

    # ---- one call --------------------------------------------------------------------------------------

    def _begin(self, index: int, crew: Crew[int]) -> Generator[Event, None, None]:
        """Look at a call, ask the hook, start the function."""
        request = self._requests[index]
        self._watch.count_call(request.name, request.text)
        yield ToolCallStart(**self._about(request))
        try:
            tool = self._tool(request.name)
            request = self._requests[index] = replace(request, arguments=tool.read_arguments(request.text))
        except ToolError as error:
            yield self._failed(index, f"Error: {error_text(error)}", error)
            return
        verdict = self._asked_before(request)
        if isinstance(verdict, Veto):
            yield self._vetoed(index, verdict)
        elif verdict is not None:
            yield from self._end(index, Outcome(_replacement(verdict)))
        elif self._is_cut:  # by a receiver or a hook
            yield self._failed(index, CANCELLED, ToolError(CANCELLED))
        else:
            self._begun.add(index)
            crew.start(index, partial(tool.call, request.arguments))

    def _end(self, index: int, outcome: Outcome) -> Generator[Event, None, None]:
        """Settle a call whose outcome is there."""
        request, content = self._requests[index], ""
        if outcome.error is None:
            verdict = yield from self._asked_after(index, outcome.value)
            if isinstance(verdict, Veto):
                yield self._vetoed(index, verdict)
                return
            outcome, content = _written(outcome if verdict is None else Outcome(_replacement(verdict)))
        error = outcome.error
        if error is None:
            self._settle(index, content, None)
            yield ToolCallComplete(result=content, **self._about(request))
            return
        if not isinstance(error, Exception):  # KeyboardInterrupt, SystemExit
            raise error
        logger.debug("the tool %s raised %s", request.name, type(error).__name__)
        yield self._failed(index, f"Error: {error_text(error)}", error)
        if self._toolbox.raise_errors:
            raise ToolError(f"the tool {request.name!r} raised {error_text(error)}") from error

    def _tool(self, name: str) -> Tool[..., Any]:
        functions = self._toolbox.functions
        if name not in functions:
            raise ToolError(f"there is no tool {name[:64]!r} that can be called; there are: {', '.join(functions)}")
        return functions[name]

    # ---- hooks -----------------------------------------------------------------------------------------

    def _asked_before(self, request: ToolCallRequest) -> Any:
        if self._toolbox.before is None:
            return None
        try:
            verdict = self._toolbox.before(request)
        except Exception as error:
            raise ToolError(f"the before hook raised {error_text(error)} at the tool {request.name!r}") from error
        if isinstance(verdict, bool):  # True as result would be a call that was never made, and nobody would notice
            raise ToolError(
                f"the before hook gave {verdict} at the tool {request.name!r}",
                hint="Give None to go on, Veto(reason) to refuse, Replace(value) to have a truth value as result",
            )
        return verdict

    def _asked_after(self, index: int, value: Any) -> Generator[Event, None, Any]:
        if self._toolbox.after is None:
            return None
        request = self._requests[index]
        try:
            return self._toolbox.after(request, value)
        except Exception as error:
            text = f"the after hook raised {error_text(error)} at the tool {request.name!r}"
            yield self._failed(index, f"Error: {text}", ToolError(text))
            raise ToolError(text) from error

    # ---- results ---------------------------------------------------------------------------------------

    def _vetoed(self, index: int, veto: Veto) -> Event:
        text = f"Not allowed: {veto.reason}"
        return self._failed(index, text, ToolError(text))

    def _failed(self, index: int, text: str, error: Exception) -> Event:
        self._settle(index, text, error)
        return ToolCallError(error=error, **self._about(self._requests[index]))

    def _settle(self, index: int, content: str, error: Exception | None) -> None:
        request = self._requests[index]
        self._results[index] = ToolResult(call_id=request.id, name=request.name, content=content, error=error)

    def _about(self, request: ToolCallRequest) -> dict[str, Any]:
        return {**self._ids, "tool_call_id": request.id, "tool_name": request.name, "arguments": request.text}


def _request(call: Mapping[str, Any], number: int) -> ToolCallRequest:
    name, text = name_and_arguments(call)
    return ToolCallRequest(id=call["id"], name=name, arguments={}, text=text, round=number)


def _replacement(verdict: Any) -> Any:
    return verdict.value if isinstance(verdict, Replace) else verdict


def _written(outcome: Outcome) -> tuple[Outcome, str]:
    try:
        return outcome, result_text(outcome.value)
    except Exception as error:  # a class whose __str__ fails
        return Outcome(error=error), ""
