"""The loop: ask, call, tell, until the model is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from animus._clock import SYSTEM_CLOCK, Clock
from animus.events import Event
from animus.models.chat import ChatCompletion
from animus.tools.calls import answer_message, calls_of
from animus.tools.hooks import After, Before
from animus.tools.limits import ToolLimits
from animus.tools.result import ToolResult
from animus.tools.runner import ToolRun
from animus.tools.toolbox import Toolbox


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRunResult:
    """What a loop gave, or had gathered when it was ended.

    Attributes:
        completions: All answers, in order.
        messages: The conversation: what it began with, the answers, the results. Every call in it has its result, so
            that it can be sent again; only calls of mere definitions at its end are the caller's to answer.
        rounds: How many rounds of calls were made.
        results: The results of all calls, in order.
    """

    completions: tuple[ChatCompletion, ...] = ()
    messages: tuple[dict[str, Any], ...] = ()
    rounds: int = 0
    results: tuple[ToolResult, ...] = ()

    @property
    def completion(self) -> ChatCompletion | None:
        """The last answer; None if there was none yet."""
        return self.completions[-1] if self.completions else None

    @property
    def text(self) -> str:
        """What the last answer says."""
        return self.completions[-1].text if self.completions else ""


def run_tools(
    complete: Callable[[list[dict[str, Any]]], ChatCompletion],
    messages: Iterable[Mapping[str, Any]],
    tools: Toolbox | Iterable[Callable[..., Any] | Mapping[str, Any]],
    *,
    limits: ToolLimits | Mapping[str, Any] | None = None,
    parallel: bool | int = False,
    raise_errors: bool = False,
    before: Before | None = None,
    after: After | None = None,
    clock: Clock = SYSTEM_CLOCK,
    say: Callable[[Event], object] | None = None,
    ids: Mapping[str, Any] | None = None,
) -> ToolRunResult:
    """Have a conversation in which the model may call tools, until it answers without calling one.

    It also ends when the model calls a tool that has no function: ``.completion.tool_calls`` of the result has the calls.

    Args:
        complete: Gives the answer to a list of messages. It must tell the API of the tools: ``Toolbox.definitions``.
        messages: What the conversation begins with.
        tools: As for :class:`Toolbox`; or a toolbox, whose own options then hold.
        limits: How far the loop may go; see :class:`ToolLimits`.
        parallel, raise_errors, before, after: As for :class:`Toolbox`.
        say, ids: As for :meth:`ToolRun.round`.

    Emits, to ``say``, ``tool_call_start``, ``tool_call_complete`` and ``tool_call_error``.

    Raises:
        ToolError: a limit was reached, a hook raised, or a function did with ``raise_errors``. ``.partial`` is the
            :class:`ToolRunResult` so far; a call that was not made has a result that says so, so that the loop
            can be continued with ``.partial.messages``.
        Exception: what ``complete`` raises, with ``.partial`` if that has none.
    """
    given = {"parallel": parallel, "raise_errors": raise_errors, "before": before, "after": after}
    toolbox = tools if isinstance(tools, Toolbox) else Toolbox(tools, **given)  # type: ignore[arg-type]
    loop = _Loop(complete, _copied(messages), ToolRun(toolbox, limits=limits, clock=clock))
    try:
        while loop.ask():
            loop.call(say, ids)
    except BaseException as error:
        if getattr(error, "partial", None) is None:
            error.partial = loop.gathered()  # type: ignore[attr-defined]
        raise
    return loop.gathered()


class _Loop:
    def __init__(self, complete: Callable[[list[dict[str, Any]]], ChatCompletion], messages: list[dict[str, Any]], run: ToolRun) -> None:
        self._complete = complete
        self._messages = messages
        self._run = run
        self._completions: list[ChatCompletion] = []
        self._calls: list[dict[str, Any]] = []

    def ask(self) -> bool:
        """Have an answer; tell whether there are calls for the loop."""
        completion = self._complete(list(self._messages))
        self._completions.append(completion)
        self._calls = calls_of(completion)
        if self._run.toolbox.can_run(self._calls):
            return True
        self._messages.append(answer_message(completion.text, self._calls))
        return False

    def call(self, say: Callable[[Event], object] | None, ids: Mapping[str, Any] | None) -> None:
        """Make the calls; answer and results enter the conversation together, whatever ends the round."""
        try:
            self._run.round(self._calls, say=say, ids=ids)
        finally:
            self._messages.append(answer_message(self._completions[-1].text, self._calls))
            self._messages += [result.to_message() for result in self._run.last_results]

    def gathered(self) -> ToolRunResult:
        return ToolRunResult(
            completions=tuple(self._completions),
            messages=tuple(self._messages),
            rounds=self._run.rounds,
            results=self._run.results,
        )


def _copied(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    copies = []
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise ValueError(f"messages[{index}] must be a mapping with role and content, not a {type(message).__name__}")
        copies.append(dict(message))
    return copies


