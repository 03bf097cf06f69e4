"""A whole answer in the place of a stream: some servers ignore ``stream=true``."""

from __future__ import annotations

from collections.abc import Iterator

from animus.models.chat import ChatCompletion, ChatCompletionChunk, Choice, ChunkChoice, Delta, ToolCallDelta


class NoBody:
    """The body of a stream that was none."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def event_arrived(self) -> None:
        """There is no limit to begin anew."""

    def finish(self) -> None:
        """There is no connection."""

    close = finish


def chunk_of(completion: ChatCompletion) -> ChatCompletionChunk:
    """Give a whole answer as one chunk, with the very JSON the answer had."""
    return ChatCompletionChunk(
        choices=[_chunk_choice_of(choice) for choice in completion.choices],
        id=completion.id,
        object=completion.object,
        created=completion.created,
        model=completion.model,
        usage=completion.usage,
        compliance_violations=completion.answer_violations,
        _payload=completion._from.body,
    )


def _chunk_choice_of(choice: Choice) -> ChunkChoice:
    message = choice.message
    calls = [
        ToolCallDelta(index=index, id=call.id, type=call.type, function=call.function)
        for index, call in enumerate(message.tool_calls or [])
    ]
    delta = Delta(
        role=message.role,
        content=message.content,
        reasoning=message.reasoning,
        tool_calls=calls or None,
        turns=message.turns,
        next=message.next,
        image_prompt=message.image_prompt,
    )
    return ChunkChoice(
        index=choice.index, delta=delta, finish_reason=choice.finish_reason, compliance_violations=choice.compliance_violations
    )
