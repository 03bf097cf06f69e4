"""What a text is that is given as a key."""

from __future__ import annotations

import base64
import json
import secrets
import string

import pytest
from hypothesis import given, strategies as st

from animus._key_text import form_of, from_base64, is_key
from tests.tokens.signing import Keys

RSA, CURVE = Keys.rsa(), Keys.curve()


def der(keys: Keys) -> bytes:
    return base64.b64decode("".join(keys.public.splitlines()[1:-1]))


def bare(keys: Keys) -> str:
    return base64.b64encode(der(keys)).decode()


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (RSA.public, "pem"),
        (RSA.private, "pem"),
        (f"# our key\n{RSA.public}", "pem"),
        (json.dumps(RSA.public), "pem"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", "pem"),
        (RSA.openssh, "ssh"),
        (CURVE.openssh, "ssh"),
        (f'from="10.0.0.1" {RSA.openssh}', "ssh"),
        (json.dumps([RSA.jwk]), "json"),
        (json.dumps(json.dumps(RSA.jwk)), "json"),
        (json.dumps(json.dumps(json.dumps(RSA.jwk))), "json"),
        (f"{RSA.jwk}", "json"),
        (json.dumps(bare(RSA)), "encoded"),
        (json.dumps([bare(RSA)]), "json"),
        ('{"a": 1}', "json"),
        ('{"kty": "RSA"', "json"),
        ("https://auth.example/jwks.json", "url"),
        ("file:///etc/keys/public.pem", "url"),
        ("/etc/keys/public.pem", "file"),
        ("key.pem", "file"),
        (bare(RSA), "encoded"),
        (base64.urlsafe_b64encode(der(CURVE)).decode().rstrip("="), "encoded"),
        (base64.encodebytes(der(RSA)).decode(), "encoded"),
        (der(RSA).hex(), "encoded"),
        (der(CURVE).hex(":").upper(), "encoded"),
        (base64.b64encode(RSA.public.encode()).decode(), "encoded"),
        (base64.b64encode(json.dumps(RSA.jwk).encode()).decode(), "encoded"),
        (base64.b64encode(RSA.openssh.encode()).decode(), "encoded"),
        (RSA.openssh.split()[1], "encoded"),
        ("a-shared-secret-of-thirty-two-bytes", "secret"),
        ("1234567890123456789012345678901234567890", "secret"),
        ("[not json", "secret"),
        ("{x8$kQ!p0z9]rT#2", "secret"),
        ('{"not json', "secret"),
        ('"a quoted secret"', "secret"),
        ("null", "secret"),
        ("true", "secret"),
        ("v1.secret.pub", "secret"),
        ("prod-secret.json", "secret"),
        ("ssh-tunnel-secret-2024", "secret"),
        ("mykey-ssh-rsa-rotation", "secret"),
        ("ssh-rsa", "secret"),
        ("my ecdsa-sha2-nistp256 key", "secret"),
        ("two words. And a dot", "secret"),
        (RSA.jwk["n"], "secret"),  # a number looks like any other
    ],
)
def test_each_form(text: str, form: str) -> None:
    for spelled in (text, f"\n {text}\r\n", f"\ufeff{text}"):
        assert form_of(spelled) == form


@given(st.binary(min_size=16, max_size=64))
def test_random_bytes_are_a_secret_in_all_their_spellings(raw: bytes) -> None:
    if not is_key(raw):  # one in thirty million begins like a key
        for text in (raw.hex(), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()):
            assert form_of(text) == "secret"


def test_what_makers_of_secrets_make_is_a_secret() -> None:
    alphabet = string.ascii_letters + string.digits + string.punctuation
    for _ in range(2000):
        for text in (secrets.token_urlsafe(), secrets.token_hex(64), "".join(secrets.choice(alphabet) for _ in range(40))):
            assert form_of(text) == "secret", text


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9+/_=\s-]{0,100}", fullmatch=True))
def test_no_text_is_too_strange(text: str) -> None:
    assert form_of(text) in ("pem", "ssh", "json", "url", "file", "encoded", "secret")
    raw = from_base64(text)
    assert raw is None or raw


def test_base64_of_both_alphabets_padded_or_not() -> None:
    for text in ("-_8", "+/8", "+/8=", "+ /\n8=", "-/8="):
        assert from_base64(text) == b"\xfb\xff"
    for text in ("", "=", "a", "abcde", "ab!d", "é"):
        assert from_base64(text) is None
