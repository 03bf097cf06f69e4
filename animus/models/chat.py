"""Chat completions: the whole answer, and the chunks of a streamed one.

Only choices, messages, deltas, their content and reasoning, and tool calls must have their types. Any other field of an
unexpected type reads as None and stays in ``.raw``.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec.structs import force_setattr

from animus import _fork
from animus.models.answer import Answer, HttpInfo, Origin, ShapeError, Wire, loads, short

__all__ = [
    "ChatCompletion",
    "ChatCompletionChunk",
    "Choice",
    "ChunkChoice",
    "Delta",
    "FunctionCall",
    "Message",
    "ShapeError",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "decode_chunk",
    "decode_completion",
]

W = TypeVar("W", bound=Wire)


class FunctionCall(Wire, frozen=True, kw_only=True, gc=False):
    """The function a tool call names. ``arguments`` is JSON text as the model wrote it: it may be cut off."""

    required: ClassVar[frozenset[str]] = frozenset({"name", "arguments"})

    name: str | None = None
    arguments: str = ""


class ToolCall(Wire, frozen=True, kw_only=True, gc=False):
    """A function the model wants called. ``id`` is None if the API sent none."""

    required: ClassVar[frozenset[str]] = frozenset({"id", "function"})

    id: str | None = None
    type: str = "function"
    function: FunctionCall = FunctionCall()


class ToolCallDelta(Wire, frozen=True, kw_only=True, gc=False):
    """A piece of a tool call in a stream."""

    required: ClassVar[frozenset[str]] = frozenset({"index", "id", "function"})

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionCall | None = None


class Message(Wire, frozen=True, kw_only=True, gc=False):
    """What the model said.

    Attributes:
        role: ``"assistant"``.
        content: The text, or None where there are only tool calls.
        reasoning: The thinking, if it was asked for.
        tool_calls: Functions to call, or None.
        turns: The text split into turns by the API, or None.
        next: True if the model wants to go on with a further message.
        image_prompt: What an image of the answer should show, or None.
    """

    required: ClassVar[frozenset[str]] = frozenset({"content", "reasoning", "tool_calls"})

    role: str = "assistant"
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    turns: list[str] | None = None
    next: bool | None = None
    image_prompt: str | None = None


class Delta(Wire, frozen=True, kw_only=True, gc=False):
    """What a chunk adds to a message. Text may end in half a character (a lone surrogate) that the next chunk completes."""

    required: ClassVar[frozenset[str]] = frozenset({"content", "reasoning", "tool_calls"})

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    tool_calls: list[ToolCallDelta] | None = None
    turns: list[str] | None = None
    next: bool | None = None
    image_prompt: str | None = None


class Usage(Wire, frozen=True, kw_only=True, gc=False):
    """What was used, in tokens. Further fields the API sends are in ``.raw["usage"]`` of the answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class Choice(Wire, frozen=True, kw_only=True, gc=False):
    """One of the answers (there are several only with ``n`` > 1)."""

    required: ClassVar[frozenset[str]] = frozenset({"message"})

    index: int = 0
    message: Message
    finish_reason: str | None = None
    compliance_violations: list[str] | None = None


class ChunkChoice(Wire, frozen=True, kw_only=True, gc=False):
    """What a chunk adds to one of the answers. ``message`` is there only if the API repeats a message as a whole."""

    required: ClassVar[frozenset[str]] = frozenset({"delta"})

    index: int = 0
    delta: Delta = Delta()
    finish_reason: str | None = None
    compliance_violations: list[str] | None = None
    message: Delta | None = None


def _of_first(choices: list[W]) -> W | None:
    """Give the choice with index 0, wherever it stands; without one, the first in the list."""
    for choice in choices:
        if getattr(choice, "index", 0) == 0:
            return choice
    return choices[0] if choices else None


