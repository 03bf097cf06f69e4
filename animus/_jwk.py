"""Keys that tokens are checked with, and which of them a token may be checked with.

The key decides, never the token alone: a public key is no shared secret, whatever algorithm a token names (CVE-2024-33663).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# RFC 7518 section 3.1: what python-jose can check, and the kind of key (section 6.1) that each takes
KIND_OF: Mapping[str, str] = {
    "HS256": "oct", "HS384": "oct", "HS512": "oct",
    "RS256": "RSA", "RS384": "RSA", "RS512": "RSA",
    "ES256": "EC", "ES384": "EC", "ES512": "EC",
}  # fmt: skip
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}  # RFC 7518 section 3.4
_ARMOUR = re.compile(r"\s*(?:-----BEGIN |ssh-|ecdsa-)")
# the usual beginnings of base64 of a DER public key, which consoles show without the lines around it
_BARE_DER = re.compile(r"\s*(?:MII|MFk|MHY|MIG)[A-Za-z0-9+/=\s]{80,}")

Key = str | Mapping[str, Any]


def keys_in(key: Key) -> list[Key]:
    """Give the keys of a set (a mapping with ``keys``), or the one."""
    if isinstance(key, Mapping) and isinstance(key.get("keys"), (list, tuple)):
        return [member for member in key["keys"] if isinstance(member, Mapping)]
    return [key]


def is_public(key: Key) -> bool:
    """Tell whether anybody may see the key, or all keys of the set."""
    if isinstance(key, str):
        return "PUBLIC KEY-----" in key or "CERTIFICATE-----" in key
    return all(isinstance(member, Mapping) and not {"k", "d"} & member.keys() for member in keys_in(key))


def is_bare_public_key(key: Key) -> bool:
    """Tell whether a text is a public key without the lines that would say so."""
    return isinstance(key, str) and _BARE_DER.fullmatch(key) is not None


def fits(key: Key, algorithm: str) -> bool:
    """Tell whether a signature of that algorithm may be checked with the key.

    A text with PEM lines fits all algorithms with a public key, any other text those with a shared secret. A JWK says what it is
    (RFC 7517 section 4).
    """
    kind = KIND_OF.get(algorithm)
    if isinstance(key, str):
        return kind is not None and not is_bare_public_key(key) and (kind == "oct") == (_ARMOUR.match(key) is None)
    operations = key.get("key_ops")
    return (
        kind is not None
        and key.get("kty") == kind
        and key.get("alg") in (None, algorithm)
        and key.get("use") in (None, "sig")
        and (not isinstance(operations, (list, tuple)) or "verify" in operations)
        and (kind != "EC" or key.get("crv") == _CURVES[algorithm])
    )


def has_id(keys: Iterable[Key], key_id: object) -> bool:
    """Tell whether one of the keys has that ``kid``."""
    return any(isinstance(key, Mapping) and key.get("kid") == key_id for key in keys)


def candidates(keys: Iterable[Key], algorithm: str, key_id: object) -> list[Key]:
    """Give the keys to try for a token: those with its ``kid``, then those without any; without a ``kid``, all that fit."""
    fitting = [key for key in keys if fits(key, algorithm)]
    if key_id is None:
        return fitting
    named = [key for key in fitting if has_id([key], key_id)]
    return named + [key for key in fitting if not isinstance(key, Mapping) or key.get("kid") is None]
