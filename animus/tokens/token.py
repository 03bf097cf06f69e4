"""The token as a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from animus._secret import Secret

_VISIBLE_ASCII = re.compile(r"[!-~]+")


def fits_header(text: str) -> bool:
    """Tell whether ``text`` can stand behind ``Bearer``: visible ASCII, of which RFC 6750 section 2.1 names a part."""
    return _VISIBLE_ASCII.fullmatch(text) is not None


def checked_text(field: str, value: object) -> str:
    """Give ``value`` if it is a text.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, str):  # else str() would make a token of None
        raise TypeError(f"{field} must be a text, not {'None' if value is None else f'a {type(value).__name__}'}")
    return value


def _check_seconds(field: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{field} must be a number of seconds, not a {type(value).__name__}")
    try:
        float(value)
    except OverflowError:
        raise ValueError(f"{field} must be a number of seconds, not one of {len(str(value))} digits") from None


@dataclass(frozen=True, slots=True)
class LiveKitDetails:
    """Where a realtime voice room is, and the token for it (never sent to the API).

    Attributes:
        url: The room server, ``wss://…``.
        token: Its token; hidden in ``repr``.
        expires_at: Unix seconds, the token's ``exp``; None if it has none.

    Raises:
        TypeError, ValueError: a field is of another type, or a number has too many digits.
    """

    url: str
    token: str = field(repr=False)
    expires_at: float | None = None

    def __post_init__(self) -> None:
        checked_text("LiveKitDetails.url", self.url)
        object.__setattr__(self, "token", Secret(checked_text("LiveKitDetails.token", self.token)))
        _check_seconds("LiveKitDetails.expires_at", self.expires_at)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and its life. Immutable; shows its text nowhere but in ``value``.

    Attributes:
        value: The text that goes behind ``Bearer``.
        expires_at: Unix seconds on the *issuer's* clock (the ``exp`` claim); None: no expiry is known, the token is
            kept until it is refused or cleared.
        skew: Seconds the issuer's clock is ahead of ours (from the ``Date`` header), 0.0 if unknown.
        issued_at: Unix seconds on our clock when the token was received; None if unknown.
        livekit: Realtime details by context (``"voice"``), empty if the provider sent none.

    Raises:
        TypeError, ValueError: a field is of another type, or a number has too many digits.
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    skew: float = 0.0
    issued_at: float | None = None
    livekit: dict[str, LiveKitDetails] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", Secret(checked_text("Token.value", self.value)))
        for name in ("expires_at", "skew", "issued_at"):
            _check_seconds(f"Token.{name}", getattr(self, name))
        if not isinstance(self.livekit, Mapping) or not all(isinstance(each, LiveKitDetails) for each in self.livekit.values()):
            raise TypeError("Token.livekit must be a mapping of contexts to LiveKitDetails")

    @property
    def usable_until(self) -> float | None:
        """Unix seconds on *our* clock at which the token is over; None if that is not known."""
        return None if self.expires_at is None else self.expires_at - self.skew

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> Any:
        raise TypeError("a Token is not pickled; pickle the source it came from")
