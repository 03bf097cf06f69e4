"""One answer of a script: reading it strictly, so that a slip of the pen is not taken for the platform's behaviour."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from animus._check import known_keys
from animus._secret import shape_of
from animus.emulator.answer import Answer
from animus.errors import ConfigurationError

CHAT_PATH = "/chat/completions"

_MESSAGE_KEYS = (
    "content",
    "reasoning",
    "turns",
    "next",
    "image_prompt",
    "tool_calls",
    "finish_reason",
    "usage",
    "compliance_violations",
    "chunks",
    "chunk_delay",
)
_EXACT_KEYS = ("json", "body", "sse")
_OTHER_KEYS = ("status", "headers", "delay", "when", "times", "about")
_FRAME_KEYS = ("json", "data", "done", "raw", "sleep")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """What one entry of a script says. Of ``answer``, ``exact`` and ``frames`` at most one is there."""

    answer: Answer | None = None
    counts_usage: bool = True
    exact: Any = None
    has_exact: bool = False
    is_text: bool = False
    frames: Sequence[Mapping[str, Any]] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    path: str = CHAT_PATH
    contains: str | None = None
    times: int | None = 1


def read_answer(value: Any, where: str) -> ScriptedAnswer:
    """Give the answer that a script's entry describes; ``where`` names it in errors.

    Raises:
        ConfigurationError: it is not as :mod:`animus.emulator.script` says.
    """
    if isinstance(value, str):
        return ScriptedAnswer(answer=Answer(content=value))
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{where} must be a string or an object, not {shape_of(value)}")
    known_keys(where, value, (*_MESSAGE_KEYS, *_EXACT_KEYS, *_OTHER_KEYS))
    for key, value_ in value.items():
        allowed, test = _TYPES[key]
        if not test(value_):
            raise ConfigurationError(f"{key!r} in {where} must be {allowed}, not {shape_of(value_)}")
    when = value.get("when", {})
    known_keys(f"'when' in {where}", when, ("contains", "path"))
    kind = _kind_of(value, where)
    return ScriptedAnswer(
        answer=_message(value, where) if kind == "message" else None,
        counts_usage="usage" not in value,
        exact=value.get(kind) if kind in ("json", "body") else None,
        has_exact=kind in ("json", "body"),
        is_text=kind == "body",
        frames=[_frame(frame, f"frame {number} of {where}") for number, frame in enumerate(value["sse"], 1)] if kind == "sse" else None,
        status=value.get("status", 200),
        headers=value.get("headers", {}),
        delay=value.get("delay", 0.0),
        path=when.get("path", CHAT_PATH),
        contains=when.get("contains"),
        times=value.get("times", 1),
    )


def _kind_of(value: Mapping[str, Any], where: str) -> str:
    said = [key for key in _MESSAGE_KEYS if key in value]
    kinds = (["message"] if said else []) + [key for key in _EXACT_KEYS if key in value]
    if len(kinds) > 1:
        raise ConfigurationError(f"{where} has {said[0] if said else kinds[0]!r} and {kinds[-1]!r}, of which only one can be answered")
    if not kinds and "status" not in value:
        raise ConfigurationError(f"{where} answers nothing", hint='Give it "content", "tool_calls", "json", "sse" or "status"')
    if kinds == ["message"] and "status" in value:
        raise ConfigurationError(f"{where} has {said[0]!r} and 'status'", hint='An answer with a status has its body in "json" or "body"')
    return kinds[0] if kinds else "status"


def _message(value: Mapping[str, Any], where: str) -> Answer:
    calls = [_tool_call(call, f"call_{number}", where) for number, call in enumerate(value.get("tool_calls", ()), 1)]
    chunks = value.get("chunks")
    content = value["content"] if "content" in value else "".join(chunks) if chunks is not None else None if calls else ""
    if chunks is not None and content is not None and "".join(chunks) != content:
        raise ConfigurationError(f"The 'chunks' of {where} do not make up its 'content'")
    return Answer(
        content=content,
        reasoning=value.get("reasoning"),
        turns=value.get("turns"),
        next=value.get("next"),
        image_prompt=value.get("image_prompt"),
        tool_calls=calls or None,
        finish_reason=value.get("finish_reason", "tool_calls" if calls else "stop"),
        compliance_violations=value.get("compliance_violations"),
        usage=value.get("usage"),
        chunks=chunks,
        chunk_delay=value.get("chunk_delay"),
    )


def _tool_call(call: Mapping[str, Any], default_id: str, where: str) -> dict[str, Any]:
    if "function" in call:
        if not isinstance(call["function"], Mapping) or not isinstance(call["function"].get("arguments", ""), str):
            raise ConfigurationError(f"A tool call in {where} needs a 'function' with 'name' and 'arguments', the latter a string")
        return {"id": default_id, "type": "function", **call}
    known_keys(f"A tool call in {where}", call, ("id", "name", "arguments"))
    if not isinstance(call.get("name"), str):
        raise ConfigurationError(f"A tool call in {where} needs a 'name'")
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": call.get("id", default_id), "type": "function", "function": {"name": call["name"], "arguments": text}}


def _frame(frame: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(frame, Mapping) or len(frame) != 1 or next(iter(frame)) not in _FRAME_KEYS:
        raise ConfigurationError(f"{where} must be an object with one of the keys {', '.join(_FRAME_KEYS)}")
    for key, allowed, test in (("data", "a string", _is_text), ("raw", "a string", _is_text), ("sleep", "seconds", _is_seconds)):
        if key in frame and not test(frame[key]):
            raise ConfigurationError(f"{key!r} in {where} must be {allowed}")
    return frame


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_whole(low: int, high: int | None = None) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value and (high is None or value <= high)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_texts(value: Any) -> bool:
    return _is_list(value) and all(isinstance(item, str) for item in value)


def _is_objects(value: Any) -> bool:
    return _is_list(value) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_headers(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) and isinstance(text, str) for name, text in value.items())


def _is_when(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "content": ("a string or null", _is_text_or_null),
    "reasoning": ("a string or null", _is_text_or_null),
    "turns": ("a list of strings", _is_texts),
    "next": ("true or false", _is_boolean),
    "image_prompt": ("a string", _is_text),
    "tool_calls": ("a list of objects", _is_objects),
    "finish_reason": ("a string or null", _is_text_or_null),
    "usage": ("an object or null", lambda value: value is None or _is_object(value)),
    "compliance_violations": ("a list of strings", _is_texts),
    "chunks": ("a list of strings", _is_texts),
    "chunk_delay": ("seconds", _is_seconds),
    "json": ("any JSON", lambda value: True),
    "body": ("a string", lambda value: isinstance(value, (str, bytes))),
    "sse": ("a list of frames", _is_list),
    "status": ("an HTTP status from 200 to 599", _is_whole(200, 599)),
    "headers": ("an object of strings", _is_headers),
    "delay": ("seconds", _is_seconds),
    "when": ('an object with "contains" and "path", both strings', _is_when),
    "times": ("a whole number of at least 1, or null", lambda value: value is None or _is_whole(1)(value)),
    "about": ("anything", lambda value: True),
}
