"""What a client asks of ``/chat/completions``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from animus.emulator.bodycheck import BodyCheck
from animus.emulator.problem import Problem

DEFAULT_MODEL = "vivian-llama3.1-70b-1.0-fp8"

_ROLES = ("system", "user", "assistant", "tool")
# field: kind, lowest, highest (reference: chat completion)
_SAMPLING: dict[str, tuple[str, float | None, float | None]] = {
    "temperature": ("float", 0, 2),
    "top_p": ("float", 0, 1),
    "presence_penalty": ("float", -2, 2),
    "frequency_penalty": ("float", -2, 2),
    "repetition_penalty": ("float", 0, 2),
    "min_p": ("float", 0, 1),
    "length_penalty": ("float", None, None),
    "best_of": ("int", 1, None),
    "top_k": ("int", None, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """The fields the emulator heeds; unknown ones are ignored."""

    messages: Sequence[dict[str, Any]]
    model: str
    stream: bool
    choices: int
    max_tokens: int | None
    stop: Sequence[str]
    tools: Sequence[dict[str, Any]]
    tool_choice: str | dict[str, Any] | None
    compliance: bool
    reasoning: bool
    auto_turn: bool
    check_image_generation: bool

    @property
    def last(self) -> dict[str, Any]:
        """The last message."""
        return self.messages[-1]

    @property
    def user_texts(self) -> list[str]:
        """What the user said, oldest first."""
        return [text_of(message) for message in self.messages if message["role"] == "user"]

    @property
    def user_text(self) -> str:
        """What the user said last."""
        return (self.user_texts or [""])[-1]


def text_of(message: dict[str, Any]) -> str:
    """Give a message's text; of a list of parts, the text parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content or ""


def read_chat_request(raw: bytes) -> ChatRequest:
    """Read the body of a chat request.

    Raises:
        Problem: 422 for what has the wrong type or range, 400 for messages that do not fit together.
    """
    check = BodyCheck(raw)
    messages = check.take("messages", "list", required=True) or []
    for index, message in enumerate(messages):
        _check_message(check, index, message)
    for field, (kind, low, high) in _SAMPLING.items():
        check.take(field, kind, low=low, high=high)
    reasoning = [check.take(field, "bool") for field in ("reasoning", "show_reasoning")]
    request = ChatRequest(
        messages=messages,
        model=check.take("model", "string") or DEFAULT_MODEL,
        stream=bool(check.take("stream", "bool")),
        choices=check.take("n", "int", low=1, high=128) or 1,
        max_tokens=check.take("max_tokens", "int", low=1),
        stop=_stop(check),
        tools=_tools(check),
        tool_choice=_tool_choice(check),
        compliance=check.take("compliance", "bool") is not False,
        reasoning=True in reasoning,
        auto_turn=_auto_turn(check),
        check_image_generation=bool(check.take("check_image_generation", "bool")),
    )
    check.finish()
    _check_sequence(request)
    return request


def _check_message(check: BodyCheck, index: int, message: Any) -> None:
    place: list[Any] = ["messages", index]
    if not isinstance(message, dict):
        check.wrong("dict_type", place, "Input should be a valid dictionary")
        return
    role = check.of(message, "role", "string", [*place, "role"], required=True)
    if role is not None and role not in _ROLES:
        check.wrong("enum", [*place, "role"], f"Input should be one of {', '.join(_ROLES)}")
    content = message.get("content")
    if content is not None and not isinstance(content, (str, list)):
        check.wrong("string_type", [*place, "content"], "Input should be a valid string")
    if content is None and role in ("system", "user", "tool"):
        check.wrong("missing", [*place, "content"], "Field required")
    check.of(message, "name", "string", [*place, "name"])
    for number, call in enumerate(check.of(message, "tool_calls", "list", [*place, "tool_calls"]) or ()):
        _check_tool_call(check, [*place, "tool_calls", number], call)
    check.of(message, "tool_call_id", "string", [*place, "tool_call_id"], required=role == "tool")


def _check_tool_call(check: BodyCheck, place: list[Any], call: Any) -> None:
    if not isinstance(call, dict):
        check.wrong("dict_type", place, "Input should be a valid dictionary")
        return
    check.of(call, "id", "string", [*place, "id"], required=True)
    function = check.of(call, "function", "dict", [*place, "function"], required=True)
    if function is not None:
        check.of(function, "name", "string", [*place, "function", "name"], required=True)
        check.of(function, "arguments", "string", [*place, "function", "arguments"], required=True)


def _stop(check: BodyCheck) -> list[str]:
    stop = check.body.get("stop")
    if isinstance(stop, str):
        return [stop]
    stops = check.take("stop", "list") or []
    for index, text in enumerate(stops):
        if not isinstance(text, str):
            check.wrong("string_type", ["stop", index], "Input should be a valid string")
    return [text for text in stops if text]


def _tools(check: BodyCheck) -> list[dict[str, Any]]:
    functions = []
    for index, tool in enumerate(check.take("tools", "list") or []):
        place = ["tools", index]
        if not isinstance(tool, dict):
            check.wrong("dict_type", place, "Input should be a valid dictionary")
            continue
        function = check.of(tool, "function", "dict", [*place, "function"], required=True) or {}
        if function and check.of(function, "name", "string", [*place, "function", "name"], required=True):
            functions.append(function)
    return functions


def _tool_choice(check: BodyCheck) -> str | dict[str, Any] | None:
    choice = check.body.get("tool_choice")
    if choice in ("none", "auto", "required", None):
        return choice
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict) and isinstance(choice["function"].get("name"), str):
        return choice
    check.wrong("enum", ["tool_choice"], "Input should be none, auto, required or a function object")
    return None


def _auto_turn(check: BodyCheck) -> bool:
    value = check.body.get("autoTurn")
    if isinstance(value, dict):  # the JavaScript SDK's completions() sends its configuration object
        return bool(value.get("enabled"))
    return bool(check.take("autoTurn", "bool"))


def _check_sequence(request: ChatRequest) -> None:
    if not request.messages:
        raise Problem(400, "messages must not be empty")
    asked: set[str] = set()
    for index, message in enumerate(request.messages):
        asked.update(call["id"] for call in message.get("tool_calls") or ())
        if message["role"] == "tool" and message["tool_call_id"] not in asked:
            raise Problem(400, f"messages[{index}] answers a tool call that no earlier message makes")
