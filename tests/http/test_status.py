"""From an answer that is no success to an error: class, message, request id, hint."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import given, strategies as st
from requests.structures import CaseInsensitiveDict

from animus import errors
from animus.http.status import api_error, bare_response, body_text, message_in, request_id_of


def _response(status: int = 400, body: Any = b"", headers: dict[str, str] | None = None, reason: str = "Said") -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason, response.url = status, reason, "https://api.example.test/v3"
    response._content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response._content_consumed = True
    response.headers = CaseInsensitiveDict(headers or {})
    response.request = requests.Request("POST", response.url, headers={"Authorization": "Bearer canary"}).prepare()
    return response


def _error(*args: Any, **options: Any) -> errors.ApiError:
    return api_error(_response(*args), now=0.0, **options)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, errors.ApiError),
        (400, errors.BadRequestError),
        (401, errors.UnauthorizedError),
        (402, errors.PaymentRequiredError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (405, errors.ApiError),
        (409, errors.ConflictError),
        (418, errors.ApiError),
        (422, errors.BadRequestError),
        (429, errors.RateLimitError),
        (500, errors.ServerError),
        (503, errors.ServerError),
        (599, errors.ServerError),
    ],
)
def test_every_status_has_its_class(status: int, expected: type[errors.ApiError]) -> None:
    error = _error(status, {"message": "because"}, attempts=3)
    assert type(error) is expected
    assert error.status == status
    assert error.attempts == 3
    assert f"status {status}" in str(error)
    assert "because" in str(error)


MESSAGES: list[tuple[Any, str | None]] = [
    ({"message": "m", "detail": "d", "error": {"message": "e"}}, "m"),
    ({"message": "", "detail": "d"}, "d"),
    ({"message": None, "detail": "d"}, "d"),
    ({"message": ["no text"], "detail": "d"}, "d"),
    ({"detail": "d", "error": "e"}, "d"),
    ({"detail": [{"loc": ["body", "messages", 0], "msg": "field required", "type": "missing"}]}, "body.messages.0: field required"),
    ({"detail": [{"loc": ["a"], "msg": "x"}, {"loc": ["b"], "msg": "y"}]}, "a: x; b: y"),
    ({"detail": [{"msg": "no place"}, "text", 7]}, "no place; text; 7"),
    ({"detail": [{"loc": ["a"], "message": "x"}, {"odd": 1}]}, 'a: x; {"odd": 1}'),
    ({"detail": {"message": "inner"}}, "inner"),
    ({"detail": {"code": 7}}, '{"code": 7}'),
    ({"detail": [], "error": {"message": "e"}}, "e"),
    ({"error": {"message": "e", "type": "t"}}, "e"),
    ({"error": {"detail": "d"}}, "d"),
    ({"error": "e"}, "e"),
    ({"error": ""}, None),
    ({"error": {"code": 1}}, None),
    ({"other": "x"}, None),
    ("a JSON string", "a JSON string"),
    ([1, 2], None),
    (7, None),
    (None, None),
]


@pytest.mark.parametrize(("data", "message"), MESSAGES)
def test_the_message_is_found(data: Any, message: str | None) -> None:
    assert message_in(data) == message
    text = str(_error(400, data))
    assert text == f"the API answered 400 Said{': ' + message if message else ''} (status 400)"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"plain text", "plain text"),
        (b"  several\n lines  ", "several lines"),
        (b"x" * 300, "x" * 200),
        (b"\xef\xbb\xbfbom", "bom"),
        (b"bad \xff byte", "bad \ufffd byte"),
        (b"<html><body>Bad Gateway</body></html>", None),
        (b" \n<!DOCTYPE html>", None),
        (b"<?xml?>", None),
        (b"", None),
        (b"  ", None),
        (b'{"message": "cut off', '{"message": "cut off'),
    ],
)
def test_a_text_is_quoted_and_a_page_is_not(body: bytes, shown: str | None) -> None:
    assert str(_error(400, body)) == f"the API answered 400 Said{': ' + shown if shown else ''} (status 400)"


def test_long_messages_are_cut() -> None:
    assert len(str(_error(400, {"message": "x" * 5000}))) < 1100


def test_the_body_and_its_data_are_kept() -> None:
    error = _error(400, {"detail": "d", "code": 7})
    assert error.error_data == {"detail": "d", "code": 7}
    assert error.body == '{"detail": "d", "code": 7}'
    assert len(_error(400, b"x" * 100_000).body or "") == 8192


@pytest.mark.parametrize("name", ["X-Request-Id", "request-id", "X-Correlation-ID", "X-Kong-Request-Id", "CF-Ray"])
def test_the_request_id_is_found(name: str) -> None:
    assert _error(400, b"", {name: "r-1"}).request_id == "r-1"
    assert "request r-1" in str(_error(400, b"", {name: "r-1"}))
    assert request_id_of(CaseInsensitiveDict()) is None
    assert len(request_id_of({"x-request-id": "x" * 1000}) or "") == 200


def test_the_wait_is_kept() -> None:
    assert _error(429, b"", {"Retry-After": "7"}).retry_after == 7.0
    assert _error(503, b"", {"Retry-After": "7"}).retry_after == 7.0
    assert _error(429).retry_after is None


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
def test_what_the_user_can_mend_has_a_hint(status: int) -> None:
    assert _error(status).hint
    assert _error(status, hint="other").hint == "other"


def test_an_echoed_token_is_not_shown() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJlLXBhcnQ"
    for body in ({"message": f"bad token {token}"}, {"detail": [{"loc": [token], "msg": "x"}]}, {token: 1}, f"no: {token}".encode()):
        error = _error(403, body, secrets=(token,))
        for text in (str(error), repr(error), str(error.error_data), error.body or ""):
            assert "c2lnbmF0dXJl" not in text
    opaque = _error(403, {"message": "bad key opaque-key-1"}, {"X-Echo": "opaque-key-1"}, secrets=("opaque-key-1",))
    assert "opaque-key-1" not in f"{opaque} {opaque.body} {opaque.error_data} {opaque.response.text} {opaque.response.headers}"


def test_the_response_is_a_copy_without_the_token() -> None:
    response = _response(404, {"a": 1})
    response.history = [_response(307)]
    error = api_error(response, now=0.0)
    assert "Authorization" not in error.response.request.headers
    assert "Authorization" not in error.response.history[0].request.headers
    assert error.response.json() == {"a": 1}
    assert response.request.headers["Authorization"] == "Bearer canary"
    assert response.history[0].request.headers["Authorization"] == "Bearer canary"


def test_a_body_that_breaks_off_is_no_other_error() -> None:
    class Broken:
        def stream(self, *args: Any, **kwargs: Any) -> Any:
            from urllib3.exceptions import ProtocolError

            yield b"half"
            raise ProtocolError("broken")

    response = _response(500)
    response._content, response._content_consumed, response.raw = False, False, Broken()
    error = api_error(response, now=0.0)
    assert (type(error), error.body) == (errors.ServerError, "half")
    assert error.response.content == b"half"


def test_a_body_that_was_streamed_is_empty() -> None:
    response = _response(500)
    response._content, response._content_consumed = False, True
    assert body_text(response) == ""
    assert bare_response(response).content == b""


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["message", "detail", "error", "loc", "msg"]) | st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_no_body_makes_it_fail(data: Any) -> None:
    message = message_in(data)
    assert message is None or (isinstance(message, str) and message)
    assert isinstance(str(_error(400, data)), str)


@given(st.binary())
def test_no_bytes_make_it_fail(body: bytes) -> None:
    assert isinstance(str(_error(400, body)), str)
