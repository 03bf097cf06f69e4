"""A store that breaks a promise is caught by the suite, which says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from animus.stores.protocol import StoredToken, TokenStore
from animus.testing.suites import TokenStoreSuite, checks
from animus.testing.suites.checks import close_it
from animus.testing.suites.child import needs_fork
from tests.testing import broken_stores as broken

GIVEN_UP = "test_a_lock_that_is_taken_is_given_up_in_time"
FAILURE = "test_a_failure_is_kept_beside_the_token"
TRAVELS = "test_it_travels_without_tokens_or_says_why_not"


class Suite(TokenStoreSuite):
    """On one kind of store, in a file."""

    frees_within = 0.3

    def __init__(self, kind: Callable[[str], TokenStore], path: str) -> None:
        self.kind, self.path = kind, path

    def make_store(self) -> TokenStore:
        return self.kind(self.path)

    def check(self, test: str, **given: Any) -> None:
        """Have the store pass one of the tests."""
        store = self.make_store()
        try:
            getattr(self, test)(store, **given)
        finally:
            close_it(store)


@pytest.mark.parametrize(
    ("kind", "test", "said"),
    [
        (lambda path: object(), "test_it_has_what_a_store_has", r"load\(\), save\(\), delete\(\) and lock\(\)"),
        (broken.LosesLiveKit, "test_what_was_saved_is_read_back", "not the livekit that was saved last"),
        (broken.GivesText, "test_what_was_saved_is_read_back", "a StoredToken or None, not str"),
        (broken.MixesKeys, "test_keys_are_kept_apart", "users get each other's tokens"),
        (broken.RaisesForTheUnknown, "test_nothing_is_there_at_first", r"load\(\) of an unknown key gives None; it raised KeyError"),
        (broken.CannotDeleteNothing, "test_what_was_deleted_is_gone", "deleting what is not there is fine; it raised KeyError"),
        (broken.NotShared, "test_another_object_for_the_same_place_sees_it", "or say shared = False"),
        (broken.DeletesFirst, "test_threads_do_not_get_into_each_others_way", "replace it in one step, do not delete it first"),
        (broken.OfOneThread, "test_threads_do_not_get_into_each_others_way", "any thread may use a store, at any time; it raised"),
        (broken.SavesFailuresOnly, FAILURE, "has save_failure but no load_failure"),
        (broken.Misspelt, FAILURE, "has load_failures, save_failures but no load_failure, save_failure"),
        (broken.FailureTakesTheToken, "test_a_failure_leaves_the_token_alone", r"save_failure\(\) takes the token away"),
        (broken.FailureStays, FAILURE, r"delete\(\) takes both away"),
        (broken.NoLock, "test_the_lock_of_a_key_is_held_by_one", "held the lock of one key at once"),
        (broken.LockOfAnObject, "test_the_lock_of_a_key_is_held_by_one", "held the lock of one key at once"),
        (broken.OneLock, "test_locks_of_different_keys_do_not_meet", "keeps out who wants that of another: TimeoutError"),
        (broken.GivesUpAtOnce, "test_who_waits_for_a_lock_gets_it", r"told to wait 20 s .* gave up: TimeoutError"),
        (broken.Swallows, "test_a_lock_is_free_again_whatever_happens_inside", "was swallowed: it has to come out"),
        (broken.KeptAfterAnException, "test_a_lock_is_free_again_whatever_happens_inside", "leave it in a finally clause"),
        (broken.ShortLease, "test_a_lock_is_kept_for_as_long_as_its_holder_needs_it", "a lease is longer than a fetch, or renewed"),
        (broken.ShowsLiveKit, "test_nothing_shows_a_token", "secret 1 is shown behind"),
        (broken.CarriesTokens, TRAVELS, "secret 0 is shown behind"),
        (broken.Riddle, TRAVELS, r"cannot pickle '_thread.lock' object: that is a riddle .* Write __reduce__\(\)"),
        (broken.RefusesOtherwise, TRAVELS, "with a TypeError, not with RuntimeError: no"),
    ],
)
def test_it_says_what_is_wrong(kind: Any, test: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        Suite(kind, str(tmp_path / "tokens")).check(test)


def test_it_says_which_tokens_are_not_kept(tmp_path: Path) -> None:
    over = StoredToken("over", 1.0)
    with pytest.raises(AssertionError, match="keep every token, whatever its end"):
        Suite(broken.DropsWhatIsOver, str(tmp_path / "tokens")).check("test_all_sorts_of_tokens_are_kept", stored=over)


def test_it_says_that_a_failure_is_never_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "PATIENCE", 0.1)
    with pytest.raises(AssertionError, match=r"gives None when its seconds are over; 0.1 s have not been enough"):
        Suite(broken.FailureForEver, str(tmp_path / "tokens")).check("test_a_failure_is_over_in_time")


@pytest.mark.parametrize(
    ("kind", "timeout", "said"),
    [
        (broken.NoLock, 0.05, "another client got a lock that is held"),
        (broken.LockOfAnObject, 0, "another client got a lock that is held"),
        (broken.GivesFalse, 0, "or gives something instead of a TimeoutError"),
        (broken.OtherError, 0, "raises a TimeoutError, not RuntimeError: busy"),
        (broken.Stuck, 0.05, "told to wait 0.05 s at most, .* it ignores its timeout"),
        (broken.StuckWhenToldNone, 0, "told to wait 0 s at most, .* it ignores its timeout"),
    ],
)
def test_it_says_what_is_wrong_with_a_lock(kind: Any, timeout: float, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        Suite(kind, str(tmp_path / "tokens")).check(GIVEN_UP, timeout=timeout)


@needs_fork
@pytest.mark.parametrize(
    ("kind", "test", "said"),
    [
        (broken.LockOfAProcess, "test_a_lock_keeps_other_processes_out", "another process got a lock that is held"),
        (broken.Endless, "test_a_holder_that_dies_does_not_hold_it_for_ever", "is not free 0.3 s after its holder was killed"),
        (broken.OfOneProcess, "test_a_forked_child_goes_on_with_it", "in a forked child: .*; it raised ConnectionError: in a fork"),
    ],
)
def test_it_says_what_is_wrong_among_processes(kind: Any, test: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=said):
        Suite(kind, str(tmp_path / "tokens")).check(test)


@needs_fork
def test_it_says_that_a_slow_holder_frees_the_lock_of_the_next(tmp_path: Path) -> None:
    suite = Suite(broken.FreesTheNext, str(tmp_path / "tokens"))
    suite.frees_within = 3.0
    with pytest.raises(AssertionError, match="a slow holder freed the lock of the next one"):
        suite.check("test_a_holder_that_was_slow_does_not_free_the_lock_of_the_next")


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_a_lock_may_raise_when_it_is_called(timeout: float, tmp_path: Path) -> None:
    Suite(broken.RaisesWhenCalled, str(tmp_path / "tokens")).check(GIVEN_UP, timeout=timeout)


@pytest.mark.parametrize("test", [FAILURE, "test_a_failure_leaves_the_token_alone", "test_a_failure_is_over_in_time"])
def test_failures_are_kept_by_a_sound_store(test: str, tmp_path: Path) -> None:
    Suite(broken.Sound, str(tmp_path / "tokens")).check(test)
