"""Keys that tokens are checked with, and which of them a token may be checked with.

The key decides, never the token alone: a public key is no shared secret, whatever algorithm a token names (CVE-2024-33663).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from animus import _fork
from animus._key_text import form_of, from_base64, is_key
from animus._secret import Secret

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# RFC 7518 section 3.1: what python-jose can check, and the kind of key (section 6.1) that each takes
KIND_OF: Mapping[str, str] = {
    "HS256": "oct", "HS384": "oct", "HS512": "oct",
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC",
}  # fmt: skip
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}  # RFC 7518 section 3.4
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_KINDS = {"oct": "a shared secret", "RSA": "an RSA key", "EC": "an EC key"}
# RFC 7518 sections 6.2.2, 6.3.2 and 6.4: what a key has that nobody may see but its owner
SECRET_PARTS = frozenset(("k", "d", "p", "q", "dp", "dq", "qi", "oth"))

Key = str | Mapping[str, Any]


class NotAKey(ValueError):
    """The text is no key that a token can be checked with. Never shows the text."""


def keys_in(key: Key) -> list[Key]:
    """Give the keys of a set (a mapping with ``keys``), or the one; of JWKs, what is null or empty counts as absent."""
    if isinstance(key, str):
        return [key]
    members = key["keys"] if isinstance(key.get("keys"), (list, tuple)) else [key]
    return [_present(member) for member in members if isinstance(member, Mapping)]


def is_public(key: Key) -> bool:
    """Tell whether anybody may see the key, or all keys of the set."""
    if isinstance(key, str):
        return form_of(key) == "ssh" or ("PRIVATE KEY-----" not in key and ("PUBLIC KEY-----" in key or "CERTIFICATE-----" in key))
    return all(isinstance(member, Mapping) and not SECRET_PARTS & member.keys() for member in keys_in(key))


def usable(key: Key) -> list[Key]:
    """Give what tokens can be checked with: shared secrets, and of all other keys the public halves, as JWKs.

    Members of a set that lack something are left out (RFC 7517 section 5).

    Raises:
        NotAKey: a PEM text that cannot be read.
    """
    if isinstance(key, str):
        return [_read(key)] if form_of(key) == "pem" else [key]
    return [_public_half(member) for member in keys_in(key) if isinstance(member, Mapping) and defect(member) is None]


def defect(jwk: Mapping[str, Any]) -> str | None:
    """Tell what makes a JWK unusable for all algorithms (RFC 7518 section 6), or None."""
    kind = jwk.get("kty")
    if kind == "oct":
        secret = _bytes(jwk.get("k"))
        if secret is None:
            return "its k is empty or no base64url"
        return "its k is a key that can be seen by others, not a secret" if is_key(secret) else None
    if kind not in ("RSA", "EC"):
        return "it is a key of another kind"
    try:
        _construct(jwk)
    except (ValueError, TypeError, KeyError):
        return f"its {'n and e' if kind == 'RSA' else 'crv, x and y'} are missing or make no key"
    return None


def misfit(key: Key, algorithm: str) -> str | None:
    """Tell why a signature of that algorithm may not be checked with the key, or None.

    A text with PEM lines fits all algorithms with a public key, a shared secret those with one. A JWK says what it is (RFC 7517
    section 4).
    """
    kind = KIND_OF.get(algorithm)
    if isinstance(key, str):
        wanted = "secret" if kind == "oct" else "pem"
        return None if kind is not None and form_of(key) == wanted else "it is something else"
    operations = key.get("key_ops")
    if kind is None or key.get("kty") != kind:
        return f"it is {next((said for name, said in _KINDS.items() if name == key.get('kty')), 'a key of another kind')}"
    if key.get("alg") not in (None, algorithm):
        return "its alg names another algorithm"
    if key.get("use") not in (None, "sig"):
        return "its use is not sig"
    if isinstance(operations, (list, tuple)) and "verify" not in operations:
        return "its key_ops do not have verify"
    if kind == "EC" and key.get("crv") != _CURVES[algorithm]:
        return f"its curve is not {_CURVES[algorithm]}"
    return None


def fits(key: Key, algorithm: str) -> bool:
    """Tell whether a signature of that algorithm may be checked with the key."""
    return misfit(key, algorithm) is None


def has_id(keys: Iterable[Key], key_id: object) -> bool:
    """Tell whether one of the keys has that ``kid``."""
    return any(isinstance(key, Mapping) and key.get("kid") == key_id for key in keys)


def candidates(keys: Iterable[Key], algorithm: str, key_id: object) -> list[Key]:
    """Give the keys to try for a token: those with its ``kid``, then those without any; without a ``kid``, all that fit."""
    fitting = [_described(key, algorithm) for key in keys if fits(key, algorithm)]
    if key_id is None:
        return fitting
    named = [key for key in fitting if has_id([key], key_id)]
    return named + [key for key in fitting if not isinstance(key, Mapping) or key.get("kid") is None]


def _present(jwk: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a JWK without members that say nothing: some servers write all there can be, such as ``"d": null`` and ``"key_ops": []``."""
    return {name: value for name, value in jwk.items() if value not in (None, "", [], ())}


