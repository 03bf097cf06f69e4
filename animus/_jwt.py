"""Reading JSON Web Tokens (RFC 7519): the only place that knows python-jose, which is loaded with the first signature to be checked.

Reading is not trusting: :func:`peek_claims` looks at no signature, which is enough for a client that only wants to know
when to ask for the next token. Whoever must believe a token uses :func:`verified_claims`, whose arguments cannot be left out.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from animus import _fork, _strict_json

if TYPE_CHECKING:
    from animus._jwk import Key

# base64url without padding (RFC 7515 section 2); an unsecured token (RFC 7519 section 6) has an empty signature
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
Why = Literal["algorithm", "key", "signature", "audience", "issuer", "not_yet", "end", "over"]


class NotAJwt(ValueError):
    """The text is no JSON Web Token. Never shows the text."""


class NotTrusted(NotAJwt):
    """The text is a token, but not one to be believed.

    Attributes:
        why: What is wrong with it.
    """

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


def looks_like_jwt(text: str) -> bool:
    """Tell whether ``text`` has the outer form of a token: three segments, the first of which can be a JSON object."""
    match = _COMPACT.fullmatch(text)
    if match is None:
        return False
    beginning = match.group(1)[:64]  # there may be white space before the brace
    return len(beginning) % 4 != 1 and _decoded(beginning).lstrip(b" \t\r\n").startswith(b"{")


def peek_claims(token: str) -> dict[str, Any]:
    """Give the claims of a token without checking its signature.

    Raises:
        NotAJwt: not three segments of base64url without padding, or header or payload is no UTF-8 JSON object.
    """
    return _parts(token)[1]


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give header and claims."""
    match = _COMPACT.fullmatch(token)
    if match is None or any(len(segment) % 4 == 1 for segment in match.groups()):
        raise NotAJwt("not three parts of base64url without padding")
    try:
        text = _decoded(match.group(2)).decode("utf-8")
        payload = _strict_json.loads(text)
    except ValueError as error:
        raise NotAJwt(f"the payload is no UTF-8 JSON ({type(error).__name__})") from None
    if not isinstance(payload, Mapping):
        raise NotAJwt("the payload is no JSON object")
    # what jose.jwt's get_unverified_claims() and _header() do, without the 22 ms that it and cryptography take to be imported, and
    # without its own exception for a header that is nested too deeply
    try:
        header, claims = json.loads(_decoded(match.group(1)).decode("utf-8")), json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAJwt(f"it cannot be read ({type(error).__name__})") from None
    if not isinstance(header, Mapping):
        raise NotAJwt("the header is no JSON object")
    return dict(header), dict(claims)


def key_id(token: str) -> str | None:
    """Give the ``kid`` in the header of a token, or None.

    Raises:
        NotAJwt: the text is no token.
    """
    found = _parts(token)[0].get("kid")
    return found if isinstance(found, str) else None


def verified_claims(
    token: str, keys: Iterable[Key], *, algorithms: Sequence[str], audience: str | None, issuer: str | None = None
) -> dict[str, Any]:
    """Give the claims of a token whose signature, audience and issuer were checked. Its life is not looked at.

    Args:
        keys: PEM texts, JWKs (mappings), or the texts of shared secrets.
        algorithms: Those that are accepted; a token names its own, which must not be believed (CVE-2024-33663).
        audience: Must be among the token's ``aud``; None: any, or none.
        issuer: Must be the token's ``iss``; None: any, or none.

    Raises:
        NotTrusted: the token is not what it should be.
        NotAJwt: the text is no token.
        ValueError: no algorithms, or one that is not known, such as ``none``.
    """
    with _fork.forks_wait:  # most clients check no token
        from animus._jwk import KIND_OF, candidates

    if isinstance(algorithms, str) or not algorithms or not set(algorithms) <= KIND_OF.keys():
        raise ValueError(f'algorithms must be a list such as ["RS256"], of {", ".join(KIND_OF)}')
    header, claims = _parts(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        known = f" {algorithm}" if isinstance(algorithm, str) and algorithm in KIND_OF else ""
        raise NotTrusted("algorithm", f"its algorithm{known} is not among {', '.join(algorithms)}")
    if "crit" in header:  # RFC 7515 section 4.1.11: to be refused by whoever does not understand all it lists
        raise NotTrusted("algorithm", "it wants extensions to be understood that are not")
    _check_signature(token, candidates(keys, algorithm, header.get("kid")), algorithm)
    found = claims.get("aud")
    if audience is not None and audience not in (found if isinstance(found, list) else [found]):
        raise NotTrusted("audience", "it is for another audience" if "aud" in claims else "it names no audience")
    if issuer is not None and claims.get("iss") != issuer:
        raise NotTrusted("issuer", "it is of another issuer" if "iss" in claims else "it names no issuer")
    return claims


def _check_signature(token: str, keys: Sequence[Key], algorithm: str) -> None:
    if not keys:
        raise NotTrusted("key", f"there is no key for it: none with its kid fits {algorithm}")
    with _fork.forks_wait:
        from jose import jwk, jws

    for key in keys:
        try:
            # a key object, because from a text jose would guess what it is
            jws.verify(token, jwk.construct(key if isinstance(key, str) else dict(key), algorithm), [algorithm])
        except Exception:  # of jose, or of what reads a key that lacks a part: it is not this one
            continue
        return
    raise NotTrusted("signature", "its signature is not by a known key")


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
