"""What is to be answered, before it takes the shape of JSON or of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An assistant's message and what goes with it. Fields that are None are left out on the wire (``content`` is null there).

    Attributes:
        content: The text.
        reasoning: The thinking.
        turns: The text in pieces.
        next: Whether the model wants to go on.
        image_prompt: The picture that was promised.
        tool_calls: Complete tool calls, as on the wire.
        finish_reason: ``stop``, ``length``, ``tool_calls``.
        compliance_violations: Categories; None: not looked for.
        usage: Token counts; None: left out.
        chunks: How a stream cuts the text; None: word by word.
        chunk_delay: Seconds between chunks; None: the emulator's.
    """

    content: str | None = None
    reasoning: str | None = None
    turns: Sequence[str] | None = None
    next: bool | None = None
    image_prompt: str | None = None
    tool_calls: Sequence[Mapping[str, Any]] | None = None
    finish_reason: str | None = "stop"
    compliance_violations: Sequence[str] | None = None
    usage: Mapping[str, Any] | None = None
    chunks: Sequence[str] | None = None
    chunk_delay: float | None = None

    def extras(self) -> dict[str, Any]:
        """Give the platform's additions to a message that are there."""
        additions = {
            "turns": None if self.turns is None else list(self.turns),
            "next": self.next,
            "image_prompt": self.image_prompt,
        }
        return {name: value for name, value in additions.items() if value is not None}


def count_tokens(text: str) -> int:
    """Count a text's tokens, which for the emulator are its words."""
    return len(text.split())


def usage_of(prompt: int, completion: int) -> dict[str, int]:
    """Give the ``usage`` object for these token counts."""
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
