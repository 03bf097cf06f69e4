"""Toolboxes: the tools of a conversation, with the ways to call them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from types import MappingProxyType
from typing import Any

from animus import _check
from animus.errors import ConfigurationError
from animus.tools.definition import Tool
from animus.tools.hooks import After, Before

_AT_ONCE = 8  # threads for parallel=True


class Toolbox:
    """Tools, and how they are called. Immutable.

    A definition (a mapping) is sent to the model like a function's, but calls of it are the program's own to make: an answer
    that has one ends the loop.

    Threads: any. Pickling: as far as its functions and hooks do.

    Args:
        tools: Functions, :class:`Tool` objects and definitions ``{"type": "function", "function": {…}}``, mixed.
        parallel: Whether the calls of one answer run at once, each in a thread of its own (with a copy of the context
            variables); a number says how many at most, True means 8.
        raise_errors: Whether an exception of a function ends the run, as cause of a :class:`~animus.ToolError`, instead of
            being told to the model.
        before: Called with the :class:`ToolCallRequest` before each call whose arguments are valid. It gives None to go
            on, a :class:`Veto`, or the result to have in place of the call.
        after: Called with the request and what the function returned. It gives None to keep that, a :class:`Veto`, or
            another result.

    Hooks and receivers of events are called in the thread that runs the loop, one at a time. A hook that raises ends the
    run.

    Raises:
        ConfigurationError: a tool that is none, two with one name, or an option of the wrong type.
    """

    def __init__(
        self,
        tools: Iterable[Callable[..., Any] | Mapping[str, Any]],
        *,
        parallel: bool | int = False,
        raise_errors: bool = False,
        before: Before | None = None,
        after: After | None = None,
    ) -> None:
        self._functions: dict[str, Tool[..., Any]] = {}
        self._definitions: dict[str, dict[str, Any]] = {}
        for index, given in enumerate(_listed(tools)):
            self._add(given, f"tools[{index}]")
        self.parallel: int = _at_once(parallel)
        self.raise_errors: bool = _check.boolean("raise_errors", raise_errors)
        self.before: Any = _hook("before", before)
        self.after: Any = _hook("after", after)

    def _add(self, given: Any, where: str) -> None:
        function = None if isinstance(given, Mapping) else Tool.of(_callable(given, where))
        definition = _checked(given, where) if function is None else function.definition
        name = definition["function"]["name"]
        if name in self._definitions:
            raise ConfigurationError(f"{where} is a second tool named {name!r}", hint="tool(function, name=…) gives another name")
        self._definitions[name] = definition
        if function is not None:
            self._functions[name] = function

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """All tools as the API takes them, in order; a copy."""
        return deepcopy(list(self._definitions.values()))

    @property
    def functions(self) -> Mapping[str, Tool[..., Any]]:
        """The tools that have a function, by name."""
        return MappingProxyType(self._functions)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tools, in order."""
        return tuple(self._definitions)

    def can_run(self, calls: Sequence[Mapping[str, Any]]) -> bool:
        """Tell whether the loop is to answer these calls: there are some, and none is of a mere definition.

        A name that no tool has counts as one the loop answers: the model is told what there is.
        """
        named = [(call.get("function") or {}).get("name") for call in calls]
        return bool(named and self) and not any(name in self._definitions and name not in self._functions for name in named)

    def __bool__(self) -> bool:
        return bool(self._functions)

    def __len__(self) -> int:
        return len(self._definitions)

    def __repr__(self) -> str:
        return f"<Toolbox of {', '.join(self._definitions) or 'nothing'}>"


def _listed(tools: Any) -> Iterable[Any]:
    if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Iterable):
        raise _check.refuse("tools", tools, "a list of functions and definitions")
    return tools


def _callable(given: Any, where: str) -> Callable[..., Any]:
    if not callable(given):
        raise _check.refuse(where, given, "a function, or a mapping with type and function")
    function: Callable[..., Any] = given
    return function


def _checked(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    function = given.get("function")
    if given.get("type", "function") != "function" or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise _check.refuse(where, given, 'of the form {"type": "function", "function": {"name": …, "parameters": …}}')
    return deepcopy(dict(given))


def _at_once(parallel: object) -> int:
    """Give how many calls may run at once; 0: none in a thread of its own."""
    if isinstance(parallel, bool):
        return _AT_ONCE if parallel else 0
    return _check.integer("parallel", parallel, 1)


def _hook(name: str, hook: Any) -> Any:
    if hook is not None and not callable(hook):
        raise _check.refuse(name, hook, "a function or None")
    return hook
