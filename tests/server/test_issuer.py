"""Tokens from the auth service, for users of a back end."""

from __future__ import annotations

import json
import logging
import os
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from animus import MemoryTokenStore, events
from animus.emulator import Emulator
from animus.errors import ConfigurationError, TokenSourceError
from animus.server import TokenGrant, TokenIssuer
from animus.testing import ManualClock
from tests.servers import unused_port
from tests.sources.provider import Answer, serving
from tests.tokens.minting import SIGNATURE, mint

FAR = 4102444800
KEY = "canary-key-that-must-not-sing"
MakeIssuer = Callable[..., TokenIssuer]


def asked(emulator: Emulator) -> int:
    return emulator.requests.count(kind="auth")


# ---- settings ------------------------------------------------------------------------------------------


def test_the_key_goes_to_the_auth_service_alone(emulator: Emulator, issuer: TokenIssuer) -> None:
    issuer.issue("ada")
    request = emulator.requests.last(kind="auth")
    assert (request.method, request.headers["apikey"], request.body) == ("POST", emulator.api_key, b"")
    assert "Authorization" not in request.headers


def test_the_key_may_come_from_the_environment_anew_each_time(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", "an old key")
    with TokenIssuer(auth_url=emulator.auth_url) as issuer:
        with pytest.raises(TokenSourceError) as caught:
            issuer.issue("ada")
        assert (caught.value.reason, caught.value.status) == ("unauthorized", 401)
        monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
        assert issuer.issue("ada").answer["accessToken"]
        monkeypatch.delenv("ANIMUS_API_KEY")
        with pytest.raises(TokenSourceError) as caught:
            issuer.issue("ada")
        assert caught.value.reason == "not_available"


def test_the_key_may_come_from_a_function(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    keys = iter(["wrong", emulator.api_key])
    issuer = make_issuer(lambda: next(keys))
    with pytest.raises(TokenSourceError):
        issuer.issue("ada")
    assert issuer.issue("ada").answer["accessToken"]


def test_without_a_key_there_is_no_issuer() -> None:
    with pytest.raises(ConfigurationError, match="ANIMUS_API_KEY"):
        TokenIssuer()


@pytest.mark.parametrize(
    "options",
    [
        {"cache": "team"},
        {"cache": True},
        {"cache_size": 0},
        {"store": "file"},
        {"store": "floppy", "cache": "user"},
        {"timeout": 0},
        {"auth_url": "http://auth.example.com/"},
        {"auth_url": "ftp://x"},
        {"method": "PUT"},
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TokenIssuer(KEY, **options)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "argument", "name"),
    [
        ({}, {}, "https://api.animusai.co/auth/generate-token"),
        ({"ANIMUS_API_BASE_URL": "https://test.example/v3"}, {}, "https://test.example/auth/generate-token"),
        ({"ANIMUS_API_BASE_URL": "https://test.example/v3", "ANIMUS_AUTH_URL": "https://a.example/x"}, {}, "https://a.example/x"),
        ({"ANIMUS_AUTH_URL": "https://a.example/x"}, {"auth_url": "https://b.example/y"}, "https://b.example/y"),
        ({"ANIMUS_AUTH_URL": "https://a.example/x"}, {"api_base_url": "https://b.example/v3"}, "https://b.example/auth/generate-token"),
    ],
)
def test_a_test_base_never_sends_the_key_to_production(
    environment: dict[str, str], argument: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert repr(TokenIssuer(KEY, **argument)) == f"<TokenIssuer for {name}>"  # type: ignore[arg-type]


# ---- what is handed out --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["flat", "nested", "both", "livekit_flat"])
def test_every_shape_becomes_one_that_all_clients_understand(emulator: Emulator, issuer: TokenIssuer, shape: Any) -> None:
    emulator.token_shape = shape
    answer = json.loads(issuer.issue("ada").to_json())
    assert answer["accessToken"] == answer["animus"]["token"]
    assert emulator.tokens.read(answer["accessToken"]) is not None
    if shape != "flat":  # what the JavaScript SDK 1.21 insists on
        assert set(answer["livekit"]["voice"]) == {"token", "url"}
        assert answer["livekit"]["voice"]["token"] != answer["accessToken"]


def test_all_that_the_auth_service_gave_is_passed_along() -> None:
    token = mint(FAR)
    given = {
        "animus": {"token": token, "scope": ["chat"]},
        "livekit": {"voice": {"token": mint(FAR), "url": "wss://x.example"}, "video": {"room": 12345678901234567890}},
        "plan": {"name": "größer 😀", "limit": 1.5, "none": None, "on": True},
    }
    with serving() as provider, TokenIssuer(KEY, auth_url=provider.url) as issuer:
        provider.script = [Answer(given)]
        assert json.loads(issuer.issue("ada").to_json()) == {**given, "accessToken": token}


@pytest.mark.parametrize("body", [mint(FAR).encode(), f'\ufeff {{"token": "{mint(FAR)}"}}\n'.encode(), {"access_token": mint(FAR)}])
def test_other_shapes_of_answers_are_understood(body: Any) -> None:
    with serving() as provider, TokenIssuer(KEY, auth_url=provider.url) as issuer:
        provider.script = [Answer(body)]
        answer = issuer.issue("ada").answer
        assert answer["accessToken"] == answer["animus"]["token"] == mint(FAR)


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    body = f'{{"accessToken": "{mint(FAR)}", "huge": 1e999, "long": {"9" * 5000}, "deep": {"[" * 60}{"]" * 60}}}'.encode()
    with serving() as provider, TokenIssuer(KEY, auth_url=provider.url) as issuer:
        provider.script = [Answer(body)]
        answer = json.loads(issuer.issue("ada").to_json(), parse_constant=pytest.fail)
        assert (answer["huge"], answer["long"]) == (None, None)


def test_a_grant_is_its_owners_alone(make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="organisation")
    first = issuer.issue("ada")
    first.answer["animus"]["token"] = first.answer["accessToken"] = "spoilt"
    second = issuer.issue("bob")
    assert second.cached
    assert second.answer["animus"]["token"] == second.answer["accessToken"] != "spoilt"


def test_a_life_beside_the_token_is_what_is_left_of_it(make_issuer: MakeIssuer) -> None:
    clock = ManualClock(1_800_000_000)
    with serving() as provider:
        issuer = make_issuer(auth_url=provider.url, cache="organisation", clock=clock)
        provider.script = [Answer({"accessToken": mint(1_800_003_600), "expiresIn": 3600, "animus": {"expires_in": 3600}})]
        issuer.issue("ada")
        clock.advance(600)
        grant = issuer.issue("ada")
    assert (grant.cached, grant.answer["expiresIn"], grant.answer["animus"]["expires_in"]) == (True, 3000, 3000)
    assert grant.expires_at == 1_800_003_600


@pytest.mark.parametrize(
    "body",
    [
        {"accessToken": mint(FAR), "debug": {"headers": [f"apikey: {KEY}"]}},
        {"accessToken": mint(FAR), KEY: 1},
    ],
)
def test_an_answer_that_echoes_the_key_is_handed_to_nobody(body: Any) -> None:
    with serving() as provider, TokenIssuer(KEY, auth_url=provider.url) as issuer:
        provider.script = [Answer(body)]
        with pytest.raises(TokenSourceError) as caught:
            issuer.issue("ada")
    assert caught.value.reason == "wrong_shape"
    assert KEY not in str(caught.value)


# ---- failures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"status": 429, "headers": {"Retry-After": "0"}}, {"reset": True}])
def test_a_passing_failure_is_tried_once_more(emulator: Emulator, make_issuer: MakeIssuer, fault: dict[str, Any]) -> None:
    clock = ManualClock()
    emulator.clock = clock
    emulator.arm(kind="auth", **fault)
    assert make_issuer(clock=clock).issue("ada").answer["accessToken"]
    assert asked(emulator) == 2
    assert len(clock.waits) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_repeated(emulator: Emulator, issuer: TokenIssuer, status: int) -> None:
    emulator.arm(kind="auth", status=status, body={"error": KEY})
    with pytest.raises(TokenSourceError) as caught:
        issuer.issue("ada")
    assert caught.value.status == status
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert asked(emulator) == 1


def test_an_auth_service_that_wants_get_gets_it(emulator: Emulator, issuer: TokenIssuer) -> None:
    emulator.arm(kind="auth", method="POST", status=405)
    issuer.issue("ada")
    issuer.issue("ada")
    assert [request.method for request in emulator.requests.where(kind="auth")] == ["POST", "GET", "GET"]


def test_its_own_time_limit_ends_a_call(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    emulator.arm(kind="auth", delay=30)
    with pytest.raises(TokenSourceError) as caught:
        make_issuer(timeout=0.2).issue("ada")
    assert caught.value.reason == "timeout"


def test_one_warning_for_each_new_kind_of_failure(
    emulator: Emulator, make_issuer: MakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = make_issuer("a wrong key of some length")
    with caplog.at_level(logging.WARNING, "animus.server"):
        for _ in range(3):
            with pytest.raises(TokenSourceError):
                issuer.issue("ada")
        emulator.arm(kind="auth", status=404)
        with pytest.raises(TokenSourceError):
            issuer.issue("ada")
    assert ["unauthorized" in caplog.messages[0], "not_found" in caplog.messages[1], len(caplog.messages)] == [True, True, 2]
    assert "The auth service did not accept the API key" in caplog.messages[0]
    assert "wrong key" not in caplog.text


# ---- kept tokens ---------------------------------------------------------------------------------------


def test_without_a_cache_each_call_asks(emulator: Emulator, issuer: TokenIssuer) -> None:
    assert issuer.issue("ada").answer["accessToken"] != issuer.issue("ada").answer["accessToken"]
    assert asked(emulator) == 2


def test_one_token_for_the_organisation(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="organisation")
    grants = [issuer.issue(user) for user in ("ada", "bob", object())]
    assert len({grant.answer["accessToken"] for grant in grants}) == 1
    assert [grant.cached for grant in grants] == [False, True, True]
    assert asked(emulator) == 1


def test_one_token_for_each_user(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="user")
    tokens = [issuer.issue(user).answer["accessToken"] for user in ("ada", "bob", "ada", {"id": "bob"}, 7, "7", "organisation")]
    assert tokens[0] == tokens[2]
    assert tokens[1] == tokens[3]
    assert tokens[4] == tokens[5]
    assert len(set(tokens)) == asked(emulator) == 4


def test_a_function_may_say_by_what_tokens_are_kept(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache=lambda user: user["tenant"])
    for user in ({"tenant": "a"}, {"tenant": "a"}, {"tenant": "b"}):
        issuer.issue(user)
    assert asked(emulator) == 2
    with pytest.raises(ConfigurationError):
        issuer.issue({"tenant": " "})


def test_a_user_who_cannot_be_told_from_others_gets_nobody_elses_token(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    with pytest.raises(ConfigurationError, match="no id"):
        make_issuer(cache="user").issue(object())
    assert asked(emulator) == 0


def test_the_cache_is_bounded(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="user", cache_size=2)
    for user in ("ada", "bob", "ada", "eve", "ada", "bob"):
        issuer.issue(user)
    assert asked(emulator) == 4  # ada, bob, eve, and bob again, who had not been seen for longest when eve came


def test_a_kept_token_is_renewed_a_minute_before_its_end(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    clock = ManualClock()
    emulator.clock = clock
    issuer = make_issuer(cache="organisation", clock=clock)
    first = issuer.issue("ada").answer["accessToken"]
    clock.advance(3539)
    assert issuer.issue("ada").answer["accessToken"] == first
    clock.advance(2)
    renewed = issuer.issue("ada")  # who finds out waits for the new one
    assert (renewed.answer["accessToken"] == first, renewed.cached, asked(emulator)) == (False, False, 2)


def test_a_failed_renewal_leaves_the_token_in_use(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    clock = ManualClock()
    emulator.clock = clock
    issuer = make_issuer(cache="organisation", clock=clock)
    first = issuer.issue("ada").answer["accessToken"]
    clock.advance(3550)
    emulator.arm(kind="auth", status=500, times=None)
    assert issuer.issue("ada").answer["accessToken"] == first
    clock.advance(60)
    with pytest.raises(TokenSourceError):
        issuer.issue("ada")


def test_a_storm_asks_once(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="organisation")
    emulator.arm(kind="auth", delay=0.1)
    with ThreadPoolExecutor(64) as pool:
        grants = list(pool.map(issuer.issue, [f"user-{number}" for number in range(200)]))
    assert len({grant.answer["accessToken"] for grant in grants}) == asked(emulator) == 1
    assert sum(not grant.cached for grant in grants) == 1


def test_a_storm_shares_its_failure(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="organisation")
    emulator.arm(kind="auth", status=401, times=None, delay=0.1)
    barrier = threading.Barrier(32)

    def fail(_: int) -> BaseException:
        barrier.wait(10)
        with pytest.raises(TokenSourceError) as caught:
            issuer.issue("ada")
        return caught.value

    with ThreadPoolExecutor(32) as pool:
        errors = list(pool.map(fail, range(32)))
    assert len({id(error) for error in errors}) == 32
    assert asked(emulator) == 1


def test_who_needs_a_fresh_token_gets_one_and_a_storm_of_them_the_same(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    clock = ManualClock(auto_advance=False)
    emulator.clock = clock
    issuer = make_issuer(cache="organisation", clock=clock)
    old = issuer.issue("ada").answer["accessToken"]
    assert issuer.issue("ada", fresh=True).answer["accessToken"] == old  # it is but just here
    clock.advance(11)
    with ThreadPoolExecutor(32) as pool:
        tokens = set(pool.map(lambda _: issuer.issue("ada", fresh=True).answer["accessToken"], range(100)))
    assert (len(tokens), old in tokens, asked(emulator)) == (1, False, 2)


def test_clear_forgets_one_user_or_all(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="user")
    old = {user: issuer.issue(user).answer["accessToken"] for user in ("ada", "bob", "eve")}
    issuer.clear("ada")
    issuer.clear("never seen")
    assert [issuer.issue(user).answer["accessToken"] == old[user] for user in old] == [False, True, True]
    issuer.clear()
    assert not {issuer.issue(user).answer["accessToken"] for user in old} & set(old.values())


def test_processes_with_a_store_share_a_token(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    store = MemoryTokenStore()
    one, other = (make_issuer(cache="organisation", store=store) for _ in range(2))
    given, adopted = one.issue("ada"), other.issue("ada")
    assert given.answer == adopted.answer  # the realtime details, too
    assert asked(emulator) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_keeps_the_token_and_can_fetch(emulator: Emulator, make_issuer: MakeIssuer) -> None:
    issuer = make_issuer(cache="user")
    ours = issuer.issue("ada").answer["accessToken"]
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            theirs = issuer.issue("ada").answer["accessToken"]
            new = issuer.issue("bob").answer["accessToken"]
            code = 0 if theirs == ours != new else 2
        finally:
            os._exit(code)
    os.close(write_end)
    os.close(read_end)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ---- showing and telling -------------------------------------------------------------------------------


def test_nothing_shows_key_or_token(make_issuer: MakeIssuer) -> None:
    with serving() as provider:
        issuer = make_issuer(KEY, auth_url=provider.url, cache="user")
        grant = issuer.issue("ada")
        shown = f"{grant!r} {grant} {issuer!r} {issuer} {grant.answer!r} {vars(issuer)!r}"
    assert SIGNATURE not in shown
    assert KEY not in shown
    assert isinstance(grant, TokenGrant)
    for thing in (grant, issuer):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(thing)


def test_each_call_is_one_event_and_one_line(
    emulator: Emulator, make_issuer: MakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = make_issuer(cache="organisation")
    heard: list[Any] = []
    signals: list[Any] = []

    def hear(sender: Any, event: Any) -> None:
        signals.append((sender, event))

    issuer.on("tokenIssued", heard.append)
    issuer.on("token_refused", heard.append)
    with (
        caplog.at_level(logging.INFO, "animus.server.audit"),
        events.token_issued.connected_to(hear),
        events.token_refused.connected_to(hear),
    ):
        issuer.issue("ada", remote_address="192.0.2.7")
        issuer.issue({"id": 5})
        issuer.clear()
        emulator.arm(kind="auth", status=404)
        with pytest.raises(TokenSourceError):
            issuer.issue("bob")
    assert [(event.name, event.user, event.remote_address, event.reason) for event in heard] == [
        ("token_issued", "ada", "192.0.2.7", "fetched"),
        ("token_issued", "5", None, "cached"),
        ("token_refused", "bob", None, "upstream_failed"),
    ]
    assert (heard[2].status, heard[2].cause) == (502, "not_found")
    assert [event for _, event in signals] == heard
    assert {sender for sender, _ in signals} == {issuer}
    lines = [json.loads(record.message) for record in caplog.records if record.name == "animus.server.audit"]
    assert lines[0] == {"event": "token_issued", "user": "ada", "remote_address": "192.0.2.7", "reason": "fetched"}
    assert lines[2] == {"event": "token_refused", "user": "bob", "reason": "upstream_failed", "status": 502, "cause": "not_found"}


def test_a_line_of_the_audit_is_one_line_and_shows_no_token(issuer: TokenIssuer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "animus.server.audit"):
        issuer.issue(f"eve\r\nuser \u2028{mint(FAR)}", remote_address=f"10.0.0.1\n{mint(FAR)}" + "x" * 500)
    [line] = [record.message for record in caplog.records if record.name == "animus.server.audit"]
    assert line.isascii()
    assert line.isprintable()
    assert SIGNATURE not in line
    assert len(line) < 500


def test_a_receiver_that_raises_disturbs_nobody(issuer: TokenIssuer, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Any) -> None:
        raise ZeroDivisionError

    issuer.on("token_issued", fail)
    assert issuer.issue("ada").answer["accessToken"]
    assert "raised" in caplog.text


def test_an_unreachable_auth_service_is_a_failure_with_a_reason(make_issuer: MakeIssuer) -> None:
    clock = ManualClock()
    issuer = make_issuer(auth_url=f"http://127.0.0.1:{unused_port()}/", clock=clock)
    with pytest.raises(TokenSourceError) as caught:
        issuer.issue("ada")
    assert (caught.value.reason, caught.value.attempts) == ("unreachable", 2)
