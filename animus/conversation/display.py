"""A history as notebooks show it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from animus.conversation.messages import ChatMessage
from animus.tools.calls import name_and_arguments

_NEWEST = 100  # so many messages are shown
_CELL = "text-align: left; vertical-align: top"


def shown_as_html(messages: Sequence[ChatMessage]) -> str:
    """Give the newest messages as a table. Whatever they hold is text: none of it is taken for HTML, no link or image is loaded."""
    if not messages:
        return "<em>(no messages)</em>"
    earlier = len(messages) - _NEWEST
    rows = [f'<tr><td></td><td style="{_CELL}"><em>… {earlier} earlier messages</em></td></tr>'] if earlier > 0 else []
    rows += [
        f'<tr><th style="{_CELL}">{html.escape(message.name or message.role)}</th>'
        f'<td style="{_CELL}; white-space: pre-wrap">{html.escape(_text(message))}</td></tr>'
        for message in messages[-_NEWEST:]
    ]
    return f"<table>{''.join(rows)}</table>"


def _text(message: ChatMessage) -> str:
    content = message.content
    parts = [content] if isinstance(content, str) else [_part(part) for part in content or ()]
    parts += ["{}({})".format(*name_and_arguments(call)) for call in message.tool_calls]
    return "\n".join(parts)


def _part(part: Mapping[str, Any]) -> str:
    """Give a part's text; of others only what they are: a URL may hold a whole image."""
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type')}]"
