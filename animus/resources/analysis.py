"""``/media/categories``: what is in an image at once, or the job that looks through a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from animus._secret import scrub
from animus.errors import JobFailedError
from animus.http.status import message_in
from animus.http.timeouts import Timeouts
from animus.models.answer import ShapeError
from animus.models.media import MediaAnalysis, decode_analysis
from animus.resources.body import encode_body
from animus.resources.jobs import JobWait, Looking
from animus.resources.pace import Pace
from animus.resources.path import path_part
from animus.transport.api import ApiAnswer, call_api
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

_PATH = "/media/categories"
_WHAT = "a media analysis"
_KIND = "media analysis"
_GO_ON = "It may still be running: go on with client.media.wait_for_analysis(error.job), or look with get_analysis_status()"
_LONGEST_REASON = 1000


class AnalysisCalls:
    """The calls of one analysis: its start, looks at its job, and the wait for it. Belongs to one thread.

    Args:
        timeouts, retry: Of each call.
        cancellation: How another thread may end the call or the wait under way; None: not at all.
    """

    def __init__(
        self, session: AnimusSession, *, timeouts: Timeouts, retry: RetryPolicy, cancellation: Cancellation | None = None
    ) -> None:
        self._session = session
        self._timeouts = timeouts
        self._retry = retry
        self._cancellation = cancellation
        self._secrets: tuple[str, ...] = ()

    def start(self, body: Mapping[str, Any]) -> MediaAnalysis:
        """Ask what is in an image or a video; for a video, the answer is usually a job that has just begun.

        Raises:
            JobFailedError: the API says that it failed, and names no job.
            ResponseDecodeError: the answer is not what the API promises.
            ApiError, ApiConnectionError, AuthenticationError: as :func:`animus.transport.api.call_api`.
        """
        answer = self._call("POST", _PATH, self._timeouts, encode_body(body))
        analysis = self._read(answer)
        if analysis.job_id or analysis.status is None:
            return analysis
        if analysis.outcome == "failed":
            reason = self._reason(analysis)
            raise JobFailedError(f"the {_KIND} failed{f': {reason}' if reason else ''}", job=analysis)
        if analysis.outcome == "pending" and analysis.metadata is None and analysis.results is None:
            raise answer.undecodable(_WHAT, "it has begun, but there is no job_id to look for")
        return analysis

    def look(self, job_id: str, timeouts: Timeouts | None = None) -> MediaAnalysis:
        """Give the job as it is now; its id is in it even if the API leaves it out.

        Raises:
            ValueError: the id is blank, or none at all.
            ApiError, ApiConnectionError, AuthenticationError, ResponseDecodeError: as :meth:`start`.
        """
        path = f"{_PATH}/{path_part('job_id', job_id)}"
        job = self._read(self._call("GET", path, timeouts or self._timeouts))
        return job if job.job_id else msgspec.structs.replace(job, job_id=job_id)

    def wait(self, job_id: str, job: MediaAnalysis, pace: Pace, *, seen: bool) -> MediaAnalysis:
        """Wait for a job; see :meth:`JobWait.run`."""
        waiting = JobWait(
            self._session,
            Looking(kind=_KIND, look=lambda limits: self.look(job_id, limits), reason=self._reason, hint=_GO_ON),
            job_id,
            job,
            pace=pace,
            timeouts=self._timeouts,
            retry=self._retry,
            cancellation=self._cancellation or Cancellation(),
        )
        return waiting.run(seen=seen)

    def _reason(self, job: MediaAnalysis) -> str | None:
        """Give why a job failed, as far as the API says so. It documents no field for that."""
        raw = job.raw
        told = raw.get("reason") if isinstance(raw, Mapping) else None
        text = told if isinstance(told, str) and told.strip() else message_in(raw)
        return None if text is None else scrub(" ".join(text.split()), self._secrets)[:_LONGEST_REASON]

    def _call(self, method: str, path: str, timeouts: Timeouts, body: bytes | None = None) -> ApiAnswer:
        answer = call_api(
            self._session, method, path, body=body, timeouts=timeouts, retry=self._retry, cancellation=self._cancellation
        )
        self._secrets = answer.secrets
        return answer

    def _read(self, answer: ApiAnswer) -> MediaAnalysis:
        try:
            analysis = decode_analysis(answer.response.content, answer.http)
        except ShapeError as error:
            raise answer.undecodable(_WHAT, str(error)) from None
        if analysis.status is None and analysis.metadata is None and analysis.results is None:
            raw = analysis.raw
            if raw.get("error"):
                raise answer.reported_error(raw)
        return analysis
