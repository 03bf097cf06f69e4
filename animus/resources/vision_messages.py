"""Messages of vision calls: text becomes a list of one part, which is the only form the API documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ROLES = ("system", "user", "assistant", "tool")
# what a message may have on the wire beside role and content; the rest is bookkeeping and stays here
_FURTHER = ("name", "tool_calls", "tool_call_id")


def read_vision_messages(messages: object) -> list[dict[str, Any]]:
    """Check messages that a caller gave, and give them as they go on the wire; nothing of the caller's is changed.

    Raises:
        ValueError: naming the index and what is wrong.

    >>> read_vision_messages([{"role": "user", "content": "Hello"}])
    [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hello'}]}]
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise ValueError(f"messages must be a list of messages, not a {type(messages).__name__}")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(given: object, where: str) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} must be a mapping with role and content, not a {type(given).__name__}")
    role = given.get("role")
    if role not in _ROLES:
        raise ValueError(f"{where} has the role {role!r}; allowed are {', '.join(_ROLES)}")
    message = {"role": role, "content": _content(given, role, where)}
    message.update({name: given[name] for name in _FURTHER if given.get(name) is not None})
    return message


def _content(given: Mapping[str, Any], role: object, where: str) -> Any:
    content = given.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if content is None and role == "assistant":
        return None
    if not isinstance(content, (list, tuple)):
        raise ValueError(f"{where} has no content: text, or a list of text and image_url parts")
    for index, part in enumerate(content):
        if not isinstance(part, Mapping):
            raise ValueError(f"{where}.content[{index}] must be a mapping with a type, not a {type(part).__name__}")
    return list(content)
