"""The bytes that all clients send and get: the same request, bearer, reply and frames for everybody."""

from __future__ import annotations

import base64
import json
from typing import Any


def _base64(value: Any) -> str:
    return base64.urlsafe_b64encode(_json(value)).decode().rstrip("=")


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


MODEL = "vivian-llama3.1-70b-1.0-fp8"
# no signature is looked at; with a life, so that it is kept
TOKEN = f"{_base64({'alg': 'HS256'})}.{_base64({'exp': 4102444800})}.".ljust(700, "e")
OPAQUE_TOKEN = "e" * 700
SYSTEM = "You are a helpful assistant. " * 11
QUESTION = "What makes the tides rise and fall? " * 10
MESSAGES: list[dict[str, str]] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "temperature": 0.7, "stream": False, "compliance": True, "autoTurn": False}

_HEAD = {"id": "chatcmpl-9f3", "object": "chat.completion.chunk", "created": 1795600000, "model": MODEL}
_FURTHER = {"system_fingerprint": "fp_44709d6fcb", "service_tier": "default"}
FRAME_BYTES = 295
REPLY_BYTES = 1132


def reply(size: int = REPLY_BYTES) -> bytes:
    """Give the body of a whole answer, of so many bytes."""
    message = {"role": "assistant", "content": ""}
    answer = {
        "id": "chatcmpl-9f3",
        "object": "chat.completion",
        "created": 1795600000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 180, "completion_tokens": 190, "total_tokens": 370},
        "compliance_violations": [],
    }
    message["content"] = "x" * (size - len(_json(answer)))
    return _json(answer)


def anthropic_reply(size: int = REPLY_BYTES) -> bytes:
    """Give the same in the form that ``anthropic`` reads."""
    content = {"type": "text", "text": ""}
    answer = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [content],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 180, "output_tokens": 190},
    }
    content["text"] = "x" * (size - len(_json(answer)))
    return _json(answer)


def turns_reply(turns: int) -> bytes:
    """Give an answer that is to be said in so many turns."""
    message = {"role": "assistant", "content": "\n".join(f"This is turn number {number}." for number in range(turns))}
    return _json({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})


def frame(text: str, *, end: bytes = b"\n") -> bytes:
    """Give an event of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return b"data: " + _json({**_HEAD, "choices": [choice], **_FURTHER}) + end + end


def frames(count: int, *, end: bytes = b"\n") -> list[bytes]:
    """Give a whole stream: ``count`` frames of 295 bytes, one that says why it ended, and ``[DONE]``."""
    room = FRAME_BYTES - len(frame("", end=b"\n"))
    texts = [f"word {number} ".ljust(room, "x") for number in range(count)]
    last = {**_HEAD, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}], **_FURTHER}
    return [*(frame(text, end=end) for text in texts), b"data: " + _json(last) + end + end, b"data: [DONE]" + end + end]


def anthropic_frames(count: int) -> list[bytes]:
    """Give as many frames of text in the form that ``anthropic`` reads."""
    start: dict[str, Any] = {"type": "message_start", "message": {**json.loads(anthropic_reply()), "content": [], "stop_reason": None}}
    block: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    empty: dict[str, Any] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}
    room = FRAME_BYTES - len(_named(empty))
    deltas = [{**empty, "delta": {"type": "text_delta", "text": f"word {number} ".ljust(room, "x")}} for number in range(count)]
    why = {"stop_reason": "end_turn", "stop_sequence": None}
    stop: dict[str, Any] = {"type": "message_delta", "delta": why, "usage": {"output_tokens": count}}
    return [_named(event) for event in (start, block, *deltas, {"type": "content_block_stop", "index": 0}, stop, {"type": "message_stop"})]


def chunked(piece: bytes) -> bytes:
    """Give a piece of a body as an HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def gathered(pieces: list[bytes], size: int = 16384) -> list[bytes]:
    """Give the same bytes in pieces of ``size``."""
    whole = b"".join(pieces)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


def _named(event: dict[str, Any]) -> bytes:
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + _json(event) + b"\n\n"
