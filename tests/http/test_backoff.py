"""How long to wait before a repetition."""

from __future__ import annotations

import random

from hypothesis import given, strategies as st

from animus.http.backoff import full_jitter


class Edge(random.Random):
    """Chance that always gives one end."""

    def __init__(self, highest: bool) -> None:
        super().__init__()
        self._highest = highest

    def uniform(self, a: float, b: float) -> float:
        return b if self._highest else a


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    assert [full_jitter(n, base=0.5, cap=8.0, rng=Edge(True)) for n in range(1, 8)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert full_jitter(5, base=0.5, cap=8.0, rng=Edge(False)) == 0.0


@given(st.integers(1, 10**6), st.floats(0, 100), st.floats(0, 1000), st.integers())
def test_it_is_never_negative_nor_beyond_the_cap(repeat: int, base: float, cap: float, seed: int) -> None:
    assert 0 <= full_jitter(repeat, base=base, cap=cap, rng=random.Random(seed)) <= cap
