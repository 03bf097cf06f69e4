"""Think blocks: what a model writes between ``<think>`` and ``</think>``."""

from __future__ import annotations

import re

# an unclosed block reaches to the end; a stray closing tag is no block
_BLOCK = re.compile(r"<think>(.*?)(?:</think>|\Z)", re.IGNORECASE | re.DOTALL)


def split_thinking(content: str) -> tuple[str, list[str]]:
    """Give the text without its think blocks, ends trimmed, and the blocks' own texts.

    The rest of the text keeps its white space.

    >>> split_thinking("<think>plan</think>Hello  there. <THINK>more")
    ('Hello  there.', ['plan', 'more'])
    """
    if "<" not in content:
        return content.strip(), []
    blocks = [block.strip() for block in _BLOCK.findall(content)]
    return _BLOCK.sub("", content).strip(), [block for block in blocks if block]


def join_reasoning(reasoning: str | None, blocks: list[str]) -> str | None:
    """Give the API's reasoning first, then the blocks, parted by blank lines; None if there is nothing."""
    parts = ([reasoning] if reasoning else []) + blocks
    return "\n\n".join(parts) or None
