"""Who signed a token."""

from __future__ import annotations

from typing import Any

import pytest
from jose import jwt

from animus._jwt import NotAJwt
from animus.errors import ConfigurationError, TokenSourceError
from animus.tokens.response import read_answer
from animus.tokens.signature import SignatureCheck

NOW = 1795600000.0
KEY = "a-shared-secret-of-thirty-two-bytes"


def check(**changes: Any) -> SignatureCheck:
    return SignatureCheck(**{"key": KEY, "algorithms": ["HS256"], "audience": "animus", **changes})


def signed(key: str = KEY, **claims: Any) -> str:
    token: str = jwt.encode({"exp": NOW + 60, "aud": "animus", **claims}, key, algorithm="HS256")
    return token


def test_a_token_with_the_right_signature_is_taken() -> None:
    answer = read_answer(200, {}, signed().encode(), now=NOW, source="s", signature=check())
    assert answer.expires_at == NOW + 60


def test_another_signature_or_audience_is_a_bad_token() -> None:
    for token in (signed("another-secret"), signed(aud="others")):
        with pytest.raises(TokenSourceError) as caught:
            read_answer(200, {}, token.encode(), now=NOW, source="s", signature=check())
        assert caught.value.reason == "bad_jwt"
        assert "audience" in str(caught.value.hint)


def test_the_end_is_judged_with_the_corrected_clock_not_by_jose() -> None:
    check().check(jwt.encode({"exp": 1, "aud": "animus"}, KEY, algorithm="HS256"))
    with pytest.raises(NotAJwt):
        check(issuer="auth").check(signed())


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": None},
        {"key": 7},
        {"algorithms": []},
        {"algorithms": "HS256"},
        {"algorithms": ["none"]},
        {"audience": ""},
        {"issuer": " "},
    ],
)
def test_nothing_can_be_left_open(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        check(**changes)


def test_the_key_is_not_shown_and_is_known_to_be_public_or_not() -> None:
    assert KEY not in repr(check())
    assert not check().is_public
    assert check(key="-----BEGIN PUBLIC KEY-----\nx").is_public
    assert check(key={"keys": [{"kty": "RSA", "n": "x", "e": "AQAB"}]}).is_public
    assert not check(key={"keys": [{"kty": "oct", "k": "x"}]}).is_public
    assert not check(key={"kty": "RSA", "n": "x", "d": "x"}).is_public