class ChatCompletion(Answer, frozen=True, kw_only=True, gc=False):
    """A whole answer. The properties that are no fields read choice 0.

    Attributes:
        choices: The answers; one unless ``n`` asked for more.
        id, object, created, model: As the API sent them, or None; ``created`` is Unix seconds.
        usage: What was used, or None.
        answer_violations: The compliance violations of the answer as a whole, or None.

    >>> body = b'{"choices": [{"message": {"role": "assistant", "content": "Hello!"}, "finish_reason": "stop"}], "x": 1}'
    >>> completion = decode_completion(body)
    >>> completion.text, completion.finish_reason, completion.raw["x"]
    ('Hello!', 'stop', 1)
    """

    required: ClassVar[frozenset[str]] = frozenset({"choices"})

    choices: list[Choice] = msgspec.field(default_factory=list)
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    usage: Usage | None = None
    answer_violations: list[str] | None = msgspec.field(default=None, name="compliance_violations")

    @property
    def message(self) -> Message | None:
        """The message of choice 0, or None if there is no choice."""
        first = _of_first(self.choices)
        return None if first is None else first.message

    @property
    def text(self) -> str:
        """What was said, or an empty string."""
        message = self.message
        return (message.content if message is not None else None) or ""

    @property
    def reasoning(self) -> str | None:
        """The thinking, or None."""
        message = self.message
        return message.reasoning if message is not None else None

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The functions the model wants called, or an empty list."""
        message = self.message
        return (message.tool_calls if message is not None else None) or []

    @property
    def turns(self) -> list[str]:
        """The text in turns as the API split it, or an empty list."""
        message = self.message
        return (message.turns if message is not None else None) or []

    @property
    def next(self) -> bool | None:
        """True if the model wants to go on, False if not, None if the API did not say."""
        message = self.message
        return message.next if message is not None else None

    @property
    def image_prompt(self) -> str | None:
        """What an image of the answer should show, or None."""
        message = self.message
        return message.image_prompt if message is not None else None

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended (``stop``, ``length``, ``tool_calls``, …), or None if the API did not say."""
        first = _of_first(self.choices)
        return first.finish_reason if first is not None else None

    @property
    def compliance_violations(self) -> list[str]:
        """The violations of the answer and of choice 0, each once."""
        first = _of_first(self.choices)
        of_choice = (first.compliance_violations if first is not None else None) or []
        return list(dict.fromkeys([*(self.answer_violations or []), *of_choice]))

    @property
    def raw(self) -> Any:
        """The JSON as sent, with unknown fields too; decoded anew each time, so keep it in a variable.

        A streamed answer was never sent as a whole: its ``raw`` is put together from what arrived, with ``usage`` as sent.
        """
        origin = self._from
        if origin.body is not None:
            return loads(origin.body)
        whole = _bare(self)
        if origin.usage is not None:
            whole["usage"] = loads(origin.usage)["usage"]
        return whole

    def __repr__(self) -> str:
        calls = f", {len(self.tool_calls)} tool calls" if self.tool_calls else ""
        more = f", {len(self.choices)} choices" if len(self.choices) != 1 else ""
        return f"ChatCompletion({short(self.text)}, finish_reason={short(self.finish_reason)}{calls}{more})"

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        parts = [_markdown(choice, alone=len(self.choices) == 1) for choice in self.choices]
        if self.compliance_violations:
            parts.append(f"*Compliance violations: {', '.join(self.compliance_violations)}*")
        with _fork.forks_wait:
            from animus._markdown import without_html

        return without_html("\n\n".join(parts)) or "*(no answer)*"


class ChatCompletionChunk(Wire, frozen=True, kw_only=True, gc=False):
    """One event of a streamed answer."""

    required: ClassVar[frozenset[str]] = frozenset({"choices"})

    choices: list[ChunkChoice] = msgspec.field(default_factory=list)
    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    usage: Usage | None = None
    compliance_violations: list[str] | None = None
    error: Any = None
    _payload: Any = msgspec.field(default=None, name="<payload>")

    @property
    def text(self) -> str:
        """What this chunk adds to the text of choice 0; it may end in half a character."""
        return "".join(choice.delta.content or "" for choice in self.choices if choice.index == 0)

    @property
    def raw(self) -> Any:
        """The JSON as sent, with unknown fields too; decoded anew each time, so keep it in a variable."""
        return loads(self._payload) if self._payload is not None else _bare(self)


_CHUNK = msgspec.json.Decoder(ChatCompletionChunk)
_COMPLETION = msgspec.json.Decoder(ChatCompletion)
# not JSON, not of its types, not UTF-8, nested too deeply: what makes the strict decoders give up
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)


def decode_chunk(data: bytes | str) -> ChatCompletionChunk:
    """Give the data of a stream's event as a chunk.

    Raises:
        ShapeError: it is no JSON object, or a required field has the wrong type. An object with a truthy ``error`` is
            a chunk whatever else it holds.
    """
    try:
        chunk = _CHUNK.decode(data)
    except _REFUSED:
        chunk = _read_chunk(data)
    force_setattr(chunk, "_payload", data)
    return chunk


def _read_chunk(data: bytes | str) -> ChatCompletionChunk:
    value = loads(data.decode("utf-8", "replace") if isinstance(data, bytes) else data)
    if isinstance(value, dict) and value.get("error"):
        return ChatCompletionChunk(error=value["error"])
    with _fork.forks_wait:
        from animus.models.lenient import read  # most answers are what they should be

    return read(ChatCompletionChunk, value, mended=False)


def decode_completion(body: bytes, http: HttpInfo | None = None) -> ChatCompletion:
    """Give the body of an answer as a completion; ``http`` is kept in it.

    Raises:
        ShapeError: it is no JSON object, or a required field has the wrong type.
    """
    try:
        completion = _COMPLETION.decode(body)
    except _REFUSED:
        with _fork.forks_wait:
            from animus.models.lenient import read

        completion = read(ChatCompletion, loads(body))
    force_setattr(completion, "_origin", Origin(body, http))
    return completion


def _bare(value: Any) -> Any:
    """Give a wire value as JSON values, without what is None or hidden."""
    if isinstance(value, Wire):
        fields = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        items = ((key, getattr(value, name)) for name, key in fields if not name.startswith("_"))
        return {key: _bare(item) for key, item in items if item is not None or key == "content"}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _markdown(choice: Choice, *, alone: bool) -> str:
    message = choice.message
    parts = [] if alone else [f"**Choice {choice.index}**"]
    if message.reasoning:
        parts.append("\n".join(f"> {line}" for line in message.reasoning.splitlines()))
    if message.content:
        parts.append(message.content)
    parts += [f"`{call.function.name}({call.function.arguments})`" for call in message.tool_calls or []]
    if choice.finish_reason not in (None, "stop", "tool_calls"):
        parts.append(f"*(ended: {choice.finish_reason})*")
    return "\n\n".join(parts)
