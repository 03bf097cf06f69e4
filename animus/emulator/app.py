"""The emulator's routes, as a Flask application."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request as flask_request
from werkzeug.exceptions import HTTPException

from animus.emulator.bodycheck import BodyCheck
from animus.emulator.chat import JSON, answer_chat, scripted_or
from animus.emulator.gateway import REQUEST_KEY
from animus.emulator.images import draw, is_seed, seed_of
from animus.emulator.media import answer_media, categorise, look_at_job
from animus.emulator.problem import Problem, error_body
from animus.emulator.provider import API_KEY_USER, token_answer, user_of
from animus.emulator.recording import RecordedRequest
from animus.emulator.reply import plain_reply
from animus.emulator.state import EmulatorState
from animus.emulator.wire_json import encode_json

logger: logging.Logger = logging.getLogger(__name__)

_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_PREFIXES = ("/v2", "/v3")

View = Callable[[RecordedRequest], Response]


def create_application(state: EmulatorState) -> Flask:
    """Give the application that answers for ``state``."""
    application = Flask("animus-emulator", static_folder=None)

    def route(path: str, methods: list[str], view: View) -> None:
        endpoint = f"{'+'.join(methods)} {path}".replace(".", "_")  # Flask keeps dots for blueprints
        application.add_url_rule(path, endpoint, lambda **parts: view(flask_request.environ[REQUEST_KEY]), methods=methods)

    def api(path: str, method: str, view: Callable[[EmulatorState, RecordedRequest], Response]) -> None:
        for prefix in _PREFIXES:
            route(prefix + path, [method], lambda request: view(state, _authorised(state, request)))

    route("/", ["GET"], lambda request: _json({"status": "ok", "service": "animus-emulator"}))
    route("/token", _ANY_METHOD, lambda request: _token(state, request))
    route("/auth/generate-token", ["GET", "POST"], lambda request: _generate_token(state, request))
    route("/images/<name>", ["GET"], _image)
    api("/chat/completions", "POST", answer_chat)
    api("/generate/image", "POST", _generate_image)
    api("/media/completions", "POST", answer_media)
    api("/media/categories", "POST", categorise)
    api("/media/categories/<job_id>", "GET", look_at_job)
    application.register_error_handler(Exception, lambda error: _failed(state, error))
    return application


def _json(value: Any, status: int = 200) -> Response:
    return Response(encode_json(value), status, content_type=JSON)


def _token(state: EmulatorState, request: RecordedRequest) -> Response:
    if state.token_status is not None:
        body = {"error": "Failed to generate token"} if state.token_body is None else state.token_body
        reply = plain_reply(state.token_status, body)
        response = Response(b"".join(reply.pieces), reply.status, reply.headers)
    else:
        request.user = user_of(state, request)
        refused = request.user is None
        response = _json({"error": "Unauthorized"}, 401) if refused else _json(token_answer(state, request.user or ""))
    response.headers.update(state.token_headers)
    return response


def _generate_token(state: EmulatorState, request: RecordedRequest) -> Response:
    if request.headers.get("apikey") != state.api_key:
        return _json({"error": "Missing API key" if "apikey" not in request.headers else "Invalid API key"}, 401)
    return _json(token_answer(state, API_KEY_USER))


def _authorised(state: EmulatorState, request: RecordedRequest) -> RecordedRequest:
    if request.credential == "api_key":
        return request
    refusal = "Missing bearer token" if request.credential == "none" else "Invalid token"
    if request.credential == "jwt":
        bearer = request.headers["Authorization"].partition(" ")[2]
        claims = state.tokens.read(bearer.strip())
        refusal = "Invalid token" if claims is None else (state.tokens.refusal(claims, state.now) or "")
    if refusal:
        raise Problem(401, refusal)
    return request


def _generate_image(state: EmulatorState, request: RecordedRequest) -> Response:
    check = BodyCheck(request.body)
    prompt = check.take("prompt", "string", required=True)
    input_image = check.take("input_image", "string")
    if prompt is not None and not prompt.strip():
        check.wrong("string_too_short", ["prompt"], "String should have at least 1 character")
    check.finish()
    url = f"{flask_request.host_url}images/{seed_of(prompt, input_image)}.png"
    return scripted_or(state, request, prompt, lambda: _json({"output": [url]}))


def _image(request: RecordedRequest) -> Response:
    seed, _, ending = request.path.rpartition("/")[2].partition(".")
    if ending != "png" or not is_seed(seed):
        raise Problem(404, "Not Found")
    return Response(draw(seed), content_type="image/png")


def _failed(state: EmulatorState, error: Exception) -> Response:
    if isinstance(error, Problem):
        return _json(error.body(state.error_style), error.status)
    if isinstance(error, HTTPException):
        response = _json(error_body(error.code or 500, error.name, state.error_style), error.code or 500)
        response.headers.extend((name, value) for name, value in error.get_headers() if name.lower() == "allow")
        return response
    logger.error("the emulator failed", exc_info=error)
    return _json(error_body(500, f"The emulator failed: {type(error).__name__}", state.error_style), 500)
