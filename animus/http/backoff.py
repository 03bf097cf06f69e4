"""How long to wait before an attempt is repeated."""

from __future__ import annotations

import random

# the ceiling doubles with each attempt; beyond this exponent every cap is reached, and floats overflow
_LARGEST_EXPONENT = 30


def full_jitter(repeat: int, *, base: float, cap: float, rng: random.Random) -> float:
    """Give seconds to wait before the ``repeat``-th repetition (from 1): anything up to a doubling ceiling.

    Full jitter spreads the callers that failed together best (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    ceiling = min(cap, base * 2.0 ** min(repeat - 1, _LARGEST_EXPONENT))
    return rng.uniform(0.0, ceiling)
