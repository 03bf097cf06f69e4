"""The jobs that look through videos: begun by one request, further on at each look, or as time goes by."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from animus import _fork


@dataclass(slots=True)
class _MediaJob:
    results: Sequence[Mapping[str, Any]]
    error: str | None
    payload: Mapping[str, Any] | None
    begun: float
    looks: int = 0


class MediaJobs:
    """All jobs of an emulator. Thread-safe. The attributes may be set at any time and count from the next look.

    Attributes:
        looks: At which look at it a job is done: CREATED when it begins, PROCESSING, then COMPLETED or FAILED.
        duration: Seconds of the emulator's clock after which a job is done, whatever the number of looks; None: looks count.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the jobs
        self._jobs: dict[str, _MediaJob] = {}
        self.reset()
        _fork.register(self)

    def reset(self) -> None:
        """Be as at the beginning: no job, three looks to each."""
        self.looks = 3
        self.duration: float | None = None
        with self._lock:
            self._jobs = {}

    def begin(
        self, results: Sequence[Mapping[str, Any]], error: str | None, payload: Mapping[str, Any] | None, now: float
    ) -> dict[str, Any]:
        """Begin a job that will find ``results``, or fail with ``error``; give the answer for its client."""
        with self._lock:
            job_id = f"00000000-0000-4000-8000-{len(self._jobs) + 1:012d}"  # a UUID, as documented, but the same in every run
            self._jobs[job_id] = _MediaJob(results, error, payload, now)
        return {"job_id": job_id, "status": "CREATED", **_echo(payload)}

    def look(self, job_id: str, now: float) -> dict[str, Any] | None:
        """Give a job's state, after moving it on; None if there is no such job."""
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None:
                return None
            job.looks += 1
            done = job.looks / max(1, self.looks) if self.duration is None else (now - job.begun) / max(self.duration, 1e-9)
        state: dict[str, Any] = {"job_id": job_id}
        if done < 1:
            state |= {"status": "PROCESSING" if done > 0 else "CREATED", "percent_complete": max(0, int(done * 100))}
        elif job.error is not None:
            state |= {"status": "FAILED", "error": job.error}
        else:
            state |= {"status": "COMPLETED", "percent_complete": 100, "results": list(job.results)}
        return state | _echo(job.payload)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<MediaJobs {len(self._jobs)} begun>"


def _echo(payload: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if payload is None else {"custom_payload": payload}
