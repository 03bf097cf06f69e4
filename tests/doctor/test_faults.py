"""Every fault that the emulator can make is found and named; a new one without a case here fails the test."""

from __future__ import annotations

import dataclasses
import inspect
import time
from collections.abc import Callable
from typing import Any, get_args

import pytest

from animus.emulator import Emulator, Fault
from animus.emulator.problem import ERROR_STYLES
from animus.emulator.recording import Kind
from animus.emulator.state import TOKEN_SHAPES, EmulatorState
from animus.testing import ManualClock
from animus.tokens.reasons import HINTS
from tests.doctor.asking import APP, Doctor, Examined
from tests.tokens.minting import mint

CHOOSING = {"path", "method", "kind"}
HOUR = 3600.0
SOON = "0.4"  # seconds for a step that is not going to end


@dataclasses.dataclass(frozen=True)
class Case:
    """A fault, and what the doctor finds; an advice that holds ``cure``."""

    reason: str
    fields: dict[str, Any]
    cure: str = ""

    @property
    def is_slow(self) -> bool:
        return bool({"delay", "drip", "drip_head", "stall_after"} & self.fields.keys())

    def __str__(self) -> str:
        return "-".join(f"{name}={value}" for name, value in self.fields.items())[:50]


BROKEN = [
    Case("unreachable", {"reset": True}),
    Case("unreachable", {"drop_after_request": True}),
    Case("unreachable", {"reset": True, "tear_after": 3}),
]
STUCK = [
    Case("timeout", {"delay": 30.0}),
    Case("timeout", {"drip": 0.2}),
    Case("timeout", {"drip_head": 0.2}),
    Case("timeout", {"stall_after": 3}),
]
PROVIDER = [
    *BROKEN,
    *STUCK,
    Case("unreachable", {"tear_after": 3}, "Check host and port"),
    Case("not_json", {"malformed_after": 5}, "must answer JSON"),
    Case("unauthorized", {"status": 401}, "sign the user in"),
    Case("unauthorized", {"status": 403}, "sign the user in"),
    Case("not_found", {"status": 404}, "Check the URL"),
    Case("method_not_allowed", {"status": 405, "headers": {"Allow": "GET, HEAD"}}, "It allows GET, HEAD; you asked with POST"),
    Case("method_not_allowed", {"status": 405, "headers": {"Allow": "<script>"}}, 'method="GET"'),
    Case("client_error", {"status": 407}, "proxy that wants a user and password"),
    Case("client_error", {"status": 418}, "headers="),
    Case("rate_limited", {"status": 429, "headers": {"Retry-After": "7"}}, "called less often"),
    Case("server_error", {"status": 500}, "back end's log"),
    Case("server_error", {"status": 503}, "back end's log"),
    Case("redirect_to_login", {"status": 302, "headers": {"Location": "/login?next=/token"}}, "login page"),
    Case("redirect_to_login", {"status": 308, "headers": {"Location": "/token/"}}, "/token/ as it stands"),
    Case("redirect_to_login", {"status": 301}, "Redirects are not followed"),
    Case("html_page", {"status": 200, "body": "<!doctype html><html><body>Sign in</body></html>"}, "web page"),
    Case("not_json", {"status": 200, "body": "token=abc"}, "must answer JSON"),
    Case("not_json", {"status": 200, "body": ""}, "must answer JSON"),
    Case("wrong_shape", {"status": 200, "body": {"jwt": "x"}}, '{"accessToken": "<jwt>"}'),
    Case("wrong_shape", {"status": 200, "body": ["x"]}, '{"accessToken": "<jwt>"}'),
    Case("bad_jwt", {"status": 200, "body": {"accessToken": "an opaque token"}}, "must be a JWT"),
    Case("bad_jwt", {"status": 200, "body": {"accessToken": "Bearer x"}}, "no 'Bearer '"),
    Case("no_exp", {"status": 200, "body": {"accessToken": mint(None)}}, "exp claim"),
    Case("expired", {"status": 200, "body": {"accessToken": mint(1_600_000_000)}}, "must not keep old tokens"),
    Case("too_large", {"status": 200, "body": {"x": "y" * (1 << 21)}}, "no token"),
]
API = [
    *BROKEN,
    *STUCK[:1],
    *STUCK[2:3],
    Case("not_found", {"status": 404}, "Check api_base_url"),
    Case("client_error", {"status": 405}, "Check api_base_url"),
    Case("client_error", {"status": 409}),
    Case("redirected", {"status": 302, "headers": {"Location": "/elsewhere"}}, "check api_base_url"),
    Case("payment_required", {"status": 402}, "credit"),
    Case("rate_limited", {"status": 429}),
    Case("server_error", {"status": 500}),
    Case("not_the_api", {"status": 200, "body": "<html></html>"}, "api_base_url"),
]


