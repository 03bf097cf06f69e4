"""What a text is that somebody gives as a key. Only a text of no other form is the text of a shared secret.

Whatever can be seen by others in one form can be seen in all: a public key in base64, in quotes or as JSON is as public as its PEM text,
and who takes it for a shared secret lets everybody sign (CVE-2024-33663).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Literal

from animus import _strict_json

Form = Literal["pem", "ssh", "json", "url", "file", "encoded", "secret"]

_PEM = re.compile(r"----\s?(?:BEGIN|END) ")  # in four dashes and a space: RFC 4716
_SSH = re.compile(r"(?:ssh|ecdsa)-[\w.@-]+\s+AAAA")  # the base64 of a length; the kind alone may be part of a secret
_JWK = re.compile(r"""["']kty\\*["']""")  # also in JSON within JSON, and in what Python shows of a dict
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
_FILE = re.compile(r"\S+\.(?:pem|crt|cer|der|jwks?)", re.IGNORECASE)  # secrets may end in .pub and .json
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+")  # of both alphabets (RFC 4648 sections 4 and 5)
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}:?)+")
# how keys and certificates begin in DER, which is what stands between the lines of a PEM text: a SEQUENCE, in it a SEQUENCE with an OBJECT
# IDENTIFIER or a version (X.509), a large INTEGER (PKCS #1), or the INTEGER 0 or 1 (private keys); and how they begin where SSH has them
_LENGTH = rb"(?:[\x01-\x7f]|\x81.|\x82..)"
_INNER = rb"(?:0%b[\x06\xa0]|\x02(?:\x81.|\x82..)\x00|\x02\x01[\x00\x01])" % _LENGTH
_BINARY = re.compile(rb"0%b%b|\x00\x00\x00.(?:ssh-|ecdsa-)" % (_LENGTH, _INNER), re.DOTALL)


def form_of(text: str) -> Form:
    """Tell what a text is. ``encoded``: a key in base64 or hexadecimal digits; ``secret``: none of all that."""
    text = _strict_json.bare(text)
    if _PEM.search(text):
        return "pem"
    if _SSH.search(text):
        return "ssh"
    inside = _inside(text)
    if isinstance(inside, str):
        return form_of(inside)
    if _JWK.search(text) or inside is not None:
        return "json"
    if _URL.fullmatch(text):
        return "url"
    if _FILE.fullmatch(text):
        return "file"
    return "encoded" if any(map(is_key, _decodings(text))) else "secret"


def is_key(raw: bytes) -> bool:
    """Tell whether bytes are a key, or the text of one, rather than a shared secret."""
    if _BINARY.match(raw):
        return True
    text = raw.decode("utf-8", "replace")
    return any(form.search(text) for form in (_PEM, _SSH, _JWK))


def from_base64(text: str) -> bytes | None:
    """Give what base64 of either alphabet stands for, padded or not; None if it is none, or nothing."""
    digits = "".join(text.split()).rstrip("=")
    if _BASE64.fullmatch(digits) is None or len(digits) % 4 == 1:
        return None
    return base64.b64decode(digits.replace("-", "+").replace("_", "/") + "=" * (-len(digits) % 4))


def _inside(text: str) -> Any:
    """Give the text, the object or the list that a JSON text has; None for any other text: a number or a word may be a secret."""
    if text[:1] not in ("{", "[", '"'):
        return None
    try:
        return _strict_json.loads(text)
    except ValueError:
        return None


def _decodings(text: str) -> Iterator[bytes]:
    digits = "".join(text.split())
    raw = from_base64(digits)
    if raw is not None:
        yield raw
    if _HEX.fullmatch(digits):
        yield bytes.fromhex(digits.replace(":", ""))
