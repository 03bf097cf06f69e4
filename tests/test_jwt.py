"""Reading tokens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus._jwt import NotAJwt, NotTrusted, key_id, looks_like_jwt, peek_claims, verified_claims
from tests.tokens.minting import SIGNATURE, base64url, mint, token_of
from tests.tokens.signing import Keys


def test_claims_are_read_without_a_key() -> None:
    assert peek_claims(mint(1795600900, sub="user-1")) == {"exp": 1795600900, "sub": "user-1"}


def test_an_unsecured_token_is_read_too() -> None:
    assert peek_claims(token_of(b'{"exp": 1}', signature="")) == {"exp": 1}


@pytest.mark.parametrize(
    "token",
    [
        "",
        "abc",
        "a.b",
        "a.b.c.d",
        f"{mint(1)}\n",
        f" {mint(1)}",
        mint(1).replace(".", "..", 1),
        f".{mint(1).partition('.')[2]}",
        mint(1) + "=",
        "e.eyJleHAiOjF9.c2ln",
        token_of(b'{"exp": 1}', signature="a"),
        token_of(b"\xff\xfe"),
        token_of(b"\xef\xbb\xbf{}"),
        token_of(b"[]"),
        token_of(b'"exp"'),
        token_of(b"null"),
        token_of(b""),
        token_of(b'{"exp": NaN}'),
        token_of(b'{"exp": Infinity}'),
        token_of(b'{"exp": ' + b"9" * 5000 + b"}"),
        token_of(b'{"a": ' * 50000 + b"1" + b"}" * 50000),
        token_of(b"{}", header=b"[]"),
        token_of(b"{}", header=b"no JSON"),
        token_of(b"{}", header=b"\xff"),
        mint(1).replace("J", "ſ"),
        "éé.éé.éé",
    ],
)
def test_what_is_no_token_is_refused_by_one_exception(token: str) -> None:
    with pytest.raises(NotAJwt):
        peek_claims(token)


def test_the_refusal_does_not_show_the_token() -> None:
    token = mint(1) + "\n"
    with pytest.raises(NotAJwt) as caught:
        peek_claims(token)
    assert SIGNATURE not in repr(caught.value)


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_=-]{0,20}\.[A-Za-z0-9_=-]{0,40}\.[A-Za-z0-9_=-]{0,20}", fullmatch=True))
def test_nothing_but_the_refusal_is_ever_raised(text: str) -> None:
    try:
        claims = peek_claims(text)
    except NotAJwt:
        return
    assert isinstance(claims, dict)


def test_the_outer_form() -> None:
    def segment(header: str) -> str:
        return base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()

    assert looks_like_jwt(mint(1))
    assert all(looks_like_jwt(f"{segment(header)}.e30.") for header in ("{}", ' {"alg": "none"}', '{\n"alg": "none"}', "\t\r\n{}"))
    assert not any(looks_like_jwt(f"{segment(header)}.e30.") for header in ("[]", "token", '"{"'))
    assert not looks_like_jwt("1.2.3")
    assert not looks_like_jwt("sk-an-api-key")
    assert not looks_like_jwt(f"Bearer {mint(1)}")


def test_jose_is_loaded_by_the_first_token_to_be_verified_only() -> None:
    signed = Keys("a-shared-secret", "a-shared-secret", {}, "HS256").sign()
    code = (
        "import sys; from animus._jwt import peek_claims, key_id, verified_claims; from animus.tokens.response import read_answer; "
        "from animus.refresh.manager import TokenManager; assert 'jose' not in sys.modules; "
        f"peek_claims({mint(1)!r}); assert 'jose' not in sys.modules; key_id({mint(1)!r}); assert 'jose' not in sys.modules; "
        f"verified_claims({signed!r}, ['a-shared-secret'], algorithms=['HS256'], audience=None); assert 'jose' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- with a key ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys.rsa()


def claims_of(token: str, *keys: Any, **wanted: Any) -> dict[str, Any]:
    return verified_claims(token, keys, **{"algorithms": ["RS256"], "audience": "animus", "issuer": "auth", **wanted})


def why_not(token: str, *keys: Any, **wanted: Any) -> str:
    with pytest.raises(NotTrusted) as caught:
        claims_of(token, *keys, **wanted)
    assert token.rpartition(".")[2] not in str(caught.value) or not token.rpartition(".")[2]
    return caught.value.why


def test_a_signed_token_verifies_whatever_its_life(keys: Keys) -> None:
    token = keys.sign(exp=1)
    for key in (keys.public, keys.jwk, {**keys.jwk, "alg": "RS256", "use": "sig", "key_ops": ["verify"]}):
        assert claims_of(token, key)["iss"] == "auth"
    assert claims_of(keys.sign(aud=["other", "animus"]), keys.public)


def test_what_is_not_wanted_is_any(keys: Keys) -> None:
    assert claims_of(keys.sign(aud="somebody", iss="somewhere"), keys.public, audience=None, issuer=None)
    assert claims_of(keys.sign(aud=None, iss=None), keys.public, audience=None, issuer=None)


def test_what_is_wanted_must_be_there(keys: Keys) -> None:
    token = keys.sign()
    flipped = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
    for refused, wanted, why in [
        (flipped, {}, "signature"),
        (Keys.rsa().sign(), {}, "signature"),
        (token, {"audience": "somebody"}, "audience"),
        (keys.sign(aud=None), {}, "audience"),
        (keys.sign(aud=7), {}, "audience"),
        (keys.sign(aud=["other"]), {}, "audience"),
        (keys.sign(aud="animus and more"), {}, "audience"),
        (token, {"issuer": "somebody"}, "issuer"),
        (keys.sign(iss=None), {}, "issuer"),
        (token, {"algorithms": ["RS384"]}, "algorithm"),
        (token, {"algorithms": ["HS256"]}, "algorithm"),
        (token.rpartition(".")[0] + ".", {}, "signature"),
    ]:
        assert why_not(refused, keys.public, **wanted) == why


def test_the_key_with_the_tokens_kid_is_taken_or_one_without_any(keys: Keys) -> None:
    other = Keys.rsa()
    token = keys.sign(headers={"kid": "new"})
    assert claims_of(token, {**other.jwk, "kid": "old"}, {**keys.jwk, "kid": "new"})
    assert claims_of(token, {**other.jwk, "kid": "old"}, keys.jwk)
    assert claims_of(token, keys.public)
    assert claims_of(keys.sign(), {**other.jwk, "kid": "old"}, {**keys.jwk, "kid": "new"})
    assert why_not(token, {**keys.jwk, "kid": "old"}) == "key"
    assert why_not(token, {**other.jwk, "kid": "new"}, {**keys.jwk, "kid": "old"}) == "signature"
    assert why_not(keys.sign(headers={"kid": ["new"]}), {**keys.jwk, "kid": "new"}) == "key"


@pytest.mark.parametrize(
    "change",
    [{"kty": "EC"}, {"kty": None}, {"alg": "RS512"}, {"use": "enc"}, {"key_ops": ["sign"]}, {"n": None}, {"n": "!"}, {"e": 7}],
)
def test_a_key_for_something_else_is_not_tried(keys: Keys, change: dict[str, Any]) -> None:
    assert why_not(keys.sign(), {**keys.jwk, **change}) in ("key", "signature")
    assert claims_of(keys.sign(), {**keys.jwk, **change}, keys.jwk)


def test_kinds_of_keys_do_not_get_into_each_others_way(keys: Keys) -> None:
    curve = Keys.curve()
    together = ({"kty": "oct", "k": "c2VjcmV0"}, curve.jwk, keys.jwk)
    assert claims_of(keys.sign(), *together, algorithms=["RS256", "ES256"])
    assert claims_of(curve.sign(), *together, algorithms=["RS256", "ES256"])
    assert why_not(curve.sign(), {**curve.jwk, "crv": "P-384"}, algorithms=["ES256"]) == "key"


def test_a_shared_secret_verifies_by_its_algorithms() -> None:
    token = Keys("a-shared-secret", "a-shared-secret", {}, "HS256").sign()
    assert claims_of(token, "a-shared-secret", algorithms=["HS256"])
    assert claims_of(token, {"kty": "oct", "k": base64url(b"a-shared-secret")}, algorithms=["HS256"])
    assert why_not(token, "another-secret", algorithms=["HS256"]) == "signature"


def test_cve_2024_33663_a_public_key_is_no_shared_secret(keys: Keys) -> None:
    """A token signed by HMAC with the text of the public key, which everybody has, in all spellings of that text."""
    der = "".join(line for line in keys.public.splitlines() if "-----" not in line)
    texts = [keys.public, keys.public.strip(), f"  {keys.public}", keys.public.replace("\n", "\r\n"), der, keys.openssh]
    for text in texts:
        for header in (b'{"alg":"HS256","typ":"JWT"}', b'{"alg":"HS256","kid":"known"}'):
            head = token_of(b'{"aud": "animus", "iss": "auth"}', header=header).rpartition(".")[0]
            forged = f"{head}.{base64url(hmac.new(text.encode(), head.encode(), hashlib.sha256).digest())}"
            for algorithms in (["RS256"], ["HS256"], ["RS256", "HS256"]):
                assert why_not(forged, text, {**keys.jwk, "kid": "known"}, algorithms=algorithms) in ("algorithm", "key")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", None, 7, ["RS256"], "rs256", "RS256 "])
def test_an_unsigned_token_is_never_trusted(keys: Keys, algorithm: Any) -> None:
    header = json.dumps({"typ": "JWT"} if algorithm is None else {"alg": algorithm}).encode()
    for signature in ("", SIGNATURE, keys.sign().rpartition(".")[2]):
        assert why_not(token_of(b'{"aud": "animus", "iss": "auth"}', header=header, signature=signature), keys.public) == "algorithm"


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c"])
def test_a_token_does_not_bring_its_own_key(keys: Keys, header: str) -> None:
    mallory = Keys.rsa()
    brought = {"jwk": mallory.jwk, "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/cert", "x5c": [mallory.public]}[header]
    assert why_not(mallory.sign(headers={header: brought}), keys.jwk) == "signature"


def test_extensions_that_must_be_understood_are_refused(keys: Keys) -> None:
    assert why_not(keys.sign(headers={"crit": ["b64"], "b64": False}), keys.public) == "algorithm"
    assert why_not(keys.sign(headers={"crit": []}), keys.public) == "algorithm"


def test_without_keys_nothing_is_trusted(keys: Keys) -> None:
    assert why_not(keys.sign()) == "key"


@pytest.mark.parametrize("algorithms", [[], "RS256", ["none"], ["RS256", "None"], [""], ["PS256"], ["RS256", "A128KW"]])
def test_algorithms_must_be_named(algorithms: Any, keys: Keys) -> None:
    with pytest.raises(ValueError, match="algorithms must be a list"):
        claims_of(keys.sign(), keys.public, algorithms=algorithms)


@pytest.mark.parametrize("value", [b"[" * 100000 + b"]" * 100000, b"9" * 5000])
def test_a_header_that_cannot_be_read_is_refused_by_the_same_exception(keys: Keys, value: bytes) -> None:
    token = token_of(b'{"aud": "animus"}', header=b'{"alg": "RS256", "a": ' + value + b"}")
    for read in (peek_claims, key_id, lambda token: claims_of(token, keys.public)):
        with pytest.raises(NotAJwt, match="cannot be read"):
            read(token)


def test_however_deeply_a_header_is_nested_nothing_but_the_refusal_is_raised() -> None:
    # a reader with a few frames more below it gives up a few brackets earlier
    for depth in range(600, 1010):
        with contextlib.suppress(NotAJwt):
            key_id(token_of(b"{}", header=b'{"alg": "RS256", "a": ' + b"[" * depth + b"]" * depth + b"}"))


def test_a_public_key_in_any_text_is_no_shared_secret(keys: Keys) -> None:
    der = "".join(line for line in keys.public.splitlines() if "-----" not in line)
    bare = der.replace("+", "-").replace("/", "_").rstrip("=")
    for text in (json.dumps([keys.jwk]), json.dumps(json.dumps(keys.jwk)), f"\ufeff{keys.public}", f"a: b\n{keys.public}", bare):
        head = token_of(b'{"aud": "animus", "iss": "auth"}').rpartition(".")[0]
        forged = f"{head}.{base64url(hmac.new(text.encode(), head.encode(), hashlib.sha256).digest())}"
        assert why_not(forged, text, algorithms=["HS256"]) == "key"


def test_the_id_of_the_key(keys: Keys) -> None:
    assert key_id(keys.sign(headers={"kid": "k1"})) == "k1"
    assert key_id(keys.sign(headers={"kid": 7})) is None
    assert key_id(keys.sign()) is None
    with pytest.raises(NotAJwt):
        key_id("opaque")
