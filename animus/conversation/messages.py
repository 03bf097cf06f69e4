"""Messages: what callers may give, what is stored, what goes on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from typing import Any

from animus._fresh import fresh
from animus.conversation.thinking import join_reasoning, split_thinking
from animus.models.chat import ChatCompletion

ROLES = ("system", "user", "assistant", "tool")
# JavaScript's spelling of fields that histories saved there have
_SPELLINGS = {"groupId": "group_id", "messageIndex": "message_index", "totalInGroup": "total_in_group"}
_PLAIN = {"role", "content"}
_TEXT_ROLES = ("user", "system")
# asks the model to go on; sent, but never stored
CONTINUE = "[CONTINUE]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One message of a conversation. Immutable.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        content: Text, a list of content parts, or None (an assistant that only calls tools).
        name: Who speaks, if there are several.
        tool_calls: What an assistant wants called, as sent.
        tool_call_id: Which call a tool message answers.
        reasoning: The model's thinking; never sent back.
        compliance_violations: What the API found in an answer.
        timestamp: ISO 8601, when it was stored.
        group_id, message_index, total_in_group: The answer a turn is a piece of, its place, and how many there are.
        separator: What parted a turn from the piece before it: a newline or a space.
    """

    role: str
    content: Any = None
    name: str | None = None
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    tool_call_id: str | None = None
    reasoning: str | None = None
    compliance_violations: tuple[str, ...] = ()
    timestamp: str | None = None
    group_id: str | None = None
    message_index: int | None = None
    total_in_group: int | None = None
    separator: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give a mapping of the fields that are set; a copy, free to be changed."""
        out: dict[str, Any] = {"role": self.role, "content": fresh(self.content)}
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in out and value is not None and value != ():
                out[field.name] = fresh(value) if isinstance(value, tuple) else value
        return out

    def to_wire(self) -> dict[str, Any]:
        """Give what the API gets: role, content, name, tool_calls, tool_call_id."""
        out: dict[str, Any] = {"role": self.role, "content": self.content}
        if self.name is not None:
            out["name"] = self.name
        if self.tool_calls:
            out["tool_calls"] = list(self.tool_calls)
        if self.tool_call_id is not None:
            out["tool_call_id"] = self.tool_call_id
        return out

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing: no content and no tool calls. Such an answer is not sent back."""
        return not self.content and not self.tool_calls

    @property
    def says_nothing(self) -> bool:
        """Whether it is not worth storing: blank text, no tool calls, no thinking."""
        blank = not self.content or (isinstance(self.content, str) and not self.content.strip())
        return blank and not self.tool_calls and not self.reasoning

    def cleaned(self) -> ChatMessage:
        """Give it as it is stored: an assistant's think blocks moved from the content to the reasoning."""
        if self.role != "assistant" or not isinstance(self.content, str):
            return self
        if self.content and "<" not in self.content and self.content == self.content.strip():
            return self
        text, blocks = split_thinking(self.content)
        return replace(self, content=text or None, reasoning=join_reasoning(self.reasoning, blocks))

    def same_as(self, other: ChatMessage) -> bool:
        """Tell whether two messages mean the same on the wire."""
        return self.to_wire() == other.to_wire()


def now_text(seconds: float) -> str:
    """Give Unix seconds as ISO 8601 with milliseconds, as JavaScript writes it.

    >>> now_text(1718150400.5)
    '2024-06-12T00:00:00.500Z'
    """
    when = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03d}Z"


