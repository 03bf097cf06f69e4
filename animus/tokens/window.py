"""The windows of a token's life: fresh, then to be renewed, then over."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from animus.tokens.token import Token

MARGIN = 60.0  # seconds before its end at which a token is renewed
_SHARE = 4  # a life shorter than MARGIN * _SHARE keeps a quarter of itself as margin
LONGEST_LIFE = 366 * 86400.0  # no claim is believed beyond: exp in milliseconds, year 9999


class Phase(enum.Enum):
    """Where in its life a token is."""

    FRESH = "fresh"
    RENEW = "renew"
    OVER = "over"


class Window(NamedTuple):
    """When a token is to be renewed and when it is over, on both clocks of this machine.

    Either clock may end it. The wall clock sees the time a suspended machine slept; the monotonic one is not fooled
    when somebody puts the wall clock back.

    Attributes:
        renew_at, over_at: Times on the monotonic clock.
        renew_at_wall, over_at_wall: Unix seconds on our wall clock, the issuer's skew taken out.
    """

    renew_at: float
    over_at: float
    renew_at_wall: float
    over_at_wall: float

    @classmethod
    def of(cls, token: Token, *, wall: float, monotonic: float) -> Window:
        """Give the windows of ``token``, looked at now.

        Its life is measured from when it was received: a provider may hand out one that has lived for long. A token
        without a known expiry is fresh for ever.
        """
        until = token.usable_until
        if until is None:
            return cls(math.inf, math.inf, math.inf, math.inf)
        life = min(until - (wall if token.issued_at is None else token.issued_at), LONGEST_LIFE)
        # never longer than when it came: one out of a store seems to come from the future when the clock was put back meanwhile
        left = min(until - wall, life)
        margin = margin_of(life)
        return cls(monotonic + left - margin, monotonic + left, wall + left - margin, wall + left)

    def phase(self, *, wall: float, monotonic: float) -> Phase:
        """Give where in its life the token is."""
        if monotonic >= self.over_at or wall >= self.over_at_wall:
            return Phase.OVER
        if monotonic >= self.renew_at or wall >= self.renew_at_wall:
            return Phase.RENEW
        return Phase.FRESH


def margin_of(life: float) -> float:
    """Give how many seconds before its end a token with so long a life is renewed.

    A fixed margin would have a short-lived token renewed with every call.
    """
    return MARGIN if life >= MARGIN * _SHARE else max(life, 0.0) / _SHARE
