"""The key that a verification is given: what it may be, and what to do about one that no token could be checked with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from animus import _check, _strict_json
from animus._jwk import KIND_OF, SECRET_PARTS, Key, NotAKey, defect, is_public, keys_in, misfit, usable
from animus._key_text import form_of
from animus._secret import Secret
from animus.errors import ConfigurationError

_GENERAL = (
    "Give it, not the name of its file, as PEM text (-----BEGIN PUBLIC KEY-----), as JWK, or as JWKS; a JWK names kty, and crv for ES "
    "algorithms"
)
_PAIRS = (
    "RS algorithms take RSA keys (n and e), ES256 takes EC keys on P-256 (crv, x and y), ES384 on P-384, ES512 on P-521; "
    "alg, use and key_ops of a JWK must allow it"
)
_SECRETS = "A JWK of a shared secret has kty oct and, as base64url, k; alg, use and key_ops must allow it, and nobody else may know it"
# what a text is that is neither PEM text nor JWK nor shared secret, and what to do
_NOT_TAKEN: Mapping[str, tuple[str, str]] = {
    "ssh": ("in the format of SSH", "Give it as PEM text: ssh-keygen -e -m PKCS8 -f key.pub prints it"),
    "encoded": ("without the lines around it", "Put -----BEGIN PUBLIC KEY----- before its base64, and -----END PUBLIC KEY----- behind it"),
    "json": ("JSON, but no JWK or JWKS", "Give the object, without quotes or a list around it"),
    "url": ("a URL", "Give it as jwks_url= and leave key= out, with an algorithm for public keys, such as RS256"),
    "file": ("the name of a file", "Give what is in the file: key=Path(…).read_text()"),
}
_SURROGATE = re.compile("[\ud800-\udfff]")
_OF_A_PAIR = ("pem", "ssh", "encoded")


def read_key(given: Any) -> Key:
    """Give the key in a copy that shows no secret, with JSON text read.

    Raises:
        ConfigurationError: it is neither a text nor a mapping, or has nothing in it.
    """
    if isinstance(given, str):
        text = _strict_json.bare(given)
        described = _object(text) if text.startswith("{") else None
        if isinstance(described, Mapping):
            given = described
        elif text:
            if _SURROGATE.search(text):
                hint = "Python has such ones for bytes that are no UTF-8, as a variable of the environment may have"
                raise ConfigurationError("verification.key has characters that cannot be encoded", hint=hint)
            return Secret(given if form_of(text) == "secret" else text)  # white space may belong to a secret
    if not isinstance(given, Mapping) or not given:
        raise _check.refuse("verification.key", given, "a PEM text, a JWK, a JWKS or a shared secret")
    copied: Mapping[str, Any] = _discreet(given)
    return copied


def check_fit(key: Key, algorithms: Sequence[str]) -> None:
    """Do nothing if there is a key for each of the algorithms.

    Raises:
        ConfigurationError: there is not; what it is instead is said, but never shown.
    """
    form = form_of(key) if isinstance(key, str) else "jwk"
    kinds = {KIND_OF[algorithm] for algorithm in algorithms}
    if isinstance(key, str) and _strict_json.bare(key).startswith("{") and (form != "secret" or kinds != {"oct"}):
        raise ConfigurationError("verification.key begins like JSON, but is none")
    for algorithm in algorithms:
        if KIND_OF[algorithm] == "oct" and form in _OF_A_PAIR:
            raise forgeable(algorithm, _why_no_secret(key))
    if form in _NOT_TAKEN:
        said, hint = _NOT_TAKEN[form]
        raise ConfigurationError(f"verification.key has no key for {algorithms[0]}: it is {said}", hint=hint)
    try:
        keys = usable(key)
    except NotAKey as error:
        raise ConfigurationError(f"verification.key {error}", hint=_about_pem(str(key))) from None
    for algorithm in algorithms:
        if all(misfit(each, algorithm) for each in keys):
            raise _missing(key, keys, algorithm)


def forgeable(algorithm: str, why: str) -> ConfigurationError:
    """Give the error for a shared secret's algorithm with something that is none."""
    return ConfigurationError(
        f"{algorithm} is for a shared secret, but {why}: whoever sees it could sign tokens",
        hint="Name the algorithm of the public key, such as RS256 or ES256, and no HS algorithm (CVE-2024-33663)",
    )


def _missing(key: Key, usable_keys: Sequence[Key], algorithm: str) -> ConfigurationError:
    """Give the error for an algorithm that none of the keys is for."""
    jwks = [each for each in (usable_keys if isinstance(key, str) else keys_in(key)) if isinstance(each, Mapping)]
    secret = KIND_OF[algorithm] == "oct"
    if secret and jwks and all(each.get("kty") in ("RSA", "EC") for each in jwks):
        return forgeable(algorithm, _why_no_secret(key))
    reasons = dict.fromkeys(misfit(each, algorithm) or defect(each) or "" for each in jwks)
    why = f": {', or '.join(reasons)}" if reasons else ""
    return ConfigurationError(f"verification.key has no key for {algorithm}{why}", hint=_hint(secret=secret, jwks=jwks))


def _hint(*, secret: bool, jwks: Sequence[Key]) -> str:
    return _GENERAL if not jwks else _SECRETS if secret else _PAIRS


def _why_no_secret(key: Key) -> str:
    return "the key is a public one" if is_public(key) else "the key is one of a pair"


def _object(text: str) -> Any:
    try:
        return _strict_json.loads(text)
    except ValueError:  # has the whole text, and would be the context of an error that is raised here
        return None


def _about_pem(text: str) -> str:
    if "\\n" in text:
        return r'It has the two characters \n where lines should end, as variables of the environment often do: key.replace("\\n", "\n")'
    if "ENCRYPTED" in text:
        return "It is behind a password. Only the public key is needed: openssl pkey -in key.pem -pubout prints it"
    return "Give all of it, with its lines -----BEGIN …----- and -----END …-----, as openssl pkey -in key.pem -pubout prints it"


def _discreet(value: Any, *, secret: bool = False) -> Any:
    """Give ``value`` in dicts and lists of its own, where the texts that are secret do not show themselves."""
    if isinstance(value, Mapping):
        return {name: _discreet(item, secret=secret or name in SECRET_PARTS) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_discreet(item, secret=secret) for item in value]
    return Secret(value) if secret and isinstance(value, str) else value