def read_messages(
    messages: object, *, where: str = "messages", read: Callable[[object, str], ChatMessage] | None = None
) -> list[ChatMessage]:
    """Check messages that a caller gave, and give them as values; nothing of the caller's is kept or changed.

    Args:
        where: What errors call the list.
        read: Checks one of them; :func:`read_message` without it.

    Raises:
        ValueError: naming the index and what is wrong.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Iterable):
        raise ValueError(f"{where} must be a list of messages, not a {type(messages).__name__}")
    check = read or read_message
    return [check(message, f"{where}[{index}]") for index, message in enumerate(messages)]


def read_message(given: object, where: str) -> ChatMessage:
    """Check one message for a request. A tool message without its id is left to the API to judge.

    Raises:
        ValueError: naming what is wrong.
    """
    if type(given) is dict and given.keys() == _PLAIN and given["role"] in _TEXT_ROLES and type(given["content"]) is str:
        return ChatMessage(role=given["role"], content=given["content"])  # the usual one; there is nothing more to check
    if isinstance(given, ChatMessage):
        given = given.to_dict()
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} must be a mapping with role and content, not a {type(given).__name__}")
    fields_given: dict[str, Any] = {_SPELLINGS.get(str(key), str(key)): value for key, value in given.items()}
    role = fields_given.get("role")
    if role not in ROLES:
        raise ValueError(f"{where} has the role {role!r}; allowed are {', '.join(ROLES)}")
    message = ChatMessage(
        role=str(role),
        content=_content(fields_given, role, where),
        name=_optional_text(fields_given, "name", where),
        tool_calls=_tool_calls(fields_given, role, where),
        tool_call_id=_optional_text(fields_given, "tool_call_id", where),
        reasoning=_optional_text(fields_given, "reasoning", where),
        compliance_violations=_violations(fields_given, where),
        timestamp=_optional_text(fields_given, "timestamp", where),
        group_id=_optional_text(fields_given, "group_id", where),
        message_index=_optional_integer(fields_given, "message_index", where),
        total_in_group=_optional_integer(fields_given, "total_in_group", where),
        separator=_optional_text(fields_given, "separator", where),
    )
    if role == "assistant" and message.is_empty and not message.reasoning:
        raise ValueError(f"{where} is an assistant message with neither content nor tool_calls")
    return message


def read_stored(given: object, where: str) -> ChatMessage:
    """Check one message that is to be stored: no system message, and nothing that says nothing.

    Raises:
        ValueError: naming what is wrong.
    """
    message = read_message(given, where).cleaned()
    if message.role == "system":
        raise ValueError(f"{where} is a system message, which a history never holds; set system_message in the configuration")
    if message.role == "tool" and not message.tool_call_id:
        raise ValueError(f"{where} is a tool message without tool_call_id: the id of the call it answers")
    if message.says_nothing:
        raise ValueError(f"{where} ({message.role}) would be empty: no content and no tool calls")
    return message


def _content(given: Mapping[str, Any], role: object, where: str) -> Any:
    content = given.get("content")
    if isinstance(content, str):
        return content
    if content is None:
        if role == "assistant":
            return None
        raise ValueError(f"{where} ({role}) has no content")
    if isinstance(content, (list, tuple)):
        for index, part in enumerate(content):
            if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
                raise ValueError(f'{where}.content[{index}] must be a mapping with a type, such as {{"type": "text", "text": …}}')
        return fresh(content)
    raise ValueError(f"{where}.content must be a string or a list of content parts, not a {type(content).__name__}")


def _tool_calls(given: Mapping[str, Any], role: object, where: str) -> tuple[Mapping[str, Any], ...]:
    calls = given.get("tool_calls")
    if calls is None or calls == () or calls == []:
        return ()
    if role != "assistant":
        raise ValueError(f"{where} ({role}) has tool_calls, which only assistant messages have")
    if not isinstance(calls, (list, tuple)):
        raise ValueError(f"{where}.tool_calls must be a list, not a {type(calls).__name__}")
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str) or not isinstance(function.get("arguments"), str):
            raise ValueError(
                f'{where}.tool_calls[{index}] must be {{"id", "type": "function", "function": {{"name", "arguments": JSON text}}}}'
            )
    return tuple(fresh(calls))


def _optional_text(given: Mapping[str, Any], key: str, where: str) -> str | None:
    value = given.get(key)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{where}.{key} must be a string, not a {type(value).__name__}")


def _optional_integer(given: Mapping[str, Any], key: str, where: str) -> int | None:
    value = given.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError(f"{where}.{key} must be a whole number, not a {type(value).__name__}")


def _violations(given: Mapping[str, Any], where: str) -> tuple[str, ...]:
    value = given.get("compliance_violations")
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where}.compliance_violations must be a list of strings")
    return tuple(value)


def sent_tool_calls(completion: ChatCompletion) -> tuple[Mapping[str, Any], ...]:
    """Give an answer's tool calls as mappings, in the form in which they go back to the API."""
    calls = []
    for call in completion.tool_calls or ():
        out: dict[str, Any] = {} if call.id is None else {"id": call.id}
        function = {"name": call.function.name, "arguments": call.function.arguments}
        calls.append({**out, "type": call.type or "function", "function": function})
    return tuple(calls)


def answer_of(completion: ChatCompletion) -> ChatMessage:
    """Give an answer as a message, its think blocks moved to the reasoning; its text is otherwise as it was said."""
    content = completion.text or " ".join(completion.turns)
    said = ChatMessage(
        role="assistant",
        content=content or None,
        tool_calls=sent_tool_calls(completion),
        reasoning=completion.reasoning,
        compliance_violations=tuple(completion.compliance_violations),
    )
    if "<" not in content:
        return said
    clean = said.cleaned()
    return clean if clean.reasoning != said.reasoning else said
