"""A chat completion on the wire: as one JSON object, or as the frames of a stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from animus.emulator.answer import Answer
from animus.emulator.wire_json import encode_json

DONE = b"data: [DONE]\n\n"

_WORD = re.compile(r"\s*\S{1,12}|\s+")
_ARGUMENTS_PIECE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What all frames of an answer begin with."""

    id: str
    created: int
    model: str

    def completion(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        """Give a completion object of ``kind`` around ``choices``."""
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model, "choices": choices}


def event(value: Any) -> bytes:
    """Give the frame that holds ``value`` as JSON."""
    return b"data: " + encode_json(value) + b"\n\n"


def completion(heading: Heading, answers: Sequence[Answer]) -> dict[str, Any]:
    """Give the whole answer; ``answers`` are its choices."""
    choices = []
    for index, answer in enumerate(answers):
        message: dict[str, Any] = {"role": "assistant", "content": answer.content}
        if answer.reasoning is not None:
            message["reasoning"] = answer.reasoning
        if answer.tool_calls is not None:
            message["tool_calls"] = list(answer.tool_calls)
        message.update(answer.extras())
        choices.append({"index": index, "message": message, "finish_reason": answer.finish_reason, **_violations(answer)})
    return {**heading.completion("chat.completion", choices), **_totals(answers)}


def stream(heading: Heading, answers: Sequence[Answer]) -> Iterator[bytes]:
    """Give the frames of a streamed answer: role, thinking, text, tool calls, an end for each choice (usage in the last), ``[DONE]``."""

    def frame(index: int, delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
        return heading.completion("chat.completion.chunk", [{"index": index, "delta": delta, "finish_reason": finish_reason, **more}])

    for index in range(len(answers)):
        yield event(frame(index, {"role": "assistant"}))
    for deltas in zip_longest(*(list(_deltas(answer)) for answer in answers)):
        for index, delta in enumerate(deltas):
            if delta is not None:
                yield event(frame(index, delta))
    for index, answer in enumerate(answers):
        end = frame(index, answer.extras(), answer.finish_reason, **_violations(answer))
        yield event({**end, **_totals(answers)} if index == len(answers) - 1 else end)
    yield DONE


def scripted_stream(frames: Sequence[Mapping[str, Any]], pause: Callable[[float], object]) -> Iterator[bytes]:
    """Give the frames of a script exactly as it says."""
    for frame in frames:
        if "sleep" in frame:
            pause(frame["sleep"])
        elif "raw" in frame:
            yield frame["raw"].encode("utf-8", "surrogatepass")
        elif "data" in frame:
            yield b"data: " + frame["data"].encode("utf-8", "surrogatepass") + b"\n\n"
        elif "json" in frame:
            yield event(frame["json"])
        else:
            yield DONE


def paced(frames: Iterator[bytes], seconds: float, pause: Callable[[float], object]) -> Iterator[bytes]:
    """Give ``frames`` with so many seconds between them."""
    for number, frame in enumerate(frames):
        if number and seconds:
            pause(seconds)
        yield frame


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    for piece in _WORD.findall(answer.reasoning or ""):
        yield {"reasoning": piece}
    for piece in answer.chunks if answer.chunks is not None else _WORD.findall(answer.content or ""):
        yield {"content": piece}
    for index, call in enumerate(answer.tool_calls or ()):
        function = call["function"]
        first = {**call, "index": index, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [first]}
        arguments = function.get("arguments", "")
        for start in range(0, len(arguments), _ARGUMENTS_PIECE):
            yield {"tool_calls": [{"index": index, "function": {"arguments": arguments[start : start + _ARGUMENTS_PIECE]}}]}


def _violations(answer: Answer) -> dict[str, Any]:
    return {"compliance_violations": list(answer.compliance_violations)} if answer.compliance_violations else {}


def _totals(answers: Sequence[Answer]) -> dict[str, Any]:
    first = answers[0]
    totals: dict[str, Any] = {} if first.usage is None else {"usage": dict(first.usage)}
    if first.compliance_violations is not None:
        totals["compliance_violations"] = list(first.compliance_violations)
    return totals
