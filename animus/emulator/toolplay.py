"""The built-in model's use of tools: which it calls for a text, and with which arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from animus.emulator.chat_request import ChatRequest, text_of

_PLACE = re.compile(r"\b(?:in|for|at|from|to|of) ([A-Z][\w'-]*(?: [A-Z][\w'-]*)*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SHORTEST_WORD = 4  # of a tool's name that counts as a mention: "get" is in too many sentences


def chosen_calls(request: ChatRequest) -> list[dict[str, Any]]:
    """Give the tool calls for the user's last message: one for each tool that it mentions, or that the request forces."""
    if not request.tools or request.last["role"] != "user" or request.tool_choice == "none":
        return []
    functions = [function for function in request.tools if _is_mentioned(function["name"], request.user_text)]
    if isinstance(request.tool_choice, dict):
        wanted = request.tool_choice["function"]["name"]
        functions = [function for function in request.tools if function["name"] == wanted]
    elif request.tool_choice == "required" and not functions:
        functions = [request.tools[0]]
    return [_call(request, number, function) for number, function in enumerate(functions, 1)]


def tool_report(request: ChatRequest) -> str:
    """Give the text that follows the tool results at the end of the conversation."""
    names = {call["id"]: call["function"]["name"] for message in request.messages for call in message.get("tool_calls") or ()}
    results: list[str] = []
    for message in reversed(request.messages):
        if message["role"] != "tool":
            break
        results.insert(0, f"The tool {names[message['tool_call_id']]} says: {text_of(message)}")
    return "\n".join(results)


def _is_mentioned(name: str, text: str) -> bool:
    text = text.lower()
    words = [word for word in re.split(r"[_\W]+", name.lower()) if len(word) >= _SHORTEST_WORD]
    return name.lower() in text or any(re.search(rf"\b{re.escape(word)}", text) for word in words)


def _call(request: ChatRequest, number: int, function: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(arguments_for(function.get("parameters"), request.user_text), ensure_ascii=False)
    call_id = f"call_{len(request.messages)}_{number}"
    return {"id": call_id, "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def arguments_for(schema: Any, text: str) -> dict[str, Any]:
    """Give arguments that fit a JSON Schema object: a value for each required property, taken from ``text`` where there is one."""
    if not isinstance(schema, dict) or not isinstance(schema.get("properties"), dict):
        return {}
    properties = schema["properties"]
    required = schema.get("required")
    names = [name for name in required if name in properties] if isinstance(required, list) else list(properties)
    numbers = (json.loads(number) for number in _NUMBER.findall(text))
    return {name: _value(properties[name], text, numbers) for name in names}


def _value(schema: Any, text: str, numbers: Iterator[Any]) -> Any:
    if not isinstance(schema, dict):
        return text
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples"):
        if isinstance(schema.get(key), list) and schema[key]:
            return schema[key][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "integer":
        return int(next(numbers, 1))
    if kind == "number":
        return next(numbers, 1)
    if kind == "object":
        return arguments_for(schema, text)
    place = _PLACE.search(text)
    simple = {"boolean": True, "array": [], "null": None}
    return simple[kind] if kind in simple else (place.group(1) if place else text.strip())
