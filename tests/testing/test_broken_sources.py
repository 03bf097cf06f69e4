"""A source that breaks a promise is caught by the suite, which says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from animus.errors import TokenSourceError
from animus.sources.protocol import TokenSource
from animus.testing.suites import TokenSourceSuite
from tests.testing import broken_sources as broken

DEADLINE = "test_a_deadline_ends_in_a_token_or_a_reason"
ELSEWHERE = "test_its_fingerprint_is_the_same_in_every_process"
EQUAL = "test_equal_configuration_has_equal_fingerprints"
FAILS = "test_a_source_that_fails_says_why_in_time_and_shows_no_secret"
HIDES = "test_a_failure_shows_no_secret"
MEMBERS = "test_optional_members_are_what_they_should_be"
TRAVELS = "test_it_travels_without_secrets_or_says_why_not"
END = "test_it_can_be_closed_twice_and_used_again"


class Suite(TokenSourceSuite):
    """On one kind of source."""

    secrets = (broken.SECRET,)

    def __init__(self, kind: Callable[[], TokenSource]) -> None:
        self.kind = kind

    def make_source(self) -> TokenSource:
        return self.kind()

    def make_failing_source(self) -> TokenSource:
        return self.kind()

    def check(self, test: str, **given: Any) -> None:
        """Have the source pass one of the tests."""
        getattr(self, test)(self.make_source(), **given)


@pytest.mark.parametrize(
    ("kind", "test", "said"),
    [
        (object, "test_it_has_what_a_source_has", r"a method fetch\(\) and an attribute or property fingerprint"),
        (broken.NoToken, "test_it_gives_a_usable_token", "no token where one is documented"),
        (broken.Once, "test_it_gives_a_token_again", "the token source raised RuntimeError: asked before"),
        (broken.NotForce, "test_it_gives_a_token_again", "the token source raised AssertionError"),
        (broken.OfOneThread, "test_it_can_be_asked_in_any_thread", "can be asked in any thread; it raised TokenSourceError"),
        (broken.Telling, HIDES, "secret 0 is shown behind"),
        (broken.TellingBehind, HIDES, "secret 1 is shown behind"),
        (broken.TellingInHeaders, HIDES, "secret 1 is shown behind"),
        (broken.ByNumber, EQUAL, "two sources with one configuration have two fingerprints"),
        (broken.Blank, EQUAL, "a blank fingerprint"),
        (broken.AMethod, EQUAL, "fingerprint is a text, not a method: a method that gives it is a @property"),
        (broken.ByHash, ELSEWHERE, r"in another process the fingerprint is another: .* a hash\(\)"),
        (broken.ByProcess, ELSEWHERE, "in another process the fingerprint is another"),
        (broken.ByAddress, ELSEWHERE, "there is a memory address in the fingerprint"),
        (broken.Learning, "test_its_fingerprint_stays", "a fetch has changed the fingerprint"),
        (broken.Shown, "test_nothing_shows_a_secret", "secret 0 is shown behind '<Shown '"),
        (broken.Kept, TRAVELS, "secret 0 is shown behind"),
        (broken.Riddle, TRAVELS, r"cannot pickle '_thread.lock' object: that is a riddle .* Write __reduce__\(\)"),
        (broken.RefusesOtherwise, TRAVELS, "with a TypeError, not with RuntimeError: no"),
        (
            broken.RefusesCopies,
            "test_a_copy_is_a_source",
            r"define __copy__\(\) and __deepcopy__\(\), .*; it raised TypeError: it holds a key",
        ),
        (broken.BackgroundText, MEMBERS, "background is True or False"),
        (broken.TimeoutTrue, MEMBERS, "timeout is seconds: a number, more than 0"),
        (broken.ClosedForEver, END, "a source that was closed can be asked; it raised"),
        (broken.ClosedOnce, END, "a source can be closed twice; it raised RuntimeError: closed already"),
        (broken.ClosedWhenAsked, END, "a source that was never asked can be closed; it raised AttributeError"),
    ],
)
def test_it_says_what_is_wrong(kind: type[Any], test: str, said: str) -> None:
    with pytest.raises((AssertionError, TokenSourceError), match=said) as caught:
        Suite(kind).check(test)
    assert broken.TOKEN not in str(caught.value)
    assert broken.SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "left", "said"),
    [
        (broken.NeverLate, 0.05, r"with 0.05 s left, fetch\(\) takes 2 s longer: give up after request.left seconds"),
        (broken.GarbageWhenLate, -1.0, r"fetch\(\) gives what is no token: raise TokenSourceError\(…, reason=\"timeout\"\)"),
        (broken.OtherErrorWhenLate, -1.0, r"raises TokenSourceError\(…, reason=\"timeout\"\), not TimeoutError: late"),
        (broken.OwnReason, -1.0, "'too late!' is not one of the reasons: bad_claims, .* wrong_shape"),
    ],
)
def test_it_says_what_is_wrong_without_time(kind: type[Any], left: float, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        Suite(kind).check(DEADLINE, left=left)


@pytest.mark.parametrize("kind", [broken.Sound, broken.LeftBehind])
def test_a_source_gives_up_or_can_be_left_behind(kind: type[Any]) -> None:
    Suite(kind).check(DEADLINE, left=0.05)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (broken.Sound, r"make_failing_source\(\) gives a source that gets a token"),
        (broken.RefusedWithKey, "secret 0 is shown behind"),
        (broken.Hangs, r"with 1 s left, fetch\(\) takes 2 s longer"),
    ],
)
def test_it_says_what_is_wrong_with_a_failure(kind: type[Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        getattr(Suite(kind), FAILS)()


def test_a_sound_failure_passes() -> None:
    getattr(Suite(broken.Refused), FAILS)()
