"""The adapter of the vectors: it translates between them and ``animus``, and nothing else."""

from __future__ import annotations

from typing import Any

from requests.structures import CaseInsensitiveDict

from animus import AnimusClient, errors
from animus.http.retry_after import retry_after as read_retry_after
from animus.models.chat import ChatCompletion, Choice
from animus.sources.protocol import TokenRequest
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.streaming.sse import SseDecoder
from animus.streaming.stream import ChatStream
from animus.testing import ManualClock


def sse(chunks: list[bytes]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Feed ``chunks``; give the events, and what a reconnect would use."""
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    decoder.end()
    state = {"last_event_id": decoder.last_event_id, "reconnection_time": decoder.reconnection_time}
    return [{"event": event.event, "data": event.data, "id": event.id, "retry": event.retry} for event in events], state


def chat(base_url: str) -> dict[str, Any]:
    """Do one streamed completion against ``base_url``; give its outcome and what had arrived."""
    with client(base_url) as animus, animus.chat.completions(messages=[{"role": "user", "content": "Hello"}], stream=True) as stream:
        return read(stream)


def client(base_url: str) -> AnimusClient:
    """Give a client of an API that takes any token."""
    chat = {"model": "vivian-test-1", "system_message": "You are a helpful assistant."}
    return AnimusClient(StaticTokenSource("a-token-of-the-vectors"), api_base_url=base_url, chat=chat)


def read(stream: ChatStream) -> dict[str, Any]:
    """Read a stream to its end; give its outcome and what had arrived."""
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


def token(url: str, now: float) -> dict[str, Any]:
    """Ask the token provider at ``url`` once, with the local clock at ``now``; give the token and its life, or why there is none."""
    source = UrlTokenSource(url, clock=ManualClock(now))
    try:
        token = source.fetch(TokenRequest())
    except errors.TokenSourceError as error:
        return {"ok": False, "reason": error.reason}
    finally:
        source.close()
    return {"ok": True, "token": str(token.value), "expires_at": token.expires_at, "usable_until_local": token.usable_until}


def retry_after(headers: list[tuple[str, str]], now: float) -> float | None:
    """Give the seconds that an answer with these headers asks to wait."""
    joined: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers:  # RFC 9110 section 5.3: as any recipient joins them
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return read_retry_after(joined, now)
