"""The token as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from animus._secret import Secret


@dataclass(frozen=True, slots=True)
class LiveKitDetails:
    """Where a realtime voice room is, and the token for it (never sent to the API).

    Attributes:
        url: The room server, ``wss://…``.
        token: Its token; hidden in ``repr``.
        expires_at: Unix seconds, the token's ``exp``; None if it has none.
    """

    url: str
    token: str = field(repr=False)
    expires_at: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", Secret(self.token))


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
    """

    value: str = field(repr=False)
    expires_at: float | None = None
    skew: float = 0.0
    issued_at: float | None = None
    livekit: dict[str, LiveKitDetails] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", Secret(self.value))

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
