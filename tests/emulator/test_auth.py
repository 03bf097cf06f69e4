from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests
from hypothesis import given, strategies as st

from animus.emulator import Emulator, RecordedRequest
from animus.emulator.auth import TokenBook
from animus.errors import ConfigurationError
from animus.testing import ManualClock


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def ask(emulator: Emulator, bearer: str | None) -> requests.Response:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    return requests.post(f"{emulator.api_base_url}/chat/completions", json=body, headers=headers, timeout=20)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_auth_service_exchanges_the_key_for_a_token(emulator: Emulator, method: str) -> None:
    response = requests.request(method, emulator.auth_url, headers={"apikey": emulator.api_key}, timeout=20)
    assert ask(emulator, response.json()["accessToken"]).status_code == 200
    assert claims(response.json()["animus"]["token"])["sub"] == "organisation"


@pytest.mark.parametrize("headers", [{}, {"apikey": "wrong"}, {"Authorization": "Bearer animus-emulator-key"}])
def test_auth_service_refuses_others(emulator: Emulator, headers: dict[str, str]) -> None:
    response = requests.post(emulator.auth_url, headers=headers, timeout=20)
    assert response.status_code == 401
    assert "API key" in response.json()["error"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_provider_takes_any_method(emulator: Emulator, method: str) -> None:
    assert ask(emulator, requests.request(method, emulator.token_url, timeout=20).json()["accessToken"]).status_code == 200


def shape(value: Any) -> Any:
    return {key: shape(part) for key, part in value.items()} if isinstance(value, dict) else type(value).__name__


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("flat", {"accessToken": "str"}),
        ("nested", {"animus": {"token": "str"}, "livekit": {"voice": {"token": "str", "url": "str"}}}),
        ("both", {"accessToken": "str", "animus": {"token": "str"}, "livekit": {"voice": {"token": "str", "url": "str"}}}),
        ("livekit_flat", {"animus": {"token": "str"}, "livekit": {"url": "str", "token": "str"}}),
    ],
)
def test_documented_shapes(emulator: Emulator, name: Any, expected: dict[str, Any]) -> None:
    emulator.token_shape = name
    assert shape(requests.post(emulator.token_url, timeout=20).json()) == expected


def test_unknown_shape_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="livekit_flat"):
        emulator.token_shape = "round"  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("body", "expected"),
    [(None, '{"error":"Failed to generate token"}'), ("<html>", "<html>"), (b"\xff", None), ({"message": "no"}, '{"message":"no"}')],
)
def test_provider_refuses_as_told(emulator: Emulator, body: Any, expected: str | None) -> None:
    emulator.token_status, emulator.token_body, emulator.token_headers = 403, body, {"X-Why": "test"}
    response = requests.post(emulator.token_url, timeout=20)
    assert (response.status_code, response.headers["X-Why"]) == (403, "test")
    assert response.content == (expected.encode() if expected is not None else body)


def test_token_has_the_claims_of_a_session(emulator: Emulator) -> None:
    emulator.clock = ManualClock(1_700_000_000.5)
    emulator.token_lifetime = 90
    token = requests.post(emulator.token_url, timeout=20).json()["accessToken"]
    assert claims(token) == {
        "iss": "animus-emulator",
        "sub": "user",
        "jti": "token-1",
        "purpose": "api",
        "iat": 1_700_000_000,
        "exp": 1_700_000_090,
    }


def test_life_may_be_a_fraction_or_endless(emulator: Emulator) -> None:
    emulator.clock = ManualClock(1_700_000_000.5)
    assert claims(emulator.issue_token(lifetime=0.25))["exp"] == 1_700_000_000.75
    assert "exp" not in claims(emulator.issue_token(lifetime=None))


def test_token_is_over_at_its_time(emulator: Emulator) -> None:
    clock = ManualClock()
    emulator.clock = clock
    token = emulator.issue_token(lifetime=60)
    clock.advance(59)
    assert ask(emulator, token).status_code == 200
    clock.advance(1)
    response = ask(emulator, token)
    assert (response.status_code, response.json()) == (401, {"detail": "The token has expired"})


def test_date_header_is_the_emulators_time(emulator: Emulator) -> None:
    emulator.clock = ManualClock(0.0)
    assert requests.get(emulator.url, timeout=20).headers["Date"] == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_revoked_tokens_are_refused_and_new_ones_are_not(emulator: Emulator) -> None:
    old = emulator.issue_token()
    assert emulator.revoke_tokens() == 1
    assert ask(emulator, old).json() == {"detail": "The token has been revoked"}
    assert ask(emulator, emulator.issue_token()).status_code == 200


