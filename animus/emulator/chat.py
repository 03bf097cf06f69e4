"""``POST /chat/completions``: by script, by another server, or by the built-in answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response

from animus.emulator.answer import Answer, count_tokens, usage_of
from animus.emulator.builtin import answers_to
from animus.emulator.chat_request import ChatRequest, read_chat_request, text_of
from animus.emulator.frames import Heading, completion, paced, scripted_stream, stream
from animus.emulator.problem import Problem, error_body
from animus.emulator.recording import RecordedRequest
from animus.emulator.reply import content_type_of
from animus.emulator.scripted import ScriptedAnswer
from animus.emulator.state import EmulatorState
from animus.emulator.upstream import relay
from animus.emulator.wire_json import encode_json

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


def answer_chat(state: EmulatorState, request: RecordedRequest) -> Response:
    """Answer a chat request.

    Raises:
        Problem: it is not as it should be, or there is nothing to answer it with.
    """
    asked = read_chat_request(request.body)
    return scripted_or(state, request, asked.user_text, lambda: _unscripted(state, request, asked), asked)


def scripted_or(
    state: EmulatorState, request: RecordedRequest, text: str, otherwise: Callable[[], Response], asked: ChatRequest | None = None
) -> Response:
    """Answer by the script if it has an answer for this request, else by ``otherwise``.

    Raises:
        Problem: 500, the script is strict and has none.
    """
    scripted = state.answers.take(request.path, text)
    if scripted is not None:
        return _scripted(state, scripted, asked)
    if state.answers.strict:
        raise Problem(500, f"The script has no answer left for {request.method} {request.path}")
    return otherwise()


def _scripted(state: EmulatorState, scripted: ScriptedAnswer, asked: ChatRequest | None) -> Response:
    if scripted.delay:
        state.pause(scripted.delay)
    if scripted.frames is not None:
        response = Response(scripted_stream(scripted.frames, state.pause), scripted.status, content_type=EVENT_STREAM)
    elif scripted.answer is None:
        body, content_type = _exact_body(state, scripted)
        response = Response(body, scripted.status, content_type=content_type)
    elif asked is None:
        raise Problem(500, 'Only chat completions can be scripted with a message; use "json" for this path')
    else:
        response = _response(state, asked, [_completed(scripted, asked)] * asked.choices)
    response.headers.update(scripted.headers)
    return response


def _exact_body(state: EmulatorState, scripted: ScriptedAnswer) -> tuple[bytes, str]:
    if not scripted.has_exact:
        said = scripted.status < 400
        return (b"", JSON) if said else (encode_json(error_body(scripted.status, "Scripted error", state.error_style)), JSON)
    if isinstance(scripted.exact, bytes):
        return scripted.exact, content_type_of(scripted.exact)
    if scripted.is_text:
        raw = scripted.exact.encode("utf-8", "surrogatepass")
        return raw, content_type_of(raw)
    return encode_json(scripted.exact), JSON


def _completed(scripted: ScriptedAnswer, asked: ChatRequest) -> Answer:
    answer = scripted.answer or Answer()
    if not scripted.counts_usage:
        return answer
    prompt = sum(count_tokens(text_of(message)) for message in asked.messages)
    return replace(answer, usage=usage_of(prompt, count_tokens(answer.content or "")))


def _unscripted(state: EmulatorState, request: RecordedRequest, asked: ChatRequest) -> Response:
    if state.upstream is None:
        return _response(state, asked, answers_to(asked))
    body: dict[str, Any] = json.loads(request.body)
    status, headers, pieces = relay(state.upstream, state.upstream_key, body)
    response = Response(pieces, status)
    response.headers.clear()
    response.headers.extend(headers)
    return response


def _response(state: EmulatorState, asked: ChatRequest, answers: list[Answer]) -> Response:
    heading = Heading(id=state.next_answer_id(), created=int(state.now), model=asked.model)
    if not asked.stream:
        return Response(encode_json(completion(heading, answers)), content_type=JSON)
    delay = answers[0].chunk_delay
    frames = paced(stream(heading, answers), state.chunk_delay if delay is None else delay, state.pause)
    return Response(frames, content_type=EVENT_STREAM, headers={"Cache-Control": "no-cache"})
