"""Waiting for long work: a job is looked at until it has ended, within limits.

A wait ends when the job has succeeded or failed, when its time is up, when the client closes, when a look fails for
good, or when the job has an unknown status and nothing about it moves. Whatever ends it, the exception has the job as
last seen: ``.job`` of a :class:`~animus.errors.JobError`, ``.partial`` of any other. So the caller can go on later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from animus._secret import scrub
from animus.errors import AnimusError, ApiConnectionError, ApiError, JobError, JobFailedError, JobTimeoutError, RateLimitError, ServerError
from animus.events import JobComplete, JobProgress
from animus.http.timeouts import Timeouts
from animus.models.jobs import Job
from animus.resources.pace import Pace
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

logger: logging.Logger = logging.getLogger(__name__)
J = TypeVar("J", bound=Job)

# looks in a row that find an unknown status and nothing that moves (replicate-python PR#460: polled for ever)
_UNKNOWN_LOOKS = 12
# looks in a row that may fail although each was repeated by the retry policy: the job goes on whether it is seen or not
_FAILED_LOOKS = 3
# a look that has begun gets at least so many seconds, also at the end of the wait
_SHORTEST_LOOK = 1.0
_LONGEST_WORD = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking(Generic[J]):
    """How one area looks at its jobs.

    Attributes:
        kind: What events and errors call such a job.
        look: Gives the job as it is now, by one call under these limits.
        reason: Why a job failed, in the API's words, or None; nothing in it may be secret.
        hint: What to do about a job that could not be waited for.
    """

    kind: str
    look: Callable[[Timeouts], J]
    reason: Callable[[J], str | None]
    hint: str


class JobWait(Generic[J]):
    """One wait for one job. Belongs to one thread.

    Args:
        job_id: Its id.
        job: As last seen.
        timeouts, retry: Of each look, beside the pace. With ``repeats=0`` the first look that fails ends the wait.
        cancellation: How another thread ends the wait.
    """

    def __init__(
        self,
        session: AnimusSession,
        looking: Looking[J],
        job_id: str,
        job: J,
        *,
        pace: Pace,
        timeouts: Timeouts,
        retry: RetryPolicy,
        cancellation: Cancellation,
    ) -> None:
        self._clock = session.clock
        self._emitter = session.emitter
        self._looking = looking
        self._job_id = job_id
        self._job = job
        self._pace = pace
        self._timeouts = timeouts
        self._tolerated = 0 if retry.repeats == 0 else _FAILED_LOOKS
        self._cancellation = cancellation
        # what looks took and pauses were to take: the sum, not the clock, so that a stretched clock stretches all of it
        self._elapsed = 0.0
        self._looks = 0
        self._failed_looks = 0
        self._unknown_looks = 0

    def run(self, *, seen: bool) -> J:
        """Wait until the job has succeeded, and give it.

        Args:
            seen: The job it began with is the API's answer, which may already be the end.

        Emits ``job_progress`` for every look, and ``job_complete`` once, however it ends.

        Raises:
            JobFailedError: it failed or was cancelled.
            JobTimeoutError: it was not done in time.
            JobError: the client was closed, or the status stayed unknown.
            ApiError, ApiConnectionError, AuthenticationError: it could not be looked at; ``.partial`` has the job.
        """
        try:
            done = seen and self._is_done(self._job)
            while not done:
                job = self._look()
                done = job is not None and self._is_done(job)
                if not done:
                    self._wait(self._pace.pause(self._looks))
        except AnimusError as error:
            self._announce_end(error)
            raise
        self._announce_end(None)
        return self._job

    # ---- looking ---------------------------------------------------------------------------------------

    def _look(self) -> J | None:
        """Give the job as it is now, or None if it could not be seen this time."""
        self._looks += 1
        start = self._clock.monotonic()
        try:
            job = self._looking.look(self._limits())
        except AnimusError as error:
            self._elapsed += self._clock.monotonic() - start
            if not self._goes_on(error):
                raise
            return None
        self._elapsed += self._clock.monotonic() - start
        self._failed_looks = 0
        return job

    def _limits(self) -> Timeouts:
        left = self._left()
        deadline = self._timeouts.deadline
        if left is None or (deadline is not None and deadline < left):
            return self._timeouts
        return replace(self._timeouts, deadline=max(left, _SHORTEST_LOOK))

    def _goes_on(self, error: AnimusError) -> bool:
        """Tell whether to look again after a look that failed."""
        if self._cancellation.cancelled:
            raise self._closed() from error
        left = self._left()
        if left is not None and left <= 0:
            raise self._late() from error
        self._failed_looks += 1
        if not _may_pass(error) or self._failed_looks > self._tolerated:
            if error.partial is None:
                error.partial = self._job
            return False
        logger.debug("could not look at %s: %s", self._name, error)
        asked = (getattr(error, "retry_after", None) or 0.0) - self._pace.pause(self._looks)
        if asked > 0:  # on top of the usual pause
            self._wait(asked)
        return True

    def _is_done(self, job: J) -> bool:
        moved = (job.status, job.percent) != (self._job.status, self._job.percent)
        self._job = job
        self._announce(job)
        outcome = job.outcome
        if outcome == "failed":
            reason = self._looking.reason(job)
            raise JobFailedError(f"{self._name} ended as {_word(job.status)}{f': {reason}' if reason else ''}", job=job)
        self._unknown_looks = 0 if outcome != "unknown" or moved else self._unknown_looks + 1
        if self._unknown_looks >= _UNKNOWN_LOOKS:
            unknown = "no status" if job.status is None else f"the unknown status {_word(job.status)}"
            raise JobError(f"{self._name} has had {unknown} for {_UNKNOWN_LOOKS} looks", job=job, hint=self._looking.hint)
        return outcome == "succeeded"

    # ---- waiting ---------------------------------------------------------------------------------------

    def _wait(self, seconds: float) -> None:
        left = self._left()
        if left is not None and seconds >= left:  # no use in waiting for a look that would come too late
            raise self._late()
        if self._clock.wait(self._cancellation.event, seconds):
            raise self._closed()
        self._elapsed += seconds

    def _left(self) -> float | None:
        return None if self._pace.timeout is None else self._pace.timeout - self._elapsed

    # ---- saying ----------------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"the {self._looking.kind} job {scrub(self._job_id)}"

    def _late(self) -> JobTimeoutError:
        percent = "" if self._job.percent is None else f", {self._job.percent:g} %"
        return JobTimeoutError(
            f"{self._name} was not done within {self._pace.timeout:g} s (last seen: {_word(self._job.status)}{percent})",
            job=self._job,
            hint=self._looking.hint,
        )

    def _closed(self) -> JobError:
        return JobError(f"the client was closed while it waited for {self._name}", job=self._job, hint=self._looking.hint)

    def _announce(self, job: J) -> None:
        if self._emitter.wants(JobProgress.name):
            self._emitter.emit(JobProgress(**self._facts(job), percent=job.percent))

    def _announce_end(self, error: AnimusError | None) -> None:
        if self._emitter.wants(JobComplete.name):
            self._emitter.emit(JobComplete(**self._facts(self._job), error=error))

    def _facts(self, job: J) -> dict[str, Any]:
        return {"job_id": self._job_id, "kind": self._looking.kind, "status": job.status or "", "elapsed": self._elapsed}


def _may_pass(error: AnimusError) -> bool:
    """Tell whether a failed look may be followed by a better one."""
    if isinstance(error, (ServerError, RateLimitError, ApiConnectionError)):
        return True
    return isinstance(error, ApiError) and error.status == 408


def _word(status: str | None) -> str:
    return "no status" if status is None else repr(scrub(status[:_LONGEST_WORD]))
