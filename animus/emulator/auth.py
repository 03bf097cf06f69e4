"""The tokens the emulator hands out: JWTs signed by itself, with a life, and revocable."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import dataclass
from typing import Any, Literal

from animus import _fork
from animus.emulator.wire_json import encode_json

_HEADER = b'{"alg":"HS256","typ":"JWT"}'


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unbase64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of the emulator says: whose it is, its id, what it is for and until when (seconds since 1970; None: for ever)."""

    user: str
    token_id: str
    purpose: str
    expires_at: float | None


class TokenBook:
    """Mints tokens, reads them, and knows which are revoked. Thread-safe; a forked child has the same book."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._key = secrets.token_bytes(32)
        self._issued: dict[str, str] = {}  # token id -> user
        self._revoked: set[str] = set()
        _fork.register(self)

    @property
    def issued(self) -> int:
        """How many API tokens were minted since the last reset."""
        return len(self._issued)

    def mint(self, user: str, *, now: float, lifetime: float | None, purpose: Literal["api", "livekit"] = "api") -> str:
        """Give a new JWT (HS256) with the claims ``iss sub jti iat exp purpose``.

        ``lifetime`` is in seconds. A whole number counts from the whole second, as the platform's own tokens do; None leaves ``exp`` out.
        """
        with self._lock:
            token_id = f"token-{len(self._issued) + 1}"
            if purpose == "api":
                self._issued[token_id] = user
            else:
                token_id = f"livekit-{secrets.token_hex(4)}"
            key = self._key
        claims: dict[str, Any] = {"iss": "animus-emulator", "sub": user, "jti": token_id, "purpose": purpose, "iat": int(now)}
        if lifetime is not None:
            claims["exp"] = int(now) + lifetime if isinstance(lifetime, int) else round(now + lifetime, 3)
        signed = f"{_base64url(_HEADER)}.{_base64url(encode_json(claims))}"
        return f"{signed}.{_base64url(_sign(key, signed))}"

    def read(self, token: str) -> Claims | None:
        """Give the claims of a token that this book has minted since the last reset, be it over or revoked; None for any other text."""
        signed, _, signature = token.rpartition(".")
        try:
            genuine = hmac.compare_digest(_sign(self._key, signed), _unbase64url(signature))
            claims = json.loads(_unbase64url(signed.partition(".")[2])) if genuine else None
        except (ValueError, binascii.Error):
            return None
        if claims is None:
            return None
        return Claims(claims["sub"], claims["jti"], claims["purpose"], claims.get("exp"))

    def refusal(self, claims: Claims, now: float) -> str | None:
        """Say why the API must not accept a token of the book, or give None if it may."""
        if claims.purpose != "api":
            return "This token is not for the API"
        if claims.token_id in self._revoked:
            return "The token has been revoked"
        if claims.expires_at is not None and claims.expires_at <= now:
            return "The token has expired"
        return None

    def revoke(self, user: str | None = None) -> int:
        """Revoke all tokens minted so far, or those of one user; give how many were not revoked before."""
        with self._lock:
            chosen = {token_id for token_id, owner in self._issued.items() if user is None or owner == user}
            fresh = len(chosen - self._revoked)
            self._revoked |= chosen
            return fresh

    def reset(self) -> None:
        """Begin anew: no token minted before is known any more."""
        with self._lock:
            self._key = secrets.token_bytes(32)
            self._issued = {}
            self._revoked = set()

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<TokenBook {len(self._issued)} issued, {len(self._revoked)} revoked>"


def _sign(key: bytes, signed: str) -> bytes:
    return hmac.new(key, signed.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()
