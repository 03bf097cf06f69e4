"""Keys that a verification is given: each is read at once, and one that no token could be checked with is refused, and said why."""

from __future__ import annotations

import dataclasses
import json
import traceback
import warnings
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from animus.errors import ConfigurationError, TokenSourceError
from animus.refresh.verifier import TokenVerifier
from animus.tokens.token import Token
from animus.tokens.verification import TokenVerification
from tests.tokens.minting import base64url
from tests.tokens.signing import Keys

RSA, CURVE, OTHER = Keys.rsa(), Keys.curve(), Keys.rsa()
SECRET = "a-shared-secret-of-thirty-two-bytes"
SHARED = Keys(SECRET, SECRET, {"kty": "oct", "k": base64url(SECRET.encode())}, "HS256")


def private(keys: Keys) -> Any:
    return load_pem_private_key(keys.private.encode(), None)


def pem_of(keys: Keys, encryption: KeySerializationEncryption, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    text: bytes = private(keys).private_bytes(Encoding.PEM, form, encryption)
    return text.decode()


def certificate(keys: Keys) -> str:
    """Give a certificate that was over long ago: it carries a key, no more."""
    name, then = x509.Name([]), datetime(2001, 1, 1, tzinfo=timezone.utc)
    builder = x509.CertificateBuilder(name, name, private(keys).public_key(), 1, then, then + timedelta(days=1))
    return builder.sign(private(keys), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def private_jwk(keys: Keys) -> dict[str, Any]:
    numbers = private(keys).private_numbers()
    own: int = numbers.d if keys.algorithm == "RS256" else numbers.private_value
    return {**keys.jwk, "d": base64url(own.to_bytes((own.bit_length() + 7) // 8, "big"))}


def bare(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if "-----" not in line)


def on_another_curve(curve: ec.EllipticCurve) -> str:
    public = ec.generate_private_key(curve).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def verification(key: Any, *algorithms: str) -> TokenVerification:
    return TokenVerification(key=key, algorithms=algorithms, audience="animus")


def refusal(key: Any, *algorithms: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        verification(key, *algorithms)
    shown = "".join(traceback.format_exception(caught.value))
    link: BaseException | None = caught.value
    while link is not None:
        shown += f"{link!r} {link.args} {vars(link)}"
        link = link.__context__
    parts = key.replace("\\n", "\n").splitlines() if isinstance(key, str) else map(str, key.values())
    assert not [part for part in parts if len(part) > 20 and "-----" not in part and part in shown], "the key is not shown"
    return str(caught.value)


# ---- what is a key -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (RSA, certificate(RSA)),
        (RSA, f"\n{certificate(RSA)}"),
        (CURVE, certificate(CURVE)),
        (CURVE, f"\ufeff {certificate(CURVE)}\n"),
        (RSA, f"\ufeff{RSA.public}"),
        (RSA, f"subject=/CN=auth\n{RSA.public}"),
        (RSA, RSA.public.replace("\n", "\r\n")),
        (RSA, RSA.public.replace("\n", " ")),
        (RSA, private(RSA).public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()),
        (RSA, RSA.private),
        (RSA, pem_of(RSA, NoEncryption(), PrivateFormat.TraditionalOpenSSL)),
        (CURVE, CURVE.private),
        (RSA, f"\ufeff{json.dumps(RSA.jwk)}"),
        (RSA, {**RSA.jwk, "d": "AQAB"}),
        (RSA, private_jwk(RSA)),
        (CURVE, private_jwk(CURVE)),
        (CURVE, {"keys": [{"kty": "RSA"}, {"kty": "OKP"}, {"kty": []}, {}, "x", CURVE.jwk]}),
        (SHARED, SECRET),
        (SHARED, SHARED.jwk),
        (SHARED, {**SHARED.jwk, "k": SHARED.jwk["k"] + "="}),
        (SHARED, {**SHARED.jwk, "k": f"{SHARED.jwk['k'][:9]}\n {SHARED.jwk['k'][9:]}\n"}),
    ],
)
def test_what_is_a_key_verifies(keys: Keys, key: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verifier = TokenVerifier(verification(key, keys.algorithm))
        verifier.check(Token(keys.sign()), source="the source", deadline=None)
    assert "d" not in {name for each in verifier.verification.keys if isinstance(each, dict) for name in each}


def test_white_space_belongs_to_a_shared_secret() -> None:
    spaced = Keys(f" {SECRET}\n", "", {}, "HS256")
    TokenVerifier(verification(f" {SECRET}\n", "HS256")).check(Token(spaced.sign()), source="the source", deadline=None)


@pytest.mark.parametrize(
    "secret",
    [
        "{x8$kQ!p0z9]rT#2",
        '{"not json',
        '"a quoted secret"',
        "null",
        "true",
        "v1.secret.pub",
        "prod-secret.json",
        "ssh-tunnel-secret-2024",
        "mykey-ssh-rsa-rotation",  # jose refuses it as a text
        "a secret with ä €",
    ],
)
def test_whatever_else_is_a_text_is_a_shared_secret(secret: str) -> None:
    signed = Keys(secret, "", {}, "HS256")
    if "ssh-rsa" in secret:
        signed = dataclasses.replace(signed, private={"kty": "oct", "k": base64url(secret.encode())})  # type: ignore[arg-type]
    verifier = TokenVerifier(verification(secret, "HS256", "HS512"))
    verifier.check(Token(signed.sign()), source="the source", deadline=None)
    with pytest.raises(TokenSourceError, match="its signature"):
        verifier.check(Token(SHARED.sign()), source="the source", deadline=None)


# .NET's JsonWebKey writes all members there can be
_NOTHING_SAID: dict[str, Any] = {
    **dict.fromkeys(("d", "dp", "dq", "k", "oth", "p", "q", "qi", "x5u")),
    "alg": "",
    "use": "",
    "key_ops": [],
    "x5c": [],
}


@pytest.mark.parametrize("keys", [RSA, CURVE, SHARED])
@pytest.mark.parametrize("more", [_NOTHING_SAID, {"key_ops": ()}, dict.fromkeys(_NOTHING_SAID)])
def test_what_is_null_or_empty_counts_as_absent(keys: Keys, more: dict[str, Any]) -> None:
    jwk = {**more, **keys.jwk}
    for key in (jwk, {"keys": [jwk]}):
        checked = verification(key, keys.algorithm)
        TokenVerifier(checked).check(Token(keys.sign()), source="the source", deadline=None)
        assert checked.is_public is (keys is not SHARED)


# ---- what is none --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithms", "said"),
    [
        (RSA.public.replace("\n", "\\n"), ["RS256"], r'the two characters \n where lines should end'),
        (json.dumps(CURVE.public), ["ES256"], r'key.replace("\\n", "\n")'),
        ("-----BEGIN PUBLIC KEY-----\nbm9uc2Vuc2UgdGhhdCBpcyBubyBrZXkgYXQgYWxs\n-----END PUBLIC KEY-----", ["RS256"], "cannot be read"),
        (RSA.public[: len(RSA.public) // 2], ["RS256"], "Give all of it"),
        (RSA.openssh, ["RS256"], "ssh-keygen -e -m PKCS8"),
        (RSA.public, ["ES256"], "it is an RSA key"),
        (RSA.public, ["RS256", "ES256"], "no key for ES256"),
        (CURVE.public, ["RS256"], "it is an EC key"),
        (certificate(CURVE), ["RS256"], "it is an EC key"),
        (CURVE.public, ["ES256", "ES384"], "its curve is not P-384"),
        (on_another_curve(ec.SECP384R1()), ["ES256"], "its curve is not P-256"),
        (on_another_curve(ec.SECP256K1()), ["ES256"], "of a kind that none of the algorithms takes"),
        (
            ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            ["RS256"],
            "of a kind that none of the algorithms takes",
        ),
        (pem_of(RSA, BestAvailableEncryption(b"x")), ["RS256"], "behind a password"),
        ({"kty": "RSA", "e": "AQAB"}, ["RS256"], "its n and e are missing or make no key"),
        ({"kty": "RSA", "n": "!!", "e": "AQAB"}, ["RS256"], "its n and e"),
        ({"kty": "RSA", "n": RSA.jwk["n"]}, ["RS256"], "its n and e"),
        ({"kty": "RSA", "n": RSA.jwk["n"], "e": 65537}, ["RS256"], "its n and e"),
        ({**CURVE.jwk, "x": CURVE.jwk["y"]}, ["ES256"], "its crv, x and y"),
        ({**CURVE.jwk, "crv": ["P-256"]}, ["ES256"], "its curve is not P-256"),
        ({"keys": [{"kty": "RSA"}, CURVE.jwk]}, ["RS256"], "its n and e are missing or make no key, or it is an EC key"),
        ({**RSA.jwk, "alg": "RS512"}, ["RS256"], "its alg names another algorithm"),
        ({**RSA.jwk, "use": "enc"}, ["RS256"], "its use is not sig"),
        ({**RSA.jwk, "key_ops": ["sign"]}, ["RS256"], "its key_ops do not have verify"),
        ({"kty": "OKP"}, ["RS256"], "it is a key of another kind"),
        (SHARED.jwk, ["RS256"], "it is a shared secret"),
        (json.dumps([RSA.jwk]), ["RS256"], "JSON, but no JWK"),
        ("https://auth.example/jwks.json", ["RS256"], "jwks_url="),
        ("/etc/keys/public.pem", ["RS256"], "read_text()"),
        ("/etc/keys/jwks.json", ["RS256"], "Give it, not the name of its file"),
        ("ssh-rsa", ["RS256"], "no key for RS256"),
        ("{no json", ["HS256", "RS256"], "begins like JSON, but is none"),
        (bare(RSA.private), ["RS256"], "without the lines around it"),
        ("\ufeff", ["HS256"], "verification.key"),
        (f'{{"kty": "oct", "k": "{SECRET}" ', ["HS256"], "begins like JSON, but is none"),
        (f"{SECRET}\udcff", ["HS256"], "cannot be encoded"),
    ],
)
def test_what_no_token_could_be_checked_with_is_refused_at_once(key: Any, algorithms: list[str], said: str) -> None:
    assert said in refusal(key, *algorithms)


# ---- what is no secret ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (f"Bag Attributes\n{RSA.public}", "the key is a public one"),
        (f"\ufeff{RSA.public}", "the key is a public one"),
        (json.dumps(RSA.public), "the key is a public one"),
        (RSA.public.replace("\n", "\\n"), "the key is a public one"),
        (certificate(CURVE), "the key is a public one"),
        (RSA.openssh, "the key is a public one"),
        (f"\ufeff{json.dumps(RSA.jwk)}", "the key is a public one"),
        (RSA.private, "the key is one of a pair"),
        (private_jwk(CURVE), "the key is one of a pair"),
        (bare(RSA.public), "the key is one of a pair"),
        (bare(CURVE.public).replace("+", "-").replace("/", "_").rstrip("="), "the key is one of a pair"),
        (json.dumps([RSA.jwk]), "JSON, but no JWK"),
        (json.dumps(json.dumps(RSA.jwk)), "JSON, but no JWK"),
        (json.dumps(bare(RSA.public)), "the key is one of a pair"),
        (json.dumps([bare(RSA.public)]), "JSON, but no JWK"),
        (f'{{"kty": "oct", "k": "{SECRET}" ', "begins like JSON, but is none"),
        ("https://auth.example/jwks.json", "it is a URL"),
        ("/etc/keys/public.pem", "the name of a file"),
        ("key.pem", "the name of a file"),
        ({"kty": "oct", "k": ""}, "its k is empty"),
        ({"kty": "oct", "k": "=="}, "its k is empty"),
        ({"kty": "oct"}, "its k is empty"),
        ({"kty": "oct", "k": 7}, "its k is empty or no base64url"),
        ({"kty": "oct", "k": "a secret!"}, "no base64url"),
        ({"keys": [{"kty": "oct", "k": ""}, RSA.jwk]}, "its k is empty"),
        ({"kty": "oct", "k": bare(RSA.public)}, "can be seen by others"),
        ({"kty": "oct", "k": base64url(RSA.public.encode())}, "can be seen by others"),
        ({**SHARED.jwk, "alg": "HS512"}, "its alg names another algorithm"),
        ({**SHARED.jwk, "use": "enc"}, "its use is not sig"),
    ],
)
def test_cve_2024_33663_nothing_that_others_can_see_is_a_shared_secret(key: Any, said: str) -> None:
    text = refusal(key, "HS256")
    assert said in text
    assert ("the key is a public one" in text) is (said == "the key is a public one")


# ---- what is shown -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithm", "secrets"),
    [
        (SHARED.jwk, "HS256", [SHARED.jwk["k"]]),
        (json.dumps(SHARED.jwk), "HS256", [SHARED.jwk["k"]]),
        ({"keys": [SHARED.jwk, RSA.jwk]}, "RS256", [SHARED.jwk["k"]]),
        (private_jwk(RSA), "RS256", [private_jwk(RSA)["d"]]),
        ({**RSA.jwk, "d": "AQAB", "oth": [{"r": "canary-r", "t": "canary-t"}]}, "RS256", ["canary-r", "canary-t"]),
        (SECRET, "HS256", [SECRET]),
        (RSA.private, "RS256", [RSA.private.splitlines()[1]]),
    ],
)
def test_no_view_of_it_shows_a_secret(key: Any, algorithm: str, secrets: list[str]) -> None:
    checked = verification(key, algorithm)
    verifier = TokenVerifier(checked)
    views = [checked, dataclasses.asdict(checked), dataclasses.astuple(checked), checked.key, checked.keys, verifier, vars(verifier)]
    assert not checked.is_public
    for secret in secrets:
        assert secret not in "".join(map(repr, views))


def test_a_changed_copy_is_read_anew() -> None:
    checked = verification(RSA.public, "RS256")
    assert dataclasses.replace(checked, key=certificate(OTHER)).keys == [OTHER.jwk]
    with pytest.raises(ConfigurationError, match="no key for ES256"):
        dataclasses.replace(checked, algorithms=["ES256"])


def test_a_bundle_with_a_private_key_is_not_public() -> None:
    assert verification(certificate(RSA), "RS256").is_public
    assert not verification(RSA.private + certificate(RSA), "RS256").is_public