def all_kinds(cases: list[Case]) -> set[str]:
    return {name for case in cases for name in case.fields}


def examined(doctor: Doctor, emulator: Emulator, *options: str, case: Case | None = None) -> Examined:
    limit = ["--timeout", SOON] if case is not None and case.is_slow else []
    return doctor(emulator.token_url, "--api-base-url", emulator.api_base_url, *limit, *options)


def test_a_sound_way_has_nothing_wrong(emulator: Emulator, doctor: Doctor) -> None:
    found = examined(doctor, emulator, "--origin", APP)
    assert (found.code, found.failed) == (0, [])
    skipped = [finding["check"] for finding in found.report["checks"] if finding["status"] == "skipped"]
    assert skipped == ["provider.tls", "api.tls"]
    assert emulator.requests.count("token", method="POST") == 2, "once as the SDK, once as a page"


def test_there_is_a_case_for_every_fault() -> None:
    faults = {field.name for field in dataclasses.fields(Fault)} - CHOOSING
    assert all_kinds(PROVIDER) == faults
    # a body of the API that breaks off, drips or is no JSON has its status before, and that is all the doctor asks for
    assert faults - all_kinds(API) == {"drip", "stall_after", "malformed_after"}


def test_there_is_a_case_for_every_kind_of_request(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    examined(doctor, emulator, "--origin", APP)
    monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
    doctor("--api-base-url", emulator.api_base_url)
    assert {request.kind for request in emulator.requests} == set(get_args(Kind)) - {"image", "other"}


def test_there_is_a_case_for_every_reason() -> None:
    elsewhere = {"tls", "not_available", "failed"}  # test_network, test_sources
    only_with_a_verification = {"bad_signature", "bad_claims", "no_keys"}
    assert {case.reason for case in PROVIDER} == set(HINTS) - elsewhere - only_with_a_verification


@pytest.mark.parametrize("case", PROVIDER, ids=str)
def test_faults_of_the_provider(emulator: Emulator, doctor: Doctor, case: Case) -> None:
    emulator.arm(kind="token", times=None, **case.fields)
    found = examined(doctor, emulator, case=case)
    assert found.code == 1
    assert found.outcome("provider.answer") == ("failed", case.reason)
    assert case.cure in found["provider.answer"]["advice"]
    assert "<script>" not in str(found.report), "no header is repeated that is not what it should be"
    assert (found.status("token.life"), found.status("api.token")) == ("skipped", "skipped")


def test_what_the_provider_asks_to_wait_is_told(emulator: Emulator, doctor: Doctor) -> None:
    emulator.arm(kind="token", status=503, headers={"Retry-After": "7"})
    assert "asks to wait 7 s" in examined(doctor, emulator)["provider.answer"]["text"]


@pytest.mark.parametrize("case", [*BROKEN, Case("unauthorized", {"status": 401}), Case("server_error", {"status": 500})], ids=str)
def test_faults_of_the_auth_service(emulator: Emulator, doctor: Doctor, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
    emulator.arm(kind="auth", times=None, **case.fields)
    found = doctor("--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.answer") == ("failed", case.reason)
    assert found["provider.answer"]["advice"]


@pytest.mark.parametrize("case", API, ids=str)
def test_faults_of_the_api(emulator: Emulator, doctor: Doctor, case: Case) -> None:
    emulator.arm(kind="api", times=None, **case.fields)
    found = examined(doctor, emulator, case=case)
    assert found.code == 1
    assert found.outcome("api.answer") == ("failed", case.reason)
    assert case.cure in (found["api.answer"]["advice"] or "")
    assert found.outcome("api.token") == ("skipped", None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": 401}, "refused_by_api"),
        ({"status": 402}, "payment_required"),
        ({"status": 403}, "forbidden"),
        ({"status": 429}, "rate_limited"),
        ({"status": 500}, "server_error"),
        ({"status": 200, "body": {}}, "not_the_api"),
        ({"reset": True}, "unreachable"),
        ({"drop_after_request": True}, "unreachable"),
    ],
)
def test_faults_of_the_api_with_a_token(emulator: Emulator, doctor: Doctor, fields: dict[str, Any], reason: str) -> None:
    emulator.arm(kind="api", times=None, skip=1, **fields)
    found = examined(doctor, emulator)
    assert found.failed == ["api.token"]
    assert found.outcome("api.token") == ("failed", reason)


@pytest.mark.parametrize("fields", [{"status": 422}, {"status": 400, "body": {"detail": "no model"}}])
def test_an_api_that_does_not_look_at_the_token_is_no_proof(emulator: Emulator, doctor: Doctor, fields: dict[str, Any]) -> None:
    emulator.arm(kind="api", times=None, **fields)
    found = examined(doctor, emulator)
    assert (found.code, found.status("api.answer"), found.status("api.token")) == (0, "ok", "skipped")
    assert "alike with and without a token" in found["api.token"]["text"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": 404}, "preflight_refused"),
        ({"status": 302, "headers": {"Location": "/login"}}, "preflight_redirected"),
        ({"headers": {"Access-Control-Allow-Origin": None}}, "no_permission"),
        ({"headers": {"Access-Control-Allow-Headers": "X-Other"}}, "header_not_allowed"),
        ({"reset": True}, "unreachable"),
    ],
)
def test_faults_of_the_preflight(emulator: Emulator, doctor: Doctor, fields: dict[str, Any], reason: str) -> None:
    emulator.arm(kind="preflight", times=None, **fields)
    found = examined(doctor, emulator, "--origin", APP, "-H", "Authorization: Bearer user-ada")
    assert found.failed == ["cors.preflight"]
    assert found.outcome("cors.preflight") == ("failed", reason)
    assert found["cors.preflight"]["advice"]


