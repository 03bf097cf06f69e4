"""Reading tokens."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, strategies as st
from jose import jwt

from animus._jwt import NotAJwt, looks_like_jwt, peek_claims, verified_claims
from tests.tokens.minting import SIGNATURE, mint, token_of


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
    assert looks_like_jwt(mint(1))
    assert not looks_like_jwt("1.2.3")
    assert not looks_like_jwt("sk-an-api-key")
    assert not looks_like_jwt(f"Bearer {mint(1)}")


def test_jose_is_loaded_by_the_first_token_only() -> None:
    code = (
        "import sys; from animus._jwt import looks_like_jwt, peek_claims; from animus.tokens.response import read_answer; "
        "from animus.refresh.manager import TokenManager; assert 'jose' not in sys.modules; "
        f"peek_claims({mint(1)!r}); assert 'jose' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ---- with a key ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


def signed(keys: tuple[str, str], **claims: object) -> str:
    token: str = jwt.encode({"aud": "animus", "iss": "auth", "exp": 1, **claims}, keys[0], algorithm="RS256")
    return token


def test_a_signed_token_verifies_whatever_its_life(keys: tuple[str, str]) -> None:
    claims = verified_claims(signed(keys), keys[1], algorithms=["RS256"], audience="animus", issuer="auth")
    assert claims["iss"] == "auth"


def test_another_key_audience_issuer_or_algorithm_does_not_verify(keys: tuple[str, str]) -> None:
    token = signed(keys)
    other = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
    for refused, wanted in [
        (other, {}),
        (token, {"audience": "somebody"}),
        (token, {"issuer": "somebody"}),
        (token, {"algorithms": ["HS256"]}),
        (jwt.encode({"iss": "auth"}, keys[0], algorithm="RS256"), {}),
        (jwt.encode({"aud": "animus"}, keys[0], algorithm="RS256"), {}),
    ]:
        with pytest.raises(NotAJwt):
            verified_claims(refused, keys[1], **{"algorithms": ["RS256"], "audience": "animus", "issuer": "auth", **wanted})  # type: ignore[arg-type]


def test_a_public_key_is_no_shared_secret_cve_2024_33663(keys: tuple[str, str]) -> None:
    import hashlib
    import hmac

    from tests.tokens.minting import base64url

    head = token_of(b'{"aud": "animus"}').rpartition(".")[0]
    forged = f"{head}.{base64url(hmac.new(keys[1].encode(), head.encode(), hashlib.sha256).digest())}"
    for algorithms in (["RS256"], ["RS256", "HS256"]):
        with pytest.raises(NotAJwt):
            verified_claims(forged, keys[1], algorithms=algorithms, audience="animus")


@pytest.mark.parametrize("algorithms", [[], "RS256", ["none"], ["RS256", "None"], [""]])
def test_algorithms_must_be_named(algorithms: list[str], keys: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="algorithms"):
        verified_claims(signed(keys), keys[1], algorithms=algorithms, audience="animus")
