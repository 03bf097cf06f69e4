"""Waiting for a job, looked at by functions instead of calls: what ends the wait, when, and what is kept."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus import (
    ApiConnectionError,
    ApiError,
    ApiTimeoutError,
    ConfigurationError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Timeouts,
    TokenSourceError,
)
from animus.models.media import MediaAnalysis
from animus.resources.jobs import JobWait, Looking
from animus.resources.pace import Pace
from animus.resources.waits import OpenWaits
from animus.testing import ManualClock
from animus.transport.call import Cancellation
from animus.transport.session import AnimusSession
from tests.wired import Heard

ENDLESS = ["PROCESSING"] * 1000


def seen(status: str | None, percent: float | None = None) -> MediaAnalysis:
    return MediaAnalysis(job_id="j", status=status, percent_complete=percent)


class Wait:
    """One wait, whose looks see what a list says: a status, a job, or an exception."""

    def __init__(
        self, *sights: Any, retry: int = 2, timeouts: Timeouts | None = None, clock: ManualClock | None = None, **pace: Any
    ) -> None:
        self.clock = clock or ManualClock()
        self.session = AnimusSession("http://127.0.0.1:1/v3", None, clock=self.clock)
        self.heard = Heard(self.session.emitter)
        self.limits: list[float | None] = []
        self.took = 0.0  # seconds of each look
        self.cancellation = Cancellation()
        self._sights: Iterator[Any] = iter(sights)
        self._pace = Pace(**pace)
        self._retry = RetryPolicy(repeats=retry)
        self._timeouts = timeouts or Timeouts()

    def _look(self, limits: Timeouts) -> MediaAnalysis:
        self.limits.append(limits.deadline)
        self.clock.advance(self.took)
        sight = next(self._sights)
        if isinstance(sight, Exception):
            try:
                raise sight
            finally:
                del sight  # or error and frame would hold each other
        return sight if isinstance(sight, MediaAnalysis) else seen(sight)

    def run(self, first: MediaAnalysis | None = None) -> MediaAnalysis:
        looking = Looking(kind="test", look=self._look, reason=lambda job: "it broke", hint="Go on")
        return JobWait(
            self.session,
            looking,
            "j",
            first or MediaAnalysis(job_id="j"),
            pace=self._pace,
            timeouts=self._timeouts,
            retry=self._retry,
            cancellation=self.cancellation,
        ).run(seen=first is not None)


# ---- how it ends ---------------------------------------------------------------------------------------


def test_the_first_look_is_at_once_and_then_every_five_seconds() -> None:
    wait = Wait("CREATED", "PROCESSING", "COMPLETED")
    assert wait.run().status == "COMPLETED"
    assert wait.clock.waits == [5.0, 5.0]


@pytest.mark.parametrize("status", ["COMPLETED", "completed", "Succeeded"])
def test_a_beginning_that_is_the_end_is_used(status: str) -> None:
    wait = Wait()
    first = seen(status)
    assert wait.run(first) is first
    assert wait.limits == []
    assert wait.heard.names == ["job_progress", "job_complete"]


@pytest.mark.parametrize("status", ["FAILED", "failed", "ERROR", "CANCELED", "Cancelled"])
@pytest.mark.parametrize("at_once", [True, False])
def test_failure_and_cancellation_are_raised_with_the_job(status: str, at_once: bool) -> None:
    wait = Wait(status)
    with pytest.raises(JobFailedError, match=rf"the test job j ended as '{status}': it broke") as caught:
        wait.run(seen(status) if at_once else None)
    assert caught.value.job.status == status


def test_the_time_limit_is_raised_with_the_job_and_what_to_do() -> None:
    wait = Wait(*[seen("PROCESSING", n) for n in range(100)])
    with pytest.raises(JobTimeoutError, match=r"not done within 300 s \(last seen: 'PROCESSING', 59 %\)\. Go on") as caught:
        wait.run()
    assert caught.value.job.percent == 59
    assert len(wait.limits) == 60, "as many looks as JavaScript makes"


def test_no_limit_means_none() -> None:
    wait = Wait(*ENDLESS, "COMPLETED", timeout=None)
    wait.run()
    assert sum(wait.clock.waits) == 5000  # type: ignore[arg-type]
    assert wait.limits == [None] * 1001


def test_no_time_means_one_look() -> None:
    assert Wait("COMPLETED", timeout=0).run().status == "COMPLETED"
    wait = Wait("PROCESSING", timeout=0)
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.clock.waits == []


def test_a_short_limit_is_looked_at_more_often() -> None:
    wait = Wait(*ENDLESS, timeout=10)
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.clock.waits == [1.0] * 9


def test_an_interval_that_is_given_is_kept() -> None:
    wait = Wait(*ENDLESS, timeout=10, interval=4)
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.clock.waits == [4, 4]


def test_pauses_may_grow_up_to_a_longest() -> None:
    wait = Wait(*["PROCESSING"] * 5, "COMPLETED", interval=2, growth=2, longest=10)
    wait.run()
    assert wait.clock.waits == [2, 4, 8, 10, 10]


def test_looks_count_against_the_limit_and_are_kept_within_it() -> None:
    wait = Wait(*ENDLESS, timeout=100, interval=10)
    wait.took = 15.0
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.limits == [100, 75, 50, 25]


def test_a_deadline_of_the_single_call_stays_if_it_is_less() -> None:
    wait = Wait("PROCESSING", "COMPLETED", timeout=8, interval=5, timeouts=Timeouts(deadline=6))
    wait.run()
    assert wait.limits == [6, 3]


def test_the_last_look_has_at_least_a_second() -> None:
    wait = Wait("PROCESSING", "COMPLETED", timeout=10.5, interval=10)
    wait.run()
    assert wait.limits == [10.5, 1.0]


def test_a_stretched_clock_stretches_the_limit() -> None:
    class Stretched(ManualClock):
        def wait(self, event: threading.Event, timeout: float | None) -> bool:
            return super().wait(event, None if timeout is None else timeout * 0.01)

    wait = Wait(*ENDLESS, clock=Stretched())
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert len(wait.limits) == 60


@given(st.floats(0, 1000), st.floats(0.01, 1000), st.floats(0, 50))
def test_no_wait_goes_beyond_its_limit(timeout: float, interval: float, took: float) -> None:
    wait = Wait(*["PROCESSING"] * 100_001, timeout=timeout, interval=max(interval, timeout / 500))
    wait.took = took
    begun = wait.clock.monotonic()
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.clock.monotonic() - begun <= timeout + took + 1e-6


# ---- unknown states ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [None, "", "SIMMERING"])
def test_an_unknown_status_is_borne_for_a_while(status: str | None) -> None:
    assert Wait(*[status] * 11, "COMPLETED").run().status == "COMPLETED"
    with pytest.raises(JobError, match=r"unknown status|no status") as caught:
        Wait(*[status] * 50, timeout=None).run()
    assert type(caught.value) is JobError
    assert caught.value.job.job_id == "j"


def test_an_unknown_status_is_borne_as_long_as_something_moves() -> None:
    wait = Wait(*[seen("SIMMERING", n) for n in range(50)], "COMPLETED", timeout=None)
    assert wait.run().status == "COMPLETED"


def test_a_known_status_in_between_ends_the_count() -> None:
    assert Wait(*([None] * 11 + ["PROCESSING"]) * 4, "COMPLETED", timeout=None).run().status == "COMPLETED"


# ---- looks that fail -----------------------------------------------------------------------------------

PASSING = [
    ServerError("", status=503),
    RateLimitError("", status=429),
    ApiError("", status=408),
    ApiConnectionError(""),
    ApiTimeoutError("", limit="read"),
]


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_borne_three_times_in_a_row(error: Any) -> None:
    wait = Wait(error, error, error, "PROCESSING", error, error, error, "COMPLETED")
    assert wait.run().status == "COMPLETED"
    wait = Wait("PROCESSING", error, error, error, error)
    with pytest.raises(type(error)) as caught:
        wait.run()
    assert caught.value is error
    assert caught.value.partial.status == "PROCESSING"
    error.partial = None


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_nothing_is_borne_where_nothing_is_repeated(error: Any) -> None:
    with pytest.raises(type(error)):
        Wait(error, "COMPLETED", retry=0).run()
    error.partial = None


@pytest.mark.parametrize(
    "error", [NotFoundError("", status=404), TokenSourceError(""), ConfigurationError("")], ids=lambda error: type(error).__name__
)
def test_what_will_not_pass_ends_it_at_once(error: Any) -> None:
    with pytest.raises(type(error)) as caught:
        Wait("PROCESSING", error, "COMPLETED").run()
    assert caught.value.partial.job_id == "j"


def test_a_longer_wait_that_the_api_asks_for_is_kept() -> None:
    wait = Wait(RateLimitError("", status=429, retry_after=90.0), RateLimitError("", status=429, retry_after=2.0), "COMPLETED")
    wait.run()
    assert wait.clock.waits == [85.0, 5.0, 5.0]


def test_a_wait_beyond_the_limit_is_not_begun() -> None:
    wait = Wait(RateLimitError("", status=429, retry_after=3600.0))
    with pytest.raises(JobTimeoutError):
        wait.run()
    assert wait.clock.waits == []


def test_a_look_that_takes_all_the_time_is_a_time_out_of_the_job() -> None:
    wait = Wait(ApiTimeoutError("", limit="deadline"), timeout=10)
    wait.took = 10.0
    with pytest.raises(JobTimeoutError) as caught:
        wait.run()
    assert isinstance(caught.value.__cause__, ApiTimeoutError)
    assert caught.value.job.job_id == "j"


def errors_alive() -> list[Any]:
    # not isinstance: it would wake the lazy proxies of others
    return [thing for thing in gc.get_objects() if issubclass(type(thing), (JobError, ApiError))]


def test_an_ended_wait_leaves_no_circle() -> None:
    gc.collect()
    before = errors_alive()  # those of parameters
    gc.disable()
    try:
        for sights in (["FAILED"], [NotFoundError("", status=404)], [ServerError("", status=500)] * 4, ["PROCESSING"] * 100):
            wait = Wait(*sights)
            with pytest.raises(Exception):  # noqa: B017
                wait.run()
            wait.heard.events.clear()  # they hold the error, whose frames hold the wait
            wait._sights = iter(())
        del wait, sights
        assert [error for error in errors_alive() if error.__traceback__ is not None and error not in before] == []
    finally:
        gc.enable()


# ---- closing -------------------------------------------------------------------------------------------


def test_closing_ends_a_pause_with_the_job() -> None:
    clock = ManualClock(auto_advance=False)
    wait = Wait(*ENDLESS, clock=clock)
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            wait.run()
        except JobError as error:
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    clock.wait_until_blocked()
    wait.cancellation.cancel()
    thread.join(10)
    [error] = outcome
    assert type(error) is JobError
    assert "the client was closed" in str(error)
    assert error.job.status == "PROCESSING"


def test_closing_during_a_look_is_told_as_that() -> None:
    wait = Wait(ApiConnectionError("the call was cancelled"))
    wait.cancellation.cancel()
    with pytest.raises(JobError, match="closed"):
        wait.run()


def test_closing_ends_all_open_waits_and_those_within() -> None:
    root = OpenWaits()
    inner, other = OpenWaits(within=root), OpenWaits(within=root)
    with root.begin() as first, inner.begin() as second, other.begin() as third:
        inner.end()
        assert [first.cancelled, second.cancelled, third.cancelled] == [False, True, False]
        root.end()
        assert [first.cancelled, third.cancelled] == [True, True]
    with inner.begin() as fourth:
        pass
    root.end()
    assert not fourth.cancelled


# ---- events --------------------------------------------------------------------------------------------


def test_every_look_is_told_and_the_end_once() -> None:
    wait = Wait(seen("PROCESSING", 40), "COMPLETED")
    wait.took = 1.0
    wait.run(seen("CREATED"))
    told = [(e.job_id, e.kind, e.status, e.percent, e.elapsed) for e in wait.heard.named("job_progress")]
    assert told == [
        ("j", "test", "CREATED", None, 0.0),
        ("j", "test", "PROCESSING", 40, 1.0),
        ("j", "test", "COMPLETED", None, 7.0),
    ]
    [end] = wait.heard.named("job_complete")
    assert (end.job_id, end.kind, end.status, end.elapsed, end.error) == ("j", "test", "COMPLETED", 7.0, None)


@pytest.mark.parametrize(
    ("sights", "error"),
    [(["FAILED"], JobFailedError), (ENDLESS, JobTimeoutError), ([None] * 50, JobError), ([NotFoundError("", status=404)], NotFoundError)],
)
def test_any_end_is_told_with_its_error(sights: list[Any], error: type[Exception]) -> None:
    wait = Wait(*sights)
    with pytest.raises(error) as caught:
        wait.run()
    [end] = wait.heard.named("job_complete")
    assert end.error is caught.value


def test_a_receiver_that_raises_ends_nothing() -> None:
    wait = Wait("PROCESSING", "COMPLETED")

    def broken(event: Any) -> None:
        raise RuntimeError("broken")

    wait.session.emitter.on("job_progress", broken)
    assert wait.run().status == "COMPLETED"


# ---- the pace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{"timeout": -1}, {"timeout": "5"}, {"timeout": float("nan")}, {"interval": 0}, {"interval": True}, {"growth": 0.5}, {"longest": 0}],
)
def test_an_impossible_pace_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Pace(**settings)


def test_a_pace_never_overflows() -> None:
    assert Pace(timeout=None, growth=1e6).pause(10**9) == 30.0
    assert Pace(timeout=None, interval=60).pause(5) == 60
