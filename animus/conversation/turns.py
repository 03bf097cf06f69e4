"""Turns: an answer in pieces, said one after the other like a person types."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from animus.config import TurnConfig
from animus.conversation.messages import ChatMessage
from animus.conversation.thinking import split_thinking


@dataclass(frozen=True, slots=True)
class Piece:
    """One turn. ``separator`` is what parts it from the one before: a newline, or a space."""

    text: str
    separator: str


def split_turns(content: str | None, turns: Sequence[str] | None, config: TurnConfig, *, more_follows: bool) -> list[Piece]:
    """Give the pieces of an answer; one piece or none means that it is not split.

    A newline in the text splits it; else the API's own ``turns`` do. Think blocks are taken out before, blank pieces
    dropped. Pieces are merged only when there are more than ``max_turns`` (one less if a follow-up is announced).

    Args:
        content: The answer's text; if there is none, the turns are the content.
        turns: How the API split it.
        more_follows: Whether the answer says that a follow-up comes.
    """
    text = split_thinking(content)[0] if content else ""
    if "\n" in text:
        parts, separator = text.split("\n"), "\n"
    else:
        parts, separator = list(turns or ()), " "
    parts = [stripped for part in parts if (stripped := (split_thinking(part)[0] if separator == " " else part.strip()))]
    limit = max(1, config.max_turns - 1 if more_follows else config.max_turns)
    return [Piece(text, separator) for text in _merged(parts, limit, separator)]


def turn_messages(answer: ChatMessage, pieces: Sequence[Piece], group_id: str) -> list[ChatMessage]:
    """Give the pieces of an answer as messages: its reasoning on the first, tool calls and violations on the last."""
    last = len(pieces) - 1
    return [
        ChatMessage(
            role="assistant",
            content=piece.text,
            reasoning=answer.reasoning if index == 0 else None,
            tool_calls=answer.tool_calls if index == last else (),
            compliance_violations=answer.compliance_violations if index == last else (),
            group_id=group_id,
            message_index=index,
            total_in_group=len(pieces),
            separator=piece.separator if index else None,
        )
        for index, piece in enumerate(pieces)
    ]


def _merged(parts: list[str], count: int, separator: str) -> list[str]:
    """Merge into ``count`` groups as evenly as can be: the first ``len % count`` get one part more."""
    if len(parts) <= count:
        return parts
    size, longer = divmod(len(parts), count)
    merged, start = [], 0
    for group in range(count):
        end = start + size + (group < longer)
        merged.append(separator.join(parts[start:end]))
        start = end
    return merged


def typing_delay(text: str, config: TurnConfig, rng: random.Random) -> float:
    """Give the seconds before a piece is said: its words at typing speed, varied by chance, within the bounds."""
    seconds = len(text.split()) / config.base_typing_speed * 60.0
    varied = seconds * (1.0 + (rng.random() - 0.5) * 2.0 * config.speed_variation)
    return min(max(varied, config.min_delay), config.max_delay)