def test_tokens_of_one_user_can_be_revoked(emulator: Emulator) -> None:
    first, second = emulator.issue_token("user-1"), emulator.issue_token("user-2")
    assert emulator.revoke_tokens("user-1") == 1
    assert [ask(emulator, token).status_code for token in (first, second)] == [401, 200]


def test_api_takes_the_key_itself(emulator: Emulator) -> None:
    assert ask(emulator, emulator.api_key).status_code == 200
    assert emulator.requests[-1].credential == "api_key"


def test_api_refuses_everything_else(emulator: Emulator) -> None:
    livekit = requests.post(emulator.token_url, timeout=20).json()["livekit"]["voice"]["token"]
    with Emulator() as other:
        foreign = other.issue_token()
    forged = emulator.issue_token()[:-4] + "AAAA"
    for bearer in (None, "", "x", "a.b.c", livekit, foreign, forged):
        assert ask(emulator, bearer).status_code == 401
    assert ask(emulator, None).json() == {"detail": "Missing bearer token"}


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("detail", {"detail": "Invalid token"}),
        ("message", {"code": "UNAUTHORIZED", "message": "Invalid token"}),
        ("error", {"error": "Invalid token"}),
        ("openai", {"error": {"message": "Invalid token", "type": "unauthorized", "param": None, "code": None}}),
    ],
)
def test_errors_are_worded_in_every_style(emulator: Emulator, style: Any, expected: dict[str, Any]) -> None:
    emulator.error_style = style
    assert ask(emulator, "x").json() == expected


def test_unknown_style_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="openai"):
        emulator.error_style = "rude"  # type: ignore[assignment]


def provider(emulator: Emulator, headers: dict[str, str]) -> int:
    return requests.post(emulator.token_url, headers=headers, timeout=20).status_code


def test_a_header_can_be_required(emulator: Emulator) -> None:
    emulator.require_user = {"Authorization": "Bearer user-1"}
    assert [provider(emulator, h) for h in ({}, {"Authorization": "Bearer user-2"}, {"Authorization": "Bearer user-1"})] == [401, 401, 200]
    assert [request.user for request in emulator.requests] == [None, None, "user-1"]


def test_a_cookie_can_be_required_and_names_the_user(emulator: Emulator) -> None:
    emulator.require_user = {"session": {"abc": "alice", "def": "bob"}}
    assert [provider(emulator, {"Cookie": f"theme=dark; session={value}"}) for value in ("abc", "def", "ghi")] == [200, 200, 401]
    assert [request.user for request in emulator.requests] == ["alice", "bob", None]


def test_a_function_decides(emulator: Emulator) -> None:
    def check(request: RecordedRequest) -> str | None:
        return request.headers.get("X-Session")

    emulator.require_user = check
    assert [provider(emulator, headers) for headers in ({}, {"X-Session": "carol"})] == [401, 200]


def test_a_function_that_fails_is_a_500(emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    def check(request: RecordedRequest) -> str | None:
        raise KeyError("session")

    emulator.require_user = check
    response = requests.post(emulator.token_url, timeout=20)
    assert (response.status_code, response.json()) == (500, {"detail": "The emulator failed: KeyError"})
    assert "the emulator failed" in caplog.text


def test_different_users_get_tokens_of_their_own(emulator: Emulator) -> None:
    sessions = [{"Authorization": "Bearer user-1"}, {"Cookie": "sid=user-2"}, {"X-User": "user-3"}, {"Authorization": "Bearer s3cret"}, {}]
    for headers in sessions:
        token = requests.post(emulator.token_url, headers=headers, timeout=20).json()["accessToken"]
        ask(emulator, token)
    users = [request.user for request in emulator.requests.where(kind="api")]
    assert users[:3] == ["user-1", "user-2", "user-3"]
    assert users[4] == "user"
    assert users[3] is not None
    assert "s3cret" not in users[3]
    assert len(set(users)) == 5


def test_recording_tells_whose_token_came(emulator: Emulator) -> None:
    emulator.issue_token("user-7")
    ask(emulator, emulator.issue_token("user-8"))
    ask(emulator, "nonsense")
    assert [(r.credential, r.user, r.token_id) for r in emulator.requests] == [("jwt", "user-8", "token-2"), ("unknown", None, None)]


@given(st.text() | st.from_regex(r"[\w-]+\.[\w-]+\.[\w-]+", fullmatch=True))
def test_no_foreign_text_is_a_token(text: str) -> None:
    assert TokenBook().read(text) is None
