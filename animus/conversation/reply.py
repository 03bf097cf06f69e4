"""What an exchange gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from animus._markdown import image_markdown, without_html
from animus.models.chat import ChatCompletion


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that was said in one exchange.

    Attributes:
        text: Everything that was said, pieces parted as the model parted them, follow-ups by blank lines.
        messages: The texts one by one: each turn and each follow-up.
        images: Images that were made.
        tool_calls: What the model wants called, as sent; empty unless the exchange ended with that.
        reasoning: The model's thinking, or None.
        usage: Tokens, summed over all calls of the exchange: ``prompt_tokens``, ``completion_tokens``, ``total_tokens``.
        finish_reason: Why the last answer ended.
        compliance_violations: What the API found.
        cancelled: Whether something pending was cut.
        conversation_id: The id of the exchange, as on its events.
        errors: What failed after the first answer had been said: a follow-up or an image.
        completions: The API's answers, in order.
    """

    text: str = ""
    messages: tuple[str, ...] = ()
    images: tuple[Any, ...] = ()
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    reasoning: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict)
    finish_reason: str | None = None
    compliance_violations: tuple[str, ...] = ()
    cancelled: bool = False
    conversation_id: str = ""
    errors: tuple[Exception, ...] = ()
    completions: tuple[ChatCompletion, ...] = ()

    def __str__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        parts = [without_html(self.text)] if self.text else []
        parts += [image_markdown(str(image), "image") for image in self.images]
        parts += [without_html(f"> {violation}") for violation in self.compliance_violations]
        return "\n\n".join(parts)