# ---- settings --------------------------------------------------------------------------------------

Change = Callable[[Emulator], None]


def setting(name: str, value: Any) -> Change:
    return lambda emulator: setattr(emulator, name, value)


SETTINGS: dict[str, list[tuple[Change, list[str]]]] = {
    "api_key": [(setting("api_key", "another"), [])],
    "token_shape": [(setting("token_shape", shape), []) for shape in TOKEN_SHAPES],
    "token_lifetime": [
        (setting("token_lifetime", None), ["provider.answer"]),
        (setting("token_lifetime", 0), ["provider.answer"]),
        (setting("token_lifetime", -10), ["provider.answer"]),
        (setting("token_lifetime", 30), []),
        (setting("token_lifetime", 7 * 86400), []),
        (setting("token_lifetime", 3600 * 1000 * 24 * 365), ["token.life"]),
    ],
    "token_status": [(setting("token_status", 500), ["provider.answer"])],
    "token_body": [(lambda emulator: emulator.__dict__.update(token_status=200, token_body={"x": 1}), ["provider.answer"])],
    "token_headers": [(setting("token_headers", {"Date": "Tue, 01 Jan 2030 00:00:00 GMT"}), [])],
    "require_user": [(setting("require_user", {"X-User": "ada"}), ["provider.answer"])],
    "error_style": [(setting("error_style", style), []) for style in ERROR_STYLES],
    "clock": [(lambda emulator: setattr(emulator, "clock", ManualClock(time.time() - HOUR)), ["clock"])],
}
NO_FAULT = {"script", "chunk_delay", "upstream", "upstream_key", "on_request"}


def test_there_is_a_case_for_every_setting() -> None:
    arguments = set(inspect.signature(EmulatorState.__init__).parameters) - {"self"}
    alone = {name for name in Emulator().__dict__ if name.startswith("token_")}
    assert SETTINGS.keys() | NO_FAULT == arguments | alone


@pytest.mark.parametrize(("change", "failed"), [case for cases in SETTINGS.values() for case in cases])
def test_settings_of_the_emulator(emulator: Emulator, doctor: Doctor, change: Change, failed: list[str]) -> None:
    change(emulator)
    found = examined(doctor, emulator)
    assert (found.failed, found.code) == (failed, int(bool(failed)))


def test_lives_have_advice(emulator: Emulator, doctor: Doctor) -> None:
    for life, advice in ((30, "many requests"), (7 * 86400, "stolen")):
        emulator.token_lifetime = life
        assert advice in examined(doctor, emulator)["token.life"]["advice"]


# ---- tokens that the API refuses -------------------------------------------------------------------


def test_a_back_end_that_hands_out_a_revoked_token_for_ever(emulator: Emulator, doctor: Doctor) -> None:
    emulator.token_status, emulator.token_body = 200, {"accessToken": emulator.issue_token()}
    emulator.revoke_tokens()
    found = examined(doctor, emulator)
    assert found.outcome("api.token") == ("failed", "same_token")
    assert "the back end keeps tokens too long" in found["api.token"]["advice"]


def test_a_back_end_whose_second_token_is_good(emulator: Emulator, doctor: Doctor) -> None:
    stale = emulator.issue_token()
    emulator.revoke_tokens()
    emulator.arm(kind="token", status=200, body={"accessToken": stale})
    found = examined(doctor, emulator)
    assert (found.code, found.status("api.token")) == (0, "ok")
    assert "begins with a request in vain" in found["api.token"]["advice"]


def test_tokens_of_another_platform(emulator: Emulator, doctor: Doctor) -> None:
    with Emulator() as other:
        found = doctor(other.token_url, "--api-base-url", emulator.api_base_url)
    assert found.outcome("api.token") == ("failed", "refused_by_api")
    assert "belong to the same platform" in found["api.token"]["advice"]