def _described(key: Key, algorithm: str) -> Key:
    """Give a shared secret as JWK: in a text, jose looks for names of SSH's keys, which may be part of a secret."""
    if isinstance(key, str) and KIND_OF[algorithm] == "oct":
        return {"kty": "oct", "k": Secret(base64.urlsafe_b64encode(key.encode()).decode())}
    return key


# ---- reading, by cryptography, which python-jose brings ------------------------------------------------


def _read(pem: str) -> dict[str, str]:
    """Give the public key in a PEM text: of a public or private key, or of a certificate, whose dates and signer are not looked at."""
    with _fork.forks_wait:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

    try:
        key: PublicKeyTypes | None = _loaded(pem)
    except Exception:  # ValueError, TypeError for one behind a password, UnsupportedAlgorithm
        key = None
    if key is None:  # raised here, without a context: their texts may quote the key
        raise NotAKey("begins like a PEM text, but cannot be read as one")
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVE_NAMES:
        point, size = key.public_numbers(), (key.curve.key_size + 7) // 8
        return {"kty": "EC", "crv": _CURVE_NAMES[key.curve.name], "x": _base64url(point.x, size), "y": _base64url(point.y, size)}
    raise NotAKey("is a PEM text with a key of a kind that none of the algorithms takes")


def _loaded(pem: str) -> PublicKeyTypes:
    with _fork.forks_wait:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
        from cryptography.x509 import load_pem_x509_certificate

    raw = pem.encode()
    if "CERTIFICATE-----" in pem:
        return load_pem_x509_certificate(raw).public_key()
    if "PRIVATE KEY-----" in pem:
        return load_pem_private_key(raw, None).public_key()
    return load_pem_public_key(raw)


def _construct(jwk: Mapping[str, Any]) -> None:
    """Make the key that an RSA or EC JWK describes, to see that it does."""
    with _fork.forks_wait:
        from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if jwk["kty"] == "RSA":
        rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    else:
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}[jwk["crv"]]
        ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve).public_key()


def _public_half(jwk: Mapping[str, Any]) -> Mapping[str, Any]:
    if jwk.get("kty") == "oct":
        return {**jwk, "k": Secret("".join(jwk["k"].split()))}  # jose counts white space as digits
    return {name: value for name, value in jwk.items() if name not in SECRET_PARTS}


def _bytes(value: Any) -> bytes | None:
    return from_base64(value) if isinstance(value, str) else None


def _number(value: Any) -> int:
    raw = _bytes(value)
    if raw is None:
        raise ValueError("no base64url")
    return int.from_bytes(raw, "big")


def _base64url(number: int, size: int | None = None) -> str:
    raw = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
