"""Tokens are checked before they are used, with keys that may be at a URL."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jose import jws

from animus import AnimusClient, ConfigurationError, TokenSourceError, TokenVerification
from animus.emulator import Emulator
from animus.refresh.keys import MAX_AGE, TURN, KeySet
from animus.refresh.manager import TokenManager
from animus.refresh.verifier import TokenVerifier
from animus.stores.memory import MemoryTokenStore
from animus.stores.protocol import StoredToken, store_key
from animus.testing import ManualClock
from animus.tokens.reasons import HINTS
from animus.tokens.token import Token
from tests.refresh.sources import Caller, Scripted
from tests.servers import unused_port
from tests.sources.provider import Answer, Provider, serving
from tests.tokens.minting import mint, token_of
from tests.tokens.signing import FAR, Keys

NOW = 1_700_000_000.0
RSA, NEXT, MALLORY, CURVE = Keys.rsa(), Keys.rsa(), Keys.rsa(), Keys.curve()
CANARY = "canary-that-must-not-sing"


def with_kid(keys: Keys, kid: str) -> dict[str, Any]:
    return {**keys.jwk, "kid": kid}


def jwks(*keys: dict[str, Any], **answer: Any) -> Answer:
    return Answer({"keys": list(keys)}, **answer)


@pytest.fixture
def server() -> Iterator[Provider]:
    with serving() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def verifier_for(clock: ManualClock) -> Iterator[Callable[..., TokenVerifier]]:
    made: list[TokenVerifier] = []

    def verifier_for(server: Provider | None = None, **settings: Any) -> TokenVerifier:
        where = {"key": RSA.public} if server is None else {"jwks_url": server.url}
        made.append(TokenVerifier(TokenVerification(**{"algorithms": ["RS256"], "audience": "animus", **where, **settings}), clock=clock))
        return made[-1]

    yield verifier_for
    for verifier in made:
        verifier.close()


def check(verifier: TokenVerifier, text: str, **token: Any) -> None:
    verifier.check(Token(text, **token), source="the source", deadline=None)


def refused(verifier: TokenVerifier, text: str, **token: Any) -> TokenSourceError:
    with pytest.raises(TokenSourceError) as caught:
        check(verifier, text, **token)
    error = caught.value
    assert error.hint
    assert text.rpartition(".")[2] not in "".join(traceback.format_exception(error))
    return error


# ---- what is checked -----------------------------------------------------------------------------------


def test_each_fault_has_its_reason(verifier_for: Callable[..., TokenVerifier]) -> None:
    verifier = verifier_for(issuer="auth")
    check(verifier, RSA.sign())
    for text, reason, said in [
        (MALLORY.sign(), "bad_signature", "not by a known key"),
        (Keys.curve().sign(), "bad_signature", "algorithm ES256 is not among RS256"),
        (mint(FAR), "bad_signature", "algorithm HS256"),
        (RSA.sign(aud="somebody"), "bad_claims", "another audience"),
        (RSA.sign(iss="somebody"), "bad_claims", "another issuer"),
        (RSA.sign(iss=None), "bad_claims", "names no issuer"),
        (RSA.sign(nbf=NOW + 61), "bad_claims", "not valid before 1 s"),
        (RSA.sign(nbf="soon"), "bad_claims", "nbf claim is not a number"),
        (RSA.sign(nbf=True), "bad_claims", "nbf claim is not a number"),
        ("an-opaque-token", "bad_jwt", "cannot be checked"),
    ]:
        error = refused(verifier, text)
        assert (error.reason, error.source) == (reason, "the source")
        assert said in str(error)


def test_a_beginning_has_leeway_by_the_providers_clock(verifier_for: Callable[..., TokenVerifier]) -> None:
    check(verifier_for(), RSA.sign(nbf=NOW + 59))
    check(verifier_for(leeway=0), RSA.sign(nbf=NOW))
    refused(verifier_for(leeway=0), RSA.sign(nbf=NOW + 1))
    check(verifier_for(leeway=0), RSA.sign(nbf=NOW + 100), skew=100.0)
    refused(verifier_for(leeway=0), RSA.sign(nbf=NOW - 50), skew=-100.0)


def test_numbers_beyond_all_measure_are_claims_like_others(verifier_for: Callable[..., TokenVerifier]) -> None:
    check(verifier_for(), RSA.sign(nbf=-(10**400)))
    error = refused(verifier_for(), RSA.sign(nbf=10**400))
    assert (error.reason, "not valid before inf s" in str(error)) == ("bad_claims", True)


def test_a_header_that_is_nested_too_deeply_is_no_exception_of_others(verifier_for: Callable[..., TokenVerifier], server: Provider) -> None:
    server.script = [jwks(RSA.jwk)]
    payload = b'{"aud": "animus", "exp": %d}' % FAR
    verifiers = [verifier_for(), verifier_for(server)]
    # whoever reads a header with a few frames more below it gives up a few brackets earlier
    for depth in (*range(600, 1010), 100000):
        header = b'{"alg": "RS256", "kid": ' + b"[" * depth + b"]" * depth + b"}"
        for verifier in verifiers:
            with pytest.raises(TokenSourceError) as caught:
                check(verifier, token_of(payload, header=header))
            assert caught.value.reason in ("bad_jwt", "bad_signature")


class Broken:
    """A clock that stands for whatever else may go wrong."""

    def time(self) -> float:
        raise RuntimeError(f"{CANARY} {RSA.sign()}")


def test_whatever_a_token_brings_about_is_an_error_of_ours() -> None:
    wanted = TokenVerification(key=RSA.public, algorithms=["RS256"], audience="animus")
    verifier = TokenVerifier(wanted, clock=Broken())  # type: ignore[arg-type]
    error = refused(verifier, RSA.sign())
    assert error.reason == "bad_jwt"
    assert "RuntimeError" in str(error)
    assert isinstance(error.__cause__, Exception)
    assert "RuntimeError" in str(error.__cause__)


def test_many_who_meet_a_number_beyond_all_measure_ask_once() -> None:
    together = threading.Barrier(10)
    source = Scripted(RSA.sign(nbf=10**400))
    wanted = TokenVerification(key=RSA.public, algorithms=["RS256"], audience="animus")
    manager = TokenManager(source, verifier=TokenVerifier(wanted))

    def ask() -> object:
        together.wait(20)
        return manager.token()

    for caller in [Caller(ask) for _ in range(10)]:
        with pytest.raises(TokenSourceError) as caught:
            caller.finish()
        assert caught.value.reason == "bad_claims"
    assert len(source.asked) == 1


# ---- the end -------------------------------------------------------------------------------------------


def checked(verifier: TokenVerifier, text: str, **token: Any) -> Token:
    return verifier.check(Token(text, **token), source="the source", deadline=None)


def test_a_token_ends_when_it_is_signed_to_end(verifier_for: Callable[..., TokenVerifier]) -> None:
    verifier = verifier_for()
    text = RSA.sign(exp=NOW + 100)
    assert checked(verifier, text).expires_at == NOW + 100
    assert checked(verifier, text, expires_at=NOW + 5000, skew=3.0, issued_at=NOW) == Token(text, NOW + 100, 3.0, NOW)
    assert checked(verifier, text, expires_at=NOW + 50).expires_at == NOW + 50
    endless = RSA.sign(exp=None)
    assert checked(verifier, endless).expires_at is None
    assert checked(verifier, endless, expires_at=NOW + 50).expires_at == NOW + 50


@pytest.mark.parametrize("exp", ["soon", f"{NOW - 100:.0f}", f"{NOW + 100:.0f}", True, [], 10**400, -(10**400)], ids=lambda e: f"{e}"[:9])
def test_an_end_that_is_no_number_is_a_bad_claim(verifier_for: Callable[..., TokenVerifier], clock: ManualClock, exp: Any) -> None:
    error = refused(verifier_for(), RSA.sign(exp=exp))
    assert (error.reason, "exp claim is not a finite number" in str(error)) == ("bad_claims", True)
    manager = TokenManager(Scripted(RSA.sign(exp=exp)), clock=clock, verifier=verifier_for())
    with pytest.raises(TokenSourceError):
        manager.token()


def test_an_end_of_null_is_no_number_either(verifier_for: Callable[..., TokenVerifier]) -> None:
    text = jws.sign(b'{"aud": "animus", "iss": "auth", "exp": null}', RSA.private, algorithm="RS256")
    assert refused(verifier_for(), text).reason == "bad_claims"


def test_an_end_has_no_leeway_and_is_by_the_providers_clock(verifier_for: Callable[..., TokenVerifier]) -> None:
    verifier = verifier_for(leeway=3600)
    for text, skew in [(RSA.sign(exp=NOW), 0.0), (RSA.sign(exp=NOW - 1000), 0.0), (RSA.sign(exp=NOW + 50), 50.0)]:
        error = refused(verifier, text, expires_at=NOW + 5000, skew=skew)
        assert error.reason == "expired"
        assert error.hint == HINTS["expired"]
    assert refused(verifier, RSA.sign(), skew=float("nan")).reason == "expired"
    assert checked(verifier, RSA.sign(exp=NOW - 50), expires_at=NOW + 5000, skew=-100.0).expires_at == NOW - 50


def test_a_manager_goes_by_the_signed_end(verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    over = Token(RSA.sign(exp=NOW - 1000), expires_at=NOW + 5000)
    with pytest.raises(TokenSourceError) as caught:
        TokenManager(Scripted(over), clock=clock, verifier=verifier_for()).token()
    assert caught.value.reason == "expired"
    first, second = RSA.sign(exp=NOW + 1000), RSA.sign(exp=NOW + 3000)
    manager = TokenManager(Scripted(Token(first, NOW + 5000), second), clock=clock, verifier=verifier_for())
    assert manager.token().expires_at == NOW + 1000
    clock.advance(1000)
    assert manager.token().value == second


def test_a_token_in_the_store_ends_when_it_is_signed_to_end(verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    store = MemoryTokenStore()
    source = Scripted(Token(RSA.sign(exp=NOW + 1000), NOW + 5000), RuntimeError("asked again"))
    settings: dict[str, Any] = {"clock": clock, "store": store, "identity": "ada", "verifier": verifier_for()}
    assert TokenManager(source, **settings).token().expires_at == NOW + 1000
    key = store_key(source.fingerprint, "ada")
    kept = store.load(key)
    assert kept is not None
    assert kept.expires_at == NOW + 1000
    store.save(key, dataclasses.replace(kept, expires_at=NOW + 5000))
    assert TokenManager(source, **settings).token().expires_at == NOW + 1000
    store.save(key, StoredToken(RSA.sign(exp=NOW - 1), NOW + 5000, 0.0, NOW))
    with pytest.raises(TokenSourceError):
        TokenManager(source, **settings).token()  # of no use: the source is asked
    assert len(source.asked) == 2


# ---- keys at a URL -------------------------------------------------------------------------------------


def test_keys_are_fetched_when_they_are_needed_and_once(server: Provider, verifier_for: Callable[..., TokenVerifier]) -> None:
    server.script = [jwks(with_kid(NEXT, "b"), with_kid(RSA, "a"))]
    verifier = verifier_for(server)
    assert server.requests == []
    for _ in range(3):
        check(verifier, RSA.sign(headers={"kid": "a"}))
        check(verifier, NEXT.sign(headers={"kid": "b"}))
        check(verifier, RSA.sign())
    assert [(request.method, request.headers["Accept"]) for request in server.requests] == [
        ("GET", "application/jwk-set+json, application/json")
    ]


def test_a_new_key_is_found_and_made_up_ones_do_not_make_requests(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock
) -> None:
    server.script = [jwks(with_kid(RSA, "a")), jwks(with_kid(RSA, "a"), with_kid(NEXT, "b"))]
    verifier = verifier_for(server)
    check(verifier, RSA.sign(headers={"kid": "a"}))
    check(verifier, NEXT.sign(headers={"kid": "b"}))  # at once, however new the set is
    assert len(server.requests) == 2
    for number in range(20):
        assert refused(verifier, MALLORY.sign(headers={"kid": f"made-up-{number}"})).reason == "bad_signature"
    assert len(server.requests) == 2
    clock.advance(TURN)
    for number in range(20):
        refused(verifier, MALLORY.sign(headers={"kid": f"made-up-{number}"}))
    assert len(server.requests) == 3
    check(verifier, NEXT.sign(headers={"kid": "b"}))


@pytest.mark.parametrize(
    ("before", "after", "kid"),
    [
        ([RSA.jwk], [NEXT.jwk], None),  # no kid anywhere
        ([with_kid(RSA, "a")], [with_kid(NEXT, "a")], "a"),  # the same for another key
        ([with_kid(RSA, "b"), with_kid(CURVE, "a")], [with_kid(NEXT, "a"), with_kid(CURVE, "a")], "a"),  # on a key of another kind
        ([with_kid(RSA, "a")], [NEXT.jwk], 7),
    ],
)
def test_a_new_key_that_has_no_new_id_is_found_too(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock, before: Any, after: Any, kid: Any
) -> None:
    server.script = [jwks(*before), jwks(*after)]
    verifier = verifier_for(server)
    named = {} if kid is None else {"kid": kid}
    assert refused(verifier, MALLORY.sign(headers=named)).reason == "bad_signature"
    assert len(server.requests) == 1  # what has just come is not asked for again
    check(verifier, NEXT.sign(headers=named))
    assert len(server.requests) == 2
    for _ in range(5):
        refused(verifier, MALLORY.sign(headers=named))
        refused(verifier, MALLORY.sign(headers={"kid": "made-up"}))
        refused(verifier, NEXT.sign(headers=named, aud="somebody"))
    assert len(server.requests) == 2
    clock.advance(TURN)
    refused(verifier, NEXT.sign(headers=named, aud="somebody"))
    assert len(server.requests) == 2  # a sound signature needs no other key
    for _ in range(5):
        refused(verifier, MALLORY.sign(headers=named))
    assert len(server.requests) == 3


def test_a_second_look_that_fails_leaves_the_old_keys(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock
) -> None:
    server.script = [jwks(RSA.jwk), Answer("down", status=503), jwks(NEXT.jwk)]
    verifier = verifier_for(server)
    check(verifier, RSA.sign())
    for _ in range(5):
        assert refused(verifier, NEXT.sign()).reason == "bad_signature"
        check(verifier, RSA.sign())
    assert len(server.requests) == 2
    clock.advance(1)
    check(verifier, NEXT.sign())


def test_many_who_look_again_do_so_by_one_fetch(server: Provider) -> None:
    server.script = [jwks(RSA.jwk), jwks(NEXT.jwk)]
    verifier = TokenVerifier(TokenVerification(jwks_url=server.url, algorithms=["RS256"], audience="animus"))
    check(verifier, RSA.sign())
    for caller in [Caller(lambda: check(verifier, NEXT.sign())) for _ in range(16)]:
        caller.finish()
    assert len(server.requests) == 2
    verifier.close()


def test_a_user_in_the_url_is_sent_and_not_shown(server: Provider, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.script = [jwks(RSA.jwk), Answer("no", status=401)]
    url = server.url.replace("//", f"//us%40er:{CANARY}@")
    verification = TokenVerification(jwks_url=url, algorithms=["RS256"], audience="animus")
    verifier = TokenVerifier(verification, clock=clock)
    check(verifier, RSA.sign())
    expected = base64.b64encode(f"us@er:{CANARY}".encode()).decode()
    assert server.requests[0].headers["Authorization"] == f"Basic {expected}"
    clock.advance(MAX_AGE)
    check(verifier, RSA.sign())
    error = refused(TokenVerifier(verification, clock=clock), RSA.sign())
    assert error.reason == "no_keys"
    shown = [*traceback.format_exception(error), caplog.text, repr(verification), repr(vars(verifier)), repr(vars(verifier._key_set))]
    assert not [secret for secret in (CANARY, expected) if secret in "".join(shown)]
    assert not verification.is_public
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(verification)
    verifier.close()


@pytest.mark.parametrize("around", [b"\xef\xbb\xbf%s", b"\r\n \xef\xbb\xbf%s\n"])
def test_a_byte_order_mark_is_no_fault_of_a_key_set(server: Provider, verifier_for: Callable[..., TokenVerifier], around: bytes) -> None:
    server.script = [Answer(around % json.dumps({"keys": [RSA.jwk]}).encode())]
    check(verifier_for(server), RSA.sign())


def test_what_a_server_writes_as_null_or_empty_counts_as_absent(server: Provider, verifier_for: Callable[..., TokenVerifier]) -> None:
    said = {**dict.fromkeys(("d", "dp", "dq", "k", "oth", "p", "q", "qi")), "alg": "", "use": "", "key_ops": []}
    server.script = [jwks({**said, **with_kid(NEXT, "next")}, {**said, **with_kid(RSA, "1")})]
    check(verifier_for(server), RSA.sign(headers={"kid": "1"}))


def test_a_key_that_was_taken_back_goes_within_the_hour(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock
) -> None:
    server.script = [jwks(with_kid(RSA, "a")), jwks(with_kid(NEXT, "b"))]
    verifier = verifier_for(server)
    token = RSA.sign(headers={"kid": "a"})
    check(verifier, token)
    clock.advance(MAX_AGE - 1)
    check(verifier, token)
    assert len(server.requests) == 1
    clock.advance(1)
    assert "no key for it" in str(refused(verifier, token))
    assert len(server.requests) == 2
    check(verifier, NEXT.sign(headers={"kid": "b"}))


def test_a_fetch_that_fails_leaves_the_old_keys(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock
) -> None:
    server.script = [jwks(with_kid(RSA, "a")), Answer("down", status=503)]
    verifier = verifier_for(server)
    token = RSA.sign(headers={"kid": "a"})
    check(verifier, token)
    clock.advance(MAX_AGE)
    check(verifier, token)
    assert len(server.requests) == 2
    for _ in range(5):
        check(verifier, token)
    assert len(server.requests) == 2  # the failure is remembered for a second
    server.script = [jwks(with_kid(RSA, "a"))]
    clock.advance(1)
    for _ in range(5):
        check(verifier, token)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("down", status=503), "the server answered 503"),
        (Answer("", status=302, headers={"Location": "https://elsewhere.test/"}), "the server answered 302"),
        (Answer(b"<html>"), "the answer is not JSON"),
        (Answer([]), "received ["),
        (Answer({"keys": {"a": CANARY}}), 'received {"keys": {"a": string}}'),
        (Answer(b'{"keys": [' + b" " * (1 << 20) + b"]}"), "larger than"),
    ],
)
def test_without_keys_nothing_is_used_and_the_error_says_why(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock, answer: Answer, said: str
) -> None:
    server.script = [answer]
    verifier = verifier_for(server)
    for _ in range(3):
        error = refused(verifier, RSA.sign())
        assert (error.reason, error.source) == ("no_keys", server.url)
        assert said in str(error)
        assert CANARY not in str(error)
    assert len(server.requests) == 1
    server.script = [jwks(RSA.jwk)]
    clock.advance(1)
    check(verifier, RSA.sign())


def test_nobody_listens(clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"http://127.0.0.1:{unused_port()}/keys?secret={CANARY}"
    verifier = TokenVerifier(TokenVerification(jwks_url=url, algorithms=["RS256"], audience=None), clock=clock)
    error = refused(verifier, RSA.sign())
    assert error.reason == "no_keys"
    shown = [*traceback.format_exception(error), caplog.text, repr(verifier), repr(vars(verifier)), repr(vars(verifier._key_set))]
    assert CANARY not in "".join(shown)
    verifier.close()


@pytest.mark.parametrize("keys", [[], [7, None, "x", []], [{"kty": "oct", "k": "c2VjcmV0"}], [{**RSA.jwk, "d": "AQAB"}], [{"kty": "RSA"}]])
def test_keys_that_are_none_do_not_count(server: Provider, verifier_for: Callable[..., TokenVerifier], keys: list[Any]) -> None:
    server.script = [Answer({"keys": keys})]
    assert refused(verifier_for(server), RSA.sign()).reason == "bad_signature"


def test_many_who_check_fetch_once(server: Provider, verifier_for: Callable[..., TokenVerifier]) -> None:
    from animus._clock import SYSTEM_CLOCK

    server.script = [jwks(with_kid(RSA, "a"))]
    key_set = KeySet(server.url, clock=SYSTEM_CLOCK)
    callers = [Caller(lambda: key_set.for_key("a", SYSTEM_CLOCK.monotonic() + 20)) for _ in range(16)]
    assert {len(caller.finish()) for caller in callers} == {1}
    assert len(server.requests) == 1
    key_set.close()


def test_many_who_miss_a_new_key_find_it_by_one_fetch(server: Provider) -> None:
    from animus._clock import SYSTEM_CLOCK

    server.script = [jwks(with_kid(RSA, "a")), jwks(with_kid(RSA, "a"), with_kid(NEXT, "b"))]
    key_set = KeySet(server.url, clock=SYSTEM_CLOCK)
    key_set.for_key("a", None)
    callers = [Caller(lambda: key_set.for_key("b", SYSTEM_CLOCK.monotonic() + 20)) for _ in range(16)]
    assert {len(caller.finish()) for caller in callers} == {2}
    assert len(server.requests) == 2
    key_set.close()


def test_a_fetch_for_a_new_key_that_fails_is_made_again_soon(
    server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock
) -> None:
    server.script = [jwks(with_kid(RSA, "a")), Answer("down", status=503), jwks(with_kid(NEXT, "b"))]
    verifier = verifier_for(server)
    check(verifier, RSA.sign(headers={"kid": "a"}))
    for _ in range(5):
        refused(verifier, NEXT.sign(headers={"kid": "b"}))
    assert len(server.requests) == 2
    clock.advance(1)
    check(verifier, NEXT.sign(headers={"kid": "b"}))


def test_a_deadline_is_kept(server: Provider, verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    with pytest.raises(TokenSourceError) as caught:
        verifier_for(server).check(Token(RSA.sign()), source="s", deadline=clock.monotonic())
    assert caught.value.reason == "no_keys"


# ---- through manager and client ------------------------------------------------------------------------


def test_a_manager_uses_no_token_that_does_not_pass(verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    source = Scripted(MALLORY.sign(), RSA.sign())
    manager = TokenManager(source, clock=clock, verifier=verifier_for())
    with pytest.raises(TokenSourceError) as caught:
        manager.token()
    assert (caught.value.reason, caught.value.source) == ("bad_signature", "scripted")
    with pytest.raises(TokenSourceError):
        manager.token()
    assert len(source.asked) == 1  # remembered for about a second
    clock.advance(2)
    assert manager.token().value


def test_a_failed_check_of_a_renewal_leaves_the_token_in_use(verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    first = RSA.sign(exp=NOW + 600)
    manager = TokenManager(Scripted(first, MALLORY.sign(), background=False), clock=clock, verifier=verifier_for())
    assert manager.token().value == first
    clock.advance(560)
    assert manager.token().value == first


def test_a_token_in_the_store_is_checked_too(verifier_for: Callable[..., TokenVerifier], clock: ManualClock) -> None:
    store = MemoryTokenStore()
    source = Scripted(RSA.sign())
    store.save(store_key(source.fingerprint, "ada"), StoredToken(MALLORY.sign(), FAR, 0.0, NOW))
    manager = TokenManager(source, clock=clock, store=store, identity="ada", verifier=verifier_for())
    assert manager.token().value == RSA.sign()
    sibling = TokenManager(Scripted(RuntimeError("never asked")), clock=clock, store=store, identity="ada", verifier=verifier_for())
    assert sibling.token().value == RSA.sign()


def test_it_travels_with_manager_and_client(verifier_for: Callable[..., TokenVerifier], server: Provider) -> None:
    with AnimusClient(server.url, verification=verifier_for().verification, api_base_url="https://api.test/v3") as client:
        twin = pickle.loads(pickle.dumps(client))
        assert twin._verifier.verification == verifier_for().verification
        assert twin._manager._verifier is twin._verifier
        assert twin.session._manager._verifier is not None
        twin.close()
        assert client.for_identity("ada")._manager._verifier is client._verifier
        assert client.with_options(retry=0)._manager._verifier is client._verifier
    manager = pickle.loads(pickle.dumps(TokenManager(Named(), verifier=verifier_for())))
    with pytest.raises(TokenSourceError):
        manager.token()


class Named:
    fingerprint = "named"

    def fetch(self, request: object) -> str:
        return mint(FAR)


def test_a_client_sends_nothing_with_a_token_that_does_not_pass(server: Provider) -> None:
    server.script = [jwks(with_kid(RSA, "a"))]
    wanted = TokenVerification(jwks_url=server.url, algorithms=["RS256"], audience="animus")
    with Emulator() as emulator, AnimusClient(emulator.token_url, verification=wanted, api_base_url=emulator.api_base_url) as client:
        with pytest.raises(TokenSourceError) as caught:
            client.session.post("/chat/completions", json={})
        assert caught.value.reason == "bad_signature"
        assert emulator.requests.count("chat/completions") == 0


def test_a_client_refuses_what_is_no_verification_and_keys_in_clear_text() -> None:
    wanted = TokenVerification(jwks_url="http://auth.test/keys", algorithms=["RS256"], audience="animus")
    for settings in ({"verification": "RS256"}, {"verification": wanted}):
        with pytest.raises(ConfigurationError):
            AnimusClient("https://back.end/token", **settings)  # type: ignore[arg-type]
    AnimusClient("https://back.end/token", verification=wanted, allow_insecure_http=True).close()
