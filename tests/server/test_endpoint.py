"""The token endpoint without a framework."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from animus.emulator import Emulator
from animus.errors import ConfigurationError
from animus.server import EndpointAnswer, NotAllowed, RateLimit, TokenEndpoint, TokenIssuer
from animus.testing import ManualClock
from tests.servers import unused_port
from tests.sources.provider import Answer, serving
from tests.tokens.minting import SIGNATURE, mint

FAR = 4102444800
KEY = "canary-key-that-must-not-sing"
APP = "https://app.example.com"
MakeIssuer = Callable[..., TokenIssuer]


def endpoint_for(issuer: TokenIssuer, authenticate: Callable[[Any], Any] = lambda request: request, **options: Any) -> TokenEndpoint:
    return TokenEndpoint(issuer, authenticate=authenticate, **options)


def ask(endpoint: TokenEndpoint, user: Any = "ada", method: str = "POST", **headers: str) -> EndpointAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return endpoint.answer(method, named, request=user, remote_address="192.0.2.1")


def told(answer: EndpointAnswer) -> Any:
    return json.loads(answer.body)


# ---- the good case -------------------------------------------------------------------------------------


def test_a_user_gets_a_token(emulator: Emulator, issuer: TokenIssuer) -> None:
    answer = ask(endpoint_for(issuer))
    headers = dict(answer.headers)
    assert answer.status == 200
    assert emulator.tokens.read(told(answer)["accessToken"]) is not None
    assert told(answer)["animus"]["token"] == told(answer)["accessToken"]
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Vary"] == "Origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not any(name.startswith("Access-Control") for name in headers)
    assert len(headers) == len(answer.headers)
    assert "accessToken" not in repr(answer)


def test_a_client_whose_token_was_refused_gets_a_new_one(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    clock = ManualClock()
    emulator.clock = clock
    endpoint = endpoint_for(make_issuer(cache="organisation", clock=clock))
    old = told(ask(endpoint))["accessToken"]
    clock.advance(60)
    assert told(ask(endpoint))["accessToken"] == old
    assert told(ask(endpoint, Cache_Control="No-Cache"))["accessToken"] != old


# ---- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", [None, False, "", SimpleNamespace(is_authenticated=False)])
def test_nobody_is_401(emulator: Emulator, issuer: TokenIssuer, user: Any) -> None:
    answer = ask(endpoint_for(issuer), user)
    assert (answer.status, told(answer)) == (401, {"error": "Unauthorized", "reason": "not_signed_in"})
    assert "WWW-Authenticate" in dict(answer.headers)
    assert emulator.requests.count(kind="auth") == 0


def test_who_may_not_is_403(emulator: Emulator, issuer: TokenIssuer) -> None:
    def authenticate(user: str) -> str:
        if user == "mallory":
            raise NotAllowed("the reason is nobody's business")
        return user

    endpoint = endpoint_for(issuer, authenticate, authorize=lambda user: user == "ada")
    assert [ask(endpoint, user).status for user in ("ada", "bob", "mallory")] == [200, 403, 403]
    assert b"business" not in ask(endpoint, "mallory").body
    assert emulator.requests.count(kind="auth") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "post", "POST ", "", "BREW"])
def test_other_methods_are_405(emulator: Emulator, issuer: TokenIssuer, method: str) -> None:
    answer = ask(endpoint_for(issuer), method=method, X_HTTP_Method_Override="POST", X_HTTP_Method="POST")
    assert (answer.status, dict(answer.headers)["Allow"]) == (405, "POST, OPTIONS")
    assert emulator.requests.count(kind="auth") == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Length": "0"}, 200),
        ({"Content_Length": ""}, 200),
        ({"Content_Length": "65536"}, 200),
        ({"Content_Length": "65537"}, 413),
        ({"Content_Length": "9" * 400}, 413),
        ({"Content_Length": "-1"}, 413),
        ({"Content_Length": "²"}, 413),
        ({"Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_bodies_are_bounded(issuer: TokenIssuer, headers: dict[str, str], status: int) -> None:
    assert ask(endpoint_for(issuer), **headers).status == status


def test_who_asks_too_often_is_429(issuer: TokenIssuer) -> None:
    endpoint = endpoint_for(issuer, limit="2/day")
    assert [ask(endpoint, user).status for user in ("ada", "ada", "bob", "ada", None, None, None)] == [200, 200, 200, 429, 401, 401, 429]
    wait = int(dict(ask(endpoint).headers)["Retry-After"])
    assert 1 <= wait <= 86400


def test_a_limit_may_be_shared_by_endpoints_or_left_out(issuer: TokenIssuer) -> None:
    shared = RateLimit("1/day")
    assert [ask(endpoint_for(issuer, limit=shared)).status for _ in range(2)] == [200, 429]
    endpoint = endpoint_for(issuer, limit=None)
    assert {ask(endpoint).status for _ in range(40)} == {200}


def test_the_address_may_come_from_elsewhere(issuer: TokenIssuer) -> None:
    heard: list[Any] = []
    issuer.on("token_refused", heard.append)
    endpoint = endpoint_for(issuer, lambda request: None, client_address=lambda request: request["for"], limit="1/day")
    assert [ask(endpoint, {"for": address}).status for address in ("192.0.2.8", "192.0.2.9", "192.0.2.9")] == [401, 401, 429]
    assert [event.remote_address for event in heard] == ["192.0.2.8", "192.0.2.9", "192.0.2.9"]
    assert ask(endpoint, {}).status == 500


# ---- pages of other origins ----------------------------------------------------------------------------


def test_a_listed_page_gets_its_token_and_may_read_refusals(issuer: TokenIssuer) -> None:
    endpoint = endpoint_for(issuer, origins=[APP])
    for user, status in (("ada", 200), (None, 401)):
        answer = ask(endpoint, user, Origin=APP)
        headers = dict(answer.headers)
        assert (answer.status, headers["Access-Control-Allow-Origin"], headers["Vary"]) == (status, APP, "Origin")
        assert headers["Access-Control-Allow-Credentials"] == "true"


def test_a_foreign_page_is_refused_before_the_session_is_looked_at(emulator: Emulator, issuer: TokenIssuer) -> None:
    def authenticate(request: Any) -> Any:
        raise AssertionError("nobody should ask")

    heard: list[Any] = []
    issuer.on("token_refused", heard.append)
    endpoint = endpoint_for(issuer, authenticate, origins=[APP])
    for method in ("POST", "OPTIONS"):
        answer = ask(endpoint, method=method, Origin="https://evil.example", Host="api.example.com")
        assert (answer.status, told(answer)["reason"]) == (403, "foreign_origin")
        assert not any(name.startswith("Access-Control") for name, _ in answer.headers)
        assert not any("evil" in value for _, value in answer.headers)
    assert [event.reason for event in heard] == ["foreign_origin"] * 2
    assert emulator.requests.count(kind="auth") == 0


def test_a_preflight_asks_for_no_session_and_counts_for_no_limit(emulator: Emulator, issuer: TokenIssuer) -> None:
    endpoint = endpoint_for(issuer, lambda request: pytest.fail("nobody should ask"), origins=[APP], limit="1/day")
    for _ in range(3):
        answer = ask(endpoint, method="OPTIONS", Origin=APP, Access_Control_Request_Method="POST")
        assert (answer.status, answer.body) == (204, b"")
        assert dict(answer.headers)["Access-Control-Allow-Methods"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "options",
    [{"origins": "*"}, {"limit": "often"}, {"authorize": 5}, {"client_address": 5}, {"allow_headers": ["a b"]}, {"credentials": 1}],
)
def test_impossible_settings_are_refused_at_start(issuer: TokenIssuer, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        endpoint_for(issuer, **options)


@pytest.mark.parametrize("arguments", [(None, str), ("issuer", str), (None, None)])
def test_issuer_and_authenticate_are_needed(issuer: TokenIssuer, arguments: tuple[Any, Any]) -> None:
    given, authenticate = arguments
    with pytest.raises(ConfigurationError):
        TokenEndpoint(given, authenticate=authenticate)
    with pytest.raises(ConfigurationError, match="authenticate"):
        TokenEndpoint(issuer, authenticate=None)  # type: ignore[arg-type]


# ---- the auth service fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "reason", "retry"),
    [
        ({"status": 401}, 502, "upstream_failed", None),
        ({"status": 403}, 502, "upstream_failed", None),
        ({"status": 404}, 502, "upstream_failed", None),
        ({"status": 302, "headers": {"Location": "https://evil.example/"}}, 502, "upstream_failed", None),
        ({"status": 200, "body": "<html>login</html>"}, 502, "upstream_failed", None),
        ({"status": 200, "body": b"\xff{"}, 502, "upstream_failed", None),
        ({"status": 200, "body": {"token": 5}}, 502, "upstream_failed", None),
        ({"status": 500}, 503, "upstream_unavailable", 2),
        ({"status": 503, "headers": {"Retry-After": "30"}}, 503, "upstream_unavailable", 30),
        ({"status": 429, "headers": {"Retry-After": "3600"}}, 503, "upstream_unavailable", 60),
        ({"reset": True}, 503, "upstream_unavailable", 2),
    ],
)
def test_its_failures_say_nothing_of_it(
    emulator: Emulator, make_issuer: MakeIssuer, fault: dict[str, Any], status: int, reason: str, retry: int | None
) -> None:
    clock = ManualClock()
    emulator.clock = clock
    emulator.arm(kind="auth", times=None, **{"headers": {"X-Secret": KEY}, **fault})
    endpoint = endpoint_for(make_issuer(clock=clock))
    answer = ask(endpoint)
    headers = dict(answer.headers)
    assert (answer.status, told(answer)["reason"], set(told(answer))) == (status, reason, {"error", "reason"})
    assert headers.get("Retry-After") == (None if retry is None else str(retry))
    assert "Location" not in headers
    assert headers["Cache-Control"] == "no-store"


def test_its_silence_is_504(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    emulator.arm(kind="auth", delay=30)
    answer = ask(endpoint_for(make_issuer(timeout=0.2)))
    assert (answer.status, told(answer)["reason"]) == (504, "upstream_timeout")


def test_its_absence_is_503(make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(auth_url=f"http://127.0.0.1:{unused_port()}/", clock=ManualClock())
    assert ask(endpoint_for(issuer)).status == 503


@pytest.mark.parametrize("key", [lambda: "", lambda: 1 / 0, lambda: "two\nlines"])
def test_no_key_is_500(make_issuer: MakeIssuer, key: Any) -> None:
    answer = ask(endpoint_for(make_issuer(key)))
    assert (answer.status, told(answer)) == (500, {"error": "Failed to generate token", "reason": "server_error"})


def test_each_request_is_told_once(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(clock=ManualClock())
    heard: list[Any] = []
    issuer.on("token_issued", heard.append)
    issuer.on("token_refused", heard.append)
    endpoint = endpoint_for(issuer, origins=[APP], limit="2/day")
    for user, method in (("ada", "POST"), (None, "POST"), ("ada", "GET"), ("bob", "POST"), ("ada", "POST"), ("ada", "POST")):
        if user == "bob":
            emulator.arm(kind="auth", status=500, times=2)
        ask(endpoint, user, method)
    assert [(event.user, event.reason, event.remote_address) for event in heard] == [
        ("ada", "fetched", "192.0.2.1"),
        (None, "not_signed_in", "192.0.2.1"),
        (None, "method_not_allowed", "192.0.2.1"),
        ("bob", "upstream_unavailable", "192.0.2.1"),
        ("ada", "fetched", "192.0.2.1"),
        ("ada", "rate_limited", "192.0.2.1"),
    ]


# ---- functions of the application that raise ------------------------------------------------------------


SESSION = "session-of-ada"


def fail_with_all(request: Any) -> Any:
    raise RuntimeError(f"{KEY} {mint(FAR)} {SESSION}")


@pytest.mark.parametrize("where", ["authenticate", "authorize", "client_address"])
def test_an_exception_is_500_without_details_and_a_log_entry(
    make_issuer: MakeIssuer, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = make_issuer(KEY)
    options: dict[str, Any] = {"authenticate": lambda request: "ada", where: fail_with_all}
    with caplog.at_level(logging.DEBUG):
        answer = ask(TokenEndpoint(issuer, **options), Cookie=f"a=1; sessionid={SESSION}")
    assert (answer.status, told(answer)) == (500, {"error": "Failed to generate token", "reason": "server_error"})
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.name, where in record.message) == ("animus.server.endpoint", True)
    assert "fail_with_all" in caplog.text
    assert not [secret for secret in (SIGNATURE, SESSION, KEY) if secret in caplog.text]


def test_the_logged_traceback_has_no_frame_that_holds_the_request(issuer: TokenIssuer, caplog: pytest.LogCaptureFixture) -> None:
    ask(endpoint_for(issuer, lambda request: 1 / 0), Authorization="Bearer secret")
    [record] = caplog.records
    assert record.exc_info is not None
    trace = record.exc_info[2]
    modules = []
    while trace is not None:
        modules.append(trace.tb_frame.f_globals["__name__"])
        trace = trace.tb_next
    assert modules == [__name__]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_program_is_let_through(issuer: TokenIssuer, ending: type[BaseException]) -> None:
    def authenticate(request: Any) -> Any:
        raise ending

    with pytest.raises(ending):
        ask(endpoint_for(issuer, authenticate))


def test_a_cache_key_that_cannot_be_had_is_500(make_issuer: MakeIssuer, caplog: pytest.LogCaptureFixture) -> None:
    def key_of(user: Any) -> str:
        raise KeyError(mint(FAR))

    assert ask(endpoint_for(make_issuer(cache=key_of))).status == 500
    assert ask(endpoint_for(make_issuer(cache="user")), object()).status == 500
    assert SIGNATURE not in caplog.text


# ---- any input -----------------------------------------------------------------------------------------

_HEADERS = st.sampled_from(
    ["Origin", "Host", "Cookie", "Authorization", "Content-Length", "Transfer-Encoding", "Cache-Control", "Sec-Fetch-Site", "X-Any"]
)


@settings(max_examples=60)
@given(
    method=st.one_of(st.sampled_from(["POST", "OPTIONS", "GET"]), st.text(max_size=8)),
    headers=st.dictionaries(_HEADERS, st.text(max_size=40), max_size=6),
    user=st.one_of(st.none(), st.text(max_size=30), st.integers(), st.booleans()),
)
def test_whatever_comes_the_answer_is_sound(method: str, headers: dict[str, str], user: Any) -> None:
    with serving() as provider, TokenIssuer(KEY, auth_url=provider.url, cache="organisation") as issuer:
        provider.script = [Answer({"accessToken": mint(FAR)})]
        endpoint = endpoint_for(issuer, origins=[APP], allow_headers=["X-Session"])
        answer = endpoint.answer(method, headers, request=user, remote_address=headers.get("X-Any"))
    assert answer.status in {200, 204, 401, 403, 405, 411, 413}
    for name, value in answer.headers:
        assert (name + value).isascii()
        assert (name + value).isprintable()
    if answer.status == 200:
        assert method == "POST"
        assert user
    elif answer.status != 204:
        assert set(told(answer)) == {"error", "reason"}
        assert SIGNATURE.encode() not in answer.body


def test_the_core_loads_no_framework() -> None:
    import subprocess

    frameworks = "{'flask', 'django', 'limits', 'click'}"
    code = f"import sys; from animus.server import TokenEndpoint, TokenIssuer; print(*(set(sys.modules) & {frameworks}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_root())
    assert result.stdout.strip() == ""


def _root() -> str:
    from pathlib import Path

    import animus

    return str(Path(animus.__file__).parent.parent)
