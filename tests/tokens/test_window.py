"""The windows of a token's life."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from animus.tokens.token import Token
from animus.tokens.window import LONGEST_LIFE, Phase, Window, margin_of

WALL, MONOTONIC = 1795600000.0, 5000.0


def window(life: float, *, skew: float = 0.0, lived: float = 0.0) -> Window:
    token = Token("t", WALL + life - lived + skew, skew, WALL - lived)
    return Window.of(token, wall=WALL, monotonic=MONOTONIC)


@pytest.mark.parametrize(("life", "margin"), [(1, 0.25), (10, 2.5), (60, 15), (239, 59.75), (240, 60), (3600, 60), (86400, 60)])
def test_renewal_begins_a_minute_or_a_quarter_of_a_short_life_before_the_end(life: float, margin: float) -> None:
    assert margin_of(life) == margin
    w = window(life)
    assert w.renew_at == MONOTONIC + life - margin
    assert w.over_at == MONOTONIC + life


@pytest.mark.parametrize("life", [1, 10, 60, 3600])
def test_phases_in_order(life: float) -> None:
    w = window(life)

    def after(seconds: float) -> Phase:
        return w.phase(wall=WALL + seconds, monotonic=MONOTONIC + seconds)

    begin = life - margin_of(life)
    assert [after(0), after(begin - 0.01), after(begin), after(life - 0.01), after(life), after(life * 9)] == [
        Phase.FRESH, Phase.FRESH, Phase.RENEW, Phase.RENEW, Phase.OVER, Phase.OVER,
    ]  # fmt: skip


def test_the_wall_clock_alone_ends_it_after_the_machine_slept() -> None:
    w = window(3600)
    assert w.phase(wall=WALL + 3600, monotonic=MONOTONIC + 1) is Phase.OVER
    assert w.phase(wall=WALL + 3545, monotonic=MONOTONIC + 1) is Phase.RENEW


def test_the_monotonic_clock_alone_ends_it_after_the_wall_clock_was_put_back() -> None:
    w = window(3600)
    assert w.phase(wall=WALL - 86400, monotonic=MONOTONIC + 3600) is Phase.OVER
    assert w.phase(wall=WALL - 86400, monotonic=MONOTONIC + 10) is Phase.FRESH


def test_the_issuers_skew_is_taken_out() -> None:
    assert window(3600, skew=315_360_000.0) == window(3600)


def test_a_stored_token_keeps_the_margin_of_its_whole_life() -> None:
    w = window(3600, lived=3500)
    assert w.over_at == MONOTONIC + 100
    assert w.renew_at == MONOTONIC + 40


@pytest.mark.parametrize("put_back", [10, 3600, 86400])
def test_a_stored_token_that_seems_to_come_from_the_future_lives_no_longer_than_it_ever_did(put_back: float) -> None:
    w = window(3600, lived=-put_back)
    assert w.over_at == MONOTONIC + 3600
    assert w.over_at_wall == WALL + 3600


def test_a_token_without_known_end_is_fresh_for_ever() -> None:
    w = Window.of(Token("opaque"), wall=WALL, monotonic=MONOTONIC)
    assert w.phase(wall=WALL * 100, monotonic=MONOTONIC * 1e9) is Phase.FRESH


@pytest.mark.parametrize("exp", [WALL * 1000, 253402300799.0, 1e300])
def test_an_absurd_end_is_capped(exp: float) -> None:
    w = Window.of(Token("t", exp), wall=WALL, monotonic=MONOTONIC)
    assert w.over_at == MONOTONIC + LONGEST_LIFE
    assert w.over_at_wall == WALL + LONGEST_LIFE


@given(st.floats(-1e6, 1e10), st.floats(0, 1e6), st.floats(-1e9, 1e9), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_no_token_is_ever_handed_out_beyond_its_end(life: float, lived: float, skew: float, jump: float, passed: float) -> None:
    w = window(life, lived=lived, skew=skew)
    assert w.renew_at <= w.over_at
    if passed >= life - lived + 1e-3:
        assert w.phase(wall=WALL + jump, monotonic=MONOTONIC + passed) is Phase.OVER
    if jump >= life - lived + 1e-3:
        assert w.phase(wall=WALL + jump, monotonic=MONOTONIC + passed) is Phase.OVER
