"""Answers as events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from animus.conversation.messages import ChatMessage
from animus.events import Event, MessageComplete, MessageProgress, MessageTokens
from animus.models.chat import ChatCompletion

_STEP = 20  # characters between two progress events


class TextProgress:
    """Turns pieces of streamed text into ``message_tokens`` and ``message_progress`` payloads.

    Args:
        ids: ``chat_id``, ``conversation_id`` and ``message_type`` of the payloads.
    """

    __slots__ = ("_ids", "_length", "_pieces")

    def __init__(self, ids: dict[str, Any]) -> None:
        self._ids = ids
        self._pieces: list[str] = []
        self._length = 0

    def add(self, text: str) -> Iterator[Event]:
        """Give the events of a further piece."""
        yield MessageTokens(content=text, **self._ids)
        self._pieces.append(text)
        before, self._length = self._length, self._length + len(text)
        if self._length // _STEP > before // _STEP:
            # joined only every 20 characters, and kept joined: linear in the text as far as a reader of all of it can be
            self._pieces = ["".join(self._pieces)]
            yield MessageProgress(content=self._pieces[0], **self._ids)


def message_complete(answer: ChatMessage, completion: ChatCompletion, ids: dict[str, Any]) -> MessageComplete:
    """Give the event of an answer that is said as a whole."""
    return MessageComplete(
        content=answer.content or "",
        reasoning=answer.reasoning,
        tool_calls=answer.tool_calls,
        image_prompt=completion.image_prompt,
        compliance_violations=answer.compliance_violations,
        finish_reason=completion.finish_reason,
        **ids,
    )
