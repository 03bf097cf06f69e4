"""Tool calls on the wire: those of an answer, each with an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from animus.models.chat import ChatCompletion
from animus.tools.result import result_text


def calls_of(completion: ChatCompletion) -> list[dict[str, Any]]:
    """Give an answer's tool calls in the form in which they go back to the API, each with an id."""
    return with_ids(
        {"id": call.id, "type": call.type or "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in completion.tool_calls
    )


def with_ids(calls: Any) -> list[dict[str, Any]]:
    """Give copies of tool calls in which each has an id of its own: some servers send none, or the same for all.

    >>> [call["id"] for call in with_ids([{"id": "a"}, {"id": None}, {"id": "a"}])]
    ['a', 'call_2', 'call_3']
    """
    used: set[str] = set()
    numbered = []
    for number, call in enumerate(calls, 1):
        own = call.get("id")
        if not isinstance(own, str) or not own or own in used:
            own = f"call_{number}"
            while own in used:
                own += "_"
        used.add(own)
        numbered.append({**call, "id": own})
    return numbered


def name_and_arguments(call: Mapping[str, Any]) -> tuple[str, str]:
    """Give what a call names and the JSON text of its arguments, whatever a server made of them."""
    function = call.get("function")
    function = function if isinstance(function, Mapping) else {}
    name, arguments = function.get("name"), function.get("arguments")
    return name if isinstance(name, str) else "", arguments if isinstance(arguments, str) else result_text(arguments)


def answer_message(content: str | None, calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give an answer as message for the API."""
    message: dict[str, Any] = {"role": "assistant", "content": content or None if calls else content or ""}
    return {**message, "tool_calls": list(calls)} if calls else message
