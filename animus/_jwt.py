"""Reading JSON Web Tokens (RFC 7519): the only place that knows python-jose, which is loaded with the first token.

Reading is not trusting: :func:`peek_claims` looks at no signature, which is enough for a client that only wants to know
when to ask for the next token. Whoever must believe a token uses :func:`verified_claims`, whose arguments cannot be left out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from animus import _strict_json

# base64url without padding (RFC 7515 section 2); an unsecured token (RFC 7519 section 6) has an empty signature
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)")
# jose must not read the clock: life is judged elsewhere, with the issuer's time
_NO_TIME = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_at_hash": False, "require_aud": True}


class NotAJwt(ValueError):
    """The text is no JSON Web Token. Never shows the text."""


def looks_like_jwt(text: str) -> bool:
    """Tell whether ``text`` has the outer form of a token: three segments, the first of which can be a JSON object."""
    return text.startswith("ey") and _COMPACT.fullmatch(text) is not None


def peek_claims(token: str) -> dict[str, Any]:
    """Give the claims of a token without checking its signature.

    Raises:
        NotAJwt: not three segments of base64url without padding, or the payload is no UTF-8 JSON object, or jose
            cannot read the header.
    """
    match = _COMPACT.fullmatch(token)
    if match is None or any(len(segment) % 4 == 1 for segment in match.groups()):
        raise NotAJwt("not three parts of base64url without padding")
    try:
        payload = _strict_json.loads(_decoded(match.group(2)).decode("utf-8"))
    except ValueError as error:
        raise NotAJwt(f"the payload is no UTF-8 JSON ({type(error).__name__})") from None
    if not isinstance(payload, Mapping):
        raise NotAJwt("the payload is no JSON object")
    from jose import jwt
    from jose.exceptions import JOSEError

    try:
        return dict(jwt.get_unverified_claims(token))
    except (JOSEError, ValueError, RecursionError) as error:
        raise NotAJwt(f"it cannot be read ({type(error).__name__})") from None


def verified_claims(
    token: str, key: str | Mapping[str, Any], *, algorithms: Sequence[str], audience: str, issuer: str | None = None
) -> dict[str, Any]:
    """Give the claims of a token whose signature, audience and issuer were checked. Its life is not looked at.

    Args:
        key: A PEM text, a JWK, a JWKS (a mapping with ``keys``), or the text of a shared secret.
        algorithms: Those that are accepted; a token names its own, which must not be believed (CVE-2024-33663).
        audience: Must be among the token's ``aud``, which must be there.
        issuer: Must be the token's ``iss``; None: any.

    Raises:
        NotAJwt: the token is not what it should be.
        ValueError: no algorithms, or ``none`` among them.
    """
    if isinstance(algorithms, str) or not algorithms or any(not a or a.lower() == "none" for a in algorithms):
        raise ValueError('algorithms must be a list such as ["RS256"], without "none"')
    peek_claims(token)
    from jose import jwt
    from jose.exceptions import JOSEError

    options = {**_NO_TIME, "require_iss": issuer is not None}
    try:
        return dict(jwt.decode(token, key, algorithms=list(algorithms), audience=audience, issuer=issuer, options=options))
    except (JOSEError, ValueError, RecursionError) as error:
        raise NotAJwt(f"it does not verify ({type(error).__name__})") from None


def _decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
