"""Chunks to a completion.

Choices are kept apart by index. Content, reasoning and the arguments of tool calls are concatenated; of everything else
the last value that is not null wins. Pieces are collected in lists and joined when a completion is asked for, so that the
work is linear in the length of the answer.
"""

from __future__ import annotations

from animus.models.answer import HttpInfo, Origin, mend
from animus.models.chat import (
    ChatCompletion,
    ChatCompletionChunk,
    Choice,
    ChunkChoice,
    Delta,
    FunctionCall,
    Message,
    ToolCall,
    ToolCallDelta,
    Usage,
)


class Accumulator:
    """Puts a streamed answer together. One thread adds; :meth:`completion` may be asked for by any."""

    def __init__(self) -> None:
        self._choices: dict[int, _Said] = {}
        self._id: str | None = None
        self._created: int | None = None
        self._model: str | None = None
        self._is_headless = True
        self._usage: tuple[Usage, bytes | str | None] | None = None
        self._violations: list[str] | None = None

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Take a chunk in; give what it adds to the text of choice 0, which may begin or end in half a character."""
        if self._is_headless:
            self._take_head(chunk)
        if chunk.usage is not None:
            self._usage = (chunk.usage, chunk._payload)
        if chunk.compliance_violations is not None:
            self._violations = chunk.compliance_violations
        text = ""
        for choice in chunk.choices:
            said = self._choices.get(choice.index)
            if said is None:
                said = self._choices[choice.index] = _Said()
            added = said.add(choice)
            if added and choice.index == 0:
                text += added
        return text

    def _take_head(self, chunk: ChatCompletionChunk) -> None:
        self._id = self._id if self._id is not None else chunk.id
        self._created = self._created if self._created is not None else chunk.created
        self._model = self._model if self._model is not None else chunk.model
        self._is_headless = self._id is None or self._created is None or self._model is None

    @property
    def has_choices(self) -> bool:
        """Whether any choice was seen."""
        return bool(self._choices)

    @property
    def is_finished(self) -> bool:
        """Whether there is a choice, and every choice seen has said why it ended."""
        return self.has_choices and all(said.finish_reason for said in list(self._choices.values()))

    def partial(self, http: HttpInfo | None = None, request_id: str | None = None) -> ChatCompletion | None:
        """Give what has arrived, or None if nothing has."""
        if not self._choices and self._usage is None and not self._violations:
            return None
        return self.completion(http, request_id)

    def completion(self, http: HttpInfo | None = None, request_id: str | None = None) -> ChatCompletion:
        """Give all that has arrived as one completion."""
        usage, payload = self._usage if self._usage is not None else (None, None)
        return ChatCompletion(
            id=_mended(self._id),
            object="chat.completion",
            created=self._created,
            model=_mended(self._model),
            choices=[said.choice(index) for index, said in sorted(self._choices.items())],
            usage=usage,
            answer_violations=_all_mended(self._violations),
            _origin=Origin(http=http, request_id=request_id, usage=payload),
        )


class _Said:
    """What one choice has said so far."""

    __slots__ = ("calls", "content", "extras", "finish_reason", "reasoning", "role", "violations")

    def __init__(self) -> None:
        self.role: str | None = None
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.calls: _Calls | None = None
        self.extras: _Extras | None = None
        self.finish_reason: str | None = None
        self.violations: list[str] | None = None

    def add(self, choice: ChunkChoice) -> str | None:
        """Take a choice of a chunk in; give the content it adds."""
        delta = choice.delta
        content = delta.content
        if content:
            self.content.append(content)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.tool_calls:
            if self.calls is None:
                self.calls = _Calls()
            for piece in delta.tool_calls:
                self.calls.add(piece)
        if delta.turns is not None or delta.next is not None or delta.image_prompt is not None:
            self._take_extras(delta)
        if choice.message is not None:
            self._take_extras(choice.message)
        if delta.role and self.role is None:
            self.role = delta.role
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        if choice.compliance_violations is not None:
            self.violations = choice.compliance_violations
        return content

    def _take_extras(self, delta: Delta) -> None:
        if self.extras is None:
            self.extras = _Extras()
        self.extras.take(delta)

    def choice(self, index: int) -> Choice:
        extras = self.extras or _Extras()
        message = Message(
            role=_mended(self.role) or "assistant",
            content=mend("".join(self.content)) if self.content else None,
            reasoning=mend("".join(self.reasoning)) if self.reasoning else None,
            tool_calls=self.calls.whole() if self.calls is not None else None,
            turns=_all_mended(extras.turns),
            next=extras.next,
            image_prompt=_mended(extras.image_prompt),
        )
        return Choice(
            index=index,
            message=message,
            finish_reason=_mended(self.finish_reason),
            compliance_violations=_all_mended(self.violations),
        )


class _Extras:
    """What few answers have: turns, the wish to go on, an image."""

    __slots__ = ("image_prompt", "next", "turns")

    def __init__(self) -> None:
        self.turns: list[str] | None = None
        self.next: bool | None = None
        self.image_prompt: str | None = None

    def take(self, delta: Delta) -> None:
        if delta.turns is not None:
            self.turns = delta.turns
        if delta.next is not None:
            self.next = delta.next
        if delta.image_prompt is not None:
            self.image_prompt = delta.image_prompt


class _Calls:
    """The tool calls of one choice.

    A piece belongs to the call with its index; without an index, to the call with its id; without an id, to the call
    that got the last piece. Calls are given in the order of their indexes, however far apart these are.
    """

    __slots__ = ("_by_id", "_by_index", "_next", "_open")

    def __init__(self) -> None:
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._next = 0
        self._open: _Call | None = None

    def add(self, piece: ToolCallDelta) -> None:
        name = piece.function.name if piece.function is not None else None
        call = self._open = self._call_of(piece.index, piece.id, name)
        if piece.id and call.id is None:
            call.id = piece.id
            self._by_id.setdefault(piece.id, call)
        call.type = call.type or piece.type
        if piece.function is not None:
            call.name = call.name or name or None
            if piece.function.arguments:
                call.arguments.append(piece.function.arguments)

    def _call_of(self, index: int | None, id: str | None, name: str | None) -> _Call:
        if index is not None:
            return self._by_index.get(index) or self._new(index)
        if id and id in self._by_id:
            return self._by_id[id]
        if self._open is not None and self._open.may_take(id, name):
            return self._open
        return self._new(self._next)

    def _new(self, index: int) -> _Call:
        call = self._by_index[index] = _Call()
        self._next = max(self._next, index + 1)
        return call

    def whole(self) -> list[ToolCall]:
        return [call.whole() for _, call in sorted(self._by_index.items())]


class _Call:
    """One tool call: the first id and name that are not empty, and all arguments."""

    __slots__ = ("arguments", "id", "name", "type")

    def __init__(self) -> None:
        self.id: str | None = None
        self.type: str | None = None
        self.name: str | None = None
        self.arguments: list[str] = []

    def may_take(self, id: str | None, name: str | None) -> bool:
        """Whether a piece without index can be a further piece of this call: another id or name begins another call."""
        return (not id or self.id is None) and (not name or self.name is None or name == self.name)

    def whole(self) -> ToolCall:
        function = FunctionCall(name=_mended(self.name), arguments=mend("".join(self.arguments)))
        return ToolCall(id=_mended(self.id), type=_mended(self.type) or "function", function=function)


def _mended(text: str | None) -> str | None:
    return None if text is None else mend(text)


def _all_mended(texts: list[str] | None) -> list[str] | None:
    return None if texts is None else [mend(text) for text in texts]
