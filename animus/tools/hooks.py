"""Hooks: what a program may say before and after each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRequest:
    """A call that the model wants made, its arguments checked.

    Attributes:
        id: The id of the call.
        name: The tool.
        arguments: The arguments, as values of the function's types; only those that the model gave.
        text: The arguments as the model wrote them.
        round: Which round of calls this is, from 1.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    text: str
    round: int = 1


@dataclass(frozen=True, slots=True)
class Veto:
    """What a hook gives to refuse a call, or to withhold its result. The model is told the reason."""

    reason: str = "the call was not allowed"


@dataclass(frozen=True, slots=True)
class Replace:
    """What a hook gives as the result. Needed only for None, True and False; any other value can be given as it is."""

    value: Any


# None goes on; a Veto refuses; anything else, or what a Replace holds, is the result
Before = Callable[[ToolCallRequest], object]
After = Callable[[ToolCallRequest, Any], object]
