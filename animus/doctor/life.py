"""How long the token lives."""

from __future__ import annotations

from animus.doctor.finding import Finding, failed, passed, skipped
from animus.tokens.token import Token
from animus.tokens.window import LONGEST_LIFE, margin_of

CHECK = "token.life"
_SHORT = 60.0
_LONG = 86400.0


def check_life(token: Token | None, now: float) -> Finding:
    """Tell when the token ends and when it will be renewed; ``now`` is our wall clock in Unix seconds."""
    if token is None:
        return skipped(CHECK, "there is no usable token")
    until = token.usable_until
    if until is None:
        return passed(CHECK, "no end is known: it is used until the API refuses it")
    left = until - now
    if left > LONGEST_LIFE:
        return failed(
            CHECK,
            f"the token's end is {left / LONGEST_LIFE:.0f} years or more away",
            reason="life_too_long",
            advice="exp (and expiresIn) count seconds, not milliseconds; no life beyond a year is believed",
        )
    text = f"{left:.0f} s left, renewed {margin_of(left):.0f} s before its end"
    if left < _SHORT:
        return passed(CHECK, text, "So short a life makes for many requests to the provider: some minutes do better")
    if left > _LONG:
        return passed(CHECK, text, "Tokens are meant to live for minutes or hours: one that is stolen works as long as that")
    return passed(CHECK, text)
