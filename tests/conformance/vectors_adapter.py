"""The adapter of the vectors: it translates between them and ``animus``, and nothing else."""

from __future__ import annotations

from typing import Any

from animus import AnimusClient, errors
from animus.models.chat import ChatCompletion, Choice
from animus.sources.static import StaticTokenSource
from animus.streaming.sse import SseDecoder


def sse(chunks: list[bytes]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Feed ``chunks``; give the events, and what a reconnect would use."""
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    decoder.end()
    state = {"last_event_id": decoder.last_event_id, "reconnection_time": decoder.reconnection_time}
    return [{"event": event.event, "data": event.data, "id": event.id, "retry": event.retry} for event in events], state


def chat(base_url: str) -> dict[str, Any]:
    """Do one streamed completion against ``base_url``; give its outcome and what had arrived."""
    with AnimusClient(StaticTokenSource("a-token-of-the-vectors"), api_base_url=base_url, chat={"model": "vivian-test-1"}) as client:
        stream = client.chat.completions(messages=[{"role": "user", "content": "Hello"}], stream=True)
        with stream:
            try:
                return outcome("ok", stream.final())
            except errors.StreamApiError as error:
                return {**outcome("api_error", error.partial), "error": {"message": error.message, "code": error.code, "type": error.type}}
            except errors.StreamDecodeError as error:
                return outcome("malformed", error.partial)
            except errors.StreamInterruptedError as error:
                return outcome("interrupted", error.partial)
            except errors.ResponseDecodeError as error:
                # the stream may have come to its proper end; what is refused is an answer without any choice
                return outcome("ok" if stream.done else "interrupted", error.partial)


def outcome(name: str, completion: ChatCompletion | None) -> dict[str, Any]:
    """Give a completion in the form of the vectors."""
    if completion is None:
        return {"outcome": name, "message": {}, "choices": []}
    choices = {choice.index: message(choice) for choice in completion.choices}
    first = {
        **choices.get(0, {}),
        "usage": completion.raw.get("usage"),
        "compliance_violations": completion.compliance_violations,
    }
    return {"outcome": name, "message": first, "choices": list(choices.values())}


def message(choice: Choice) -> dict[str, Any]:
    """Give one choice in the form of the vectors."""
    said = choice.message
    calls = [
        {"id": call.id, "type": call.type, "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in said.tool_calls or []
    ]
    return {
        "index": choice.index,
        "content": said.content,
        "reasoning": said.reasoning,
        "tool_calls": calls,
        "finish_reason": choice.finish_reason,
        "turns": said.turns,
        "next": said.next,
        "compliance_violations": choice.compliance_violations,
    }
