"""What a token store is."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from animus import _strict_json
from animus._secret import Secret
from animus.tokens.token import LiveKitDetails, Token, checked_text, fits_header


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as a store keeps it: with wall time, which means something to other processes too.

    Attributes:
        value: The token; hidden in ``repr``.
        expires_at, skew, issued_at, livekit: As in :class:`~animus.tokens.token.Token`.

    Raises:
        TypeError: ``value`` is no text.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    skew: float = 0.0
    issued_at: float | None = None
    livekit: dict[str, LiveKitDetails] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", Secret(checked_text("StoredToken.value", self.value)))

    @classmethod
    def of(cls, token: Token) -> StoredToken:
        """Give what is stored of ``token``."""
        return cls(token.value, token.expires_at, token.skew, token.issued_at, token.livekit)

    def token(self) -> Token:
        """Give the token."""
        return Token(self.value, self.expires_at, self.skew, self.issued_at, self.livekit)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What of it must be shown nowhere."""
        return (self.value, *(details.token for details in self.livekit.values()))

    def to_json(self) -> str:
        """Give the JSON text that :meth:`from_json` reads. It contains the token: only for where that may rest."""
        livekit = {context: {"url": d.url, "token": d.token, "expires_at": d.expires_at} for context, d in self.livekit.items()}
        return json.dumps(
            {"value": self.value, "expires_at": self.expires_at, "skew": self.skew, "issued_at": self.issued_at, "livekit": livekit}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> StoredToken | None:
        """Give the token in a JSON text, or None if it is not one of :meth:`to_json`: what rests somewhere can be damaged.

        Bytes are read as UTF-8. A token with a character that cannot stand in a header is none.
        """
        try:
            data = _strict_json.loads(text if isinstance(text, str) else text.decode())
            livekit = {
                str(context): LiveKitDetails(_text(d["url"]), _token(d["token"]), _time(d["expires_at"]))
                for context, d in data["livekit"].items()
            }
            skew = _time(data["skew"])
            return cls(_token(data["value"]), _time(data["expires_at"]), 0.0 if skew is None else skew, _time(data["issued_at"]), livekit)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@runtime_checkable
class TokenStore(Protocol):
    """Where tokens rest between requests, processes or machines. Any object with these members is one; see also :class:`FailureStore`.

    Keys are hashes (see :func:`store_key`): a store needs no care with their characters. Threads: any, at once. What a
    store raises never fails a request: it is logged, and the source is asked instead.
    """

    def load(self, key: str) -> StoredToken | None:
        """Give what was saved last under ``key``, or None; be it over or not."""

    def save(self, key: str, stored: StoredToken) -> None:
        """Keep ``stored`` under ``key`` instead of what is there."""

    def delete(self, key: str) -> None:
        """Forget what is under ``key``; nothing there is fine."""

    def lock(self, key: str, timeout: float) -> AbstractContextManager[Any]:
        """Give a lock, among all who use the store, that is held while a new token for ``key`` is fetched.

        It may be left in another thread than it was entered in: for a fetch that hangs, somebody else does it.

        Args:
            timeout: Most seconds to wait for it.

        Raises:
            TimeoutError: on being called or entered: somebody else has held it all the time.
        """


@runtime_checkable
class FailureStore(Protocol):
    """What a :class:`TokenStore` may have besides: a place where all who use it find that the source has just failed.

    Without it each of them asks a source that is down for itself, one after the other. A text is kept beside the token of its
    key, and ``delete()`` takes both away. There is no secret in it.
    """

    def load_failure(self, key: str) -> str | None:
        """Give what was saved last under ``key``, or None if its time is over."""

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        """Keep ``text`` under ``key`` for so many seconds (about one), and no longer."""


def store_key(fingerprint: str, identity: str | None) -> str:
    """Give the key for the tokens of one source and one identity; neither can be read from it."""
    return hashlib.sha256(json.dumps([fingerprint, identity]).encode()).hexdigest()


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _token(value: Any) -> str:
    text = _text(value)
    if not fits_header(text):  # and an error about that would show it
        raise ValueError
    return text


def _time(value: Any) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)):
        raise TypeError
    return value
