"""How an exchange is to go, and asking the API by that plan."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

from animus.config import TurnConfig
from animus.conversation.messages import ChatMessage
from animus.conversation.payload import Parameters, request_body
from animus.conversation.progress import TextProgress
from animus.conversation.room import Room
from animus.events import Event
from animus.http.timeouts import Timeouts
from animus.models.chat import ChatCompletion
from animus.resources.completions import complete
from animus.tools.limits import ToolLimits
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an exchange is to go; it keeps to it whatever is configured meanwhile.

    Attributes:
        text: What the user says: text or content parts.
        stream: Whether answers are streamed (follow-ups never are).
        pace: Whether turns wait for their typing delays.
        history: Whether the conversation's history is read and written.
        tool_limits: How far calls of tools may go.
    """

    text: Any
    parameters: Parameters
    stream: bool
    pace: bool = True
    history: bool = True
    tool_limits: ToolLimits | None = None
    timeouts: Timeouts | None = None
    retry: RetryPolicy | None = None

    @property
    def turns(self) -> TurnConfig:
        """The turn settings."""
        return self.parameters.turns

    @property
    def splits(self) -> bool:
        """Whether answers are said in turns: an explicit ``stream=True`` beats configured turns."""
        return self.turns.enabled and not self.stream

    def makes_image(self, completion: ChatCompletion) -> bool:
        """Tell whether an answer promises an image that is to be made."""
        prompt = completion.image_prompt
        return bool(prompt and prompt.strip()) and bool(self.parameters.get("check_image_generation"))


class _Collector:
    """Takes text and the end of a stream, for the loop that reads it."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.completion: ChatCompletion | None = None

    def delta(self, text: str) -> None:
        self._texts.append(text)

    def complete(self, completion: ChatCompletion) -> None:
        self.completion = completion

    def failed(self, error: Exception) -> None:
        """The loop gets the exception itself."""

    def take(self) -> list[str]:
        texts, self._texts = self._texts, []
        return texts


def ask(
    room: Room, plan: Plan, messages: Sequence[ChatMessage], ids: dict[str, Any], cancellation: Cancellation, *, follow_up: bool = False
) -> Generator[Event, None, ChatCompletion]:
    """Ask for one answer; give the events of its text as it streams, and the answer in the end.

    Args:
        messages: All of them, the system message included.
        ids: Where the events belong.
        cancellation: How another thread may end the call.
        follow_up: Ask for a follow-up: not streamed, and with its cap on tokens.
    """
    stream = plan.stream and not follow_up
    body = request_body(plan.parameters, messages, stream=stream, auto_turn=plan.splits)
    cap = plan.turns.follow_up_max_tokens
    if follow_up and cap is not None:
        body["max_tokens"] = min(body.get("max_tokens", cap), cap)
    options: dict[str, Any] = {"timeouts": plan.timeouts, "retry": plan.retry, "cancellation": cancellation}
    if not stream:
        whole: ChatCompletion = complete(room.session, body, **options)
        return whole
    collector, progress = _Collector(), TextProgress(ids)
    with complete(room.session, body, stream=True, observer=collector, **options) as chunks:
        for _ in chunks:
            for text in collector.take():
                yield from map(room.say, progress.add(text))
    for text in collector.take():
        yield from map(room.say, progress.add(text))
    assert collector.completion is not None
    return collector.completion
