"""Tokens for tests. Nobody checks their signatures."""

from __future__ import annotations

import base64
import json
from typing import Any

SIGNATURE = "c2lnbmF0dXJlLXRoYXQtbm9ib2R5LWNoZWNrcw"


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token_of(payload: bytes, *, header: bytes = b'{"alg":"HS256","typ":"JWT"}', signature: str = SIGNATURE) -> str:
    """Give a token with that payload, be it sensible or not."""
    return f"{base64url(header)}.{base64url(payload)}.{signature}"


def mint(exp: float | None = None, **claims: Any) -> str:
    """Give a token with these claims."""
    if exp is not None:
        claims["exp"] = exp
    return token_of(json.dumps(claims).encode())
