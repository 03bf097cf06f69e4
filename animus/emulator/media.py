"""``/media/…``: questions about pictures, what is in them, and the jobs for videos."""

from __future__ import annotations

from typing import Any

from flask import Response

from animus.emulator.answer import Answer, count_tokens, usage_of
from animus.emulator.bodycheck import BodyCheck
from animus.emulator.chat import JSON, scripted_or
from animus.emulator.chat_request import ChatRequest, read_chat_request, text_of
from animus.emulator.frames import Heading, completion
from animus.emulator.problem import Problem
from animus.emulator.recording import RecordedRequest
from animus.emulator.sight import KINDS, is_readable, is_video, name_of, seen_in, seen_through
from animus.emulator.state import EmulatorState
from animus.emulator.wire_json import encode_json

_ADDRESSES = ("http://", "https://", "data:")


def answer_media(state: EmulatorState, request: RecordedRequest) -> Response:
    """Answer a question about pictures.

    Raises:
        Problem: it is not as it should be, or there is nothing to answer it with.
    """
    asked = read_chat_request(request.body)
    pictures = _pictures_in(asked, BodyCheck(request.body))

    def unscripted() -> Response:
        heading = Heading(id=state.next_answer_id(), created=int(state.now), model=asked.model)
        return _json(completion(heading, [_description(asked, pictures)]))

    return scripted_or(state, request, asked.user_text, unscripted, asked)


def categorise(state: EmulatorState, request: RecordedRequest) -> Response:
    """Say what is in a picture, or begin the job that looks through a video.

    Raises:
        Problem: the request is not as it should be, or there is no such picture.
    """
    check = BodyCheck(request.body)
    url = check.take("media_url", "string", required=True) or ""
    kinds = _kinds(check)
    by_scenes = bool(check.take("use_scenes", "bool"))
    payload = check.take("custom_payload", "dict")
    check.take("model", "string")
    check.finish()
    if not url.lower().startswith(_ADDRESSES):
        raise Problem(400, "media_url must be an http or https address, or a data URI")
    return scripted_or(state, request, url, lambda: _found(state, url, kinds, by_scenes, payload))


def look_at_job(state: EmulatorState, request: RecordedRequest) -> Response:
    """Give the state of a video's job, which moves on by that.

    Raises:
        Problem: 404, there is no such job.
    """
    job_id = request.path.rpartition("/media/categories/")[2]

    def unscripted() -> Response:
        job = state.media_jobs.look(job_id, state.now)
        if job is None:
            raise Problem(404, "Job not found")
        return _json(job)

    return scripted_or(state, request, job_id, unscripted)


def _json(value: Any) -> Response:
    return Response(encode_json(value), content_type=JSON)


def _found(state: EmulatorState, url: str, kinds: list[str], by_scenes: bool, payload: dict[str, Any] | None) -> Response:
    if is_video(url):
        error = None if is_readable(url) else f"{name_of(url)} cannot be decoded"
        return _json(state.media_jobs.begin(seen_through(url, kinds, by_scenes=by_scenes), error, payload, state.now))
    if not is_readable(url):
        raise Problem(400, f"{name_of(url)} cannot be decoded")
    return _json({"metadata": seen_in(url, kinds)})


def _kinds(check: BodyCheck) -> list[str]:
    kinds = check.take("metadata", "list", required=True)
    if kinds == []:
        check.wrong("too_short", ["metadata"], "List should have at least 1 item after validation, not 0")
    for index, kind in enumerate(kinds or ()):
        if kind not in KINDS:
            check.wrong("enum", ["metadata", index], f"Input should be one of {', '.join(KINDS)}")
    return kinds or []


def _pictures_in(asked: ChatRequest, check: BodyCheck) -> list[str]:
    """Give the addresses of all pictures; the content of every message must be a list of parts, as the platform documents it."""
    pictures = []
    for index, message in enumerate(asked.messages):
        place: list[Any] = ["messages", index, "content"]
        for number, part in enumerate(check.of(message, "content", "list", place) or ()):
            if not isinstance(part, dict) or part.get("type") not in ("text", "image_url"):
                check.wrong("union_tag_invalid", [*place, number], "Input should be a part of type text or image_url")
            elif part["type"] == "image_url":
                image = check.of(part, "image_url", "dict", [*place, number, "image_url"], required=True) or {}
                pictures.append(check.of(image, "url", "string", [*place, number, "image_url", "url"], required=True) or "")
            else:
                check.of(part, "text", "string", [*place, number, "text"], required=True)
    check.finish()
    return pictures


def _description(asked: ChatRequest, pictures: list[str]) -> Answer:
    seen = f"I see {'; '.join(map(_view, pictures))}." if pictures else "I see no picture."
    question = " ".join(asked.user_text.split())
    text = f'{seen} You asked "{question[:80]}". I am the Animus emulator: I look at addresses, not at pictures.' if question else seen
    prompt = sum(count_tokens(text_of(message)) for message in asked.messages)
    return Answer(content=text, usage=usage_of(prompt, count_tokens(text)))


def _view(url: str) -> str:
    words = [word for found in seen_in(url, ["participants", "scene"]).values() for word in found]
    return f"{name_of(url) or 'a picture'} ({', '.join(words)})"
