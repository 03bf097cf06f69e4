"""``client.media``: questions about images, and what is in images and videos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from animus import _check
from animus._check import UNSET, Unset, unexpected_keyword
from animus.config import PARAMETERS, VisionConfig
from animus.errors import ConfigurationError
from animus.http.timeouts import Timeouts
from animus.models.chat import ChatCompletion
from animus.models.media import MediaAnalysis
from animus.resources.analysis import AnalysisCalls
from animus.resources.body import encode_body
from animus.resources.completions import whole_completion
from animus.resources.pace import Pace
from animus.resources.vision_messages import read_vision_messages
from animus.resources.waits import OpenWaits
from animus.transport.api import call_api
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession


class Media:
    """The vision part of a client. It never touches a chat's history.

    Threads: any number. Fork: works in the child, which has no wait of the parent's. Pickling: refused; pickle the client.

    Args:
        session: What calls go through.
        config: Defaults; None: each call must name its model.
        waits: Where the waits under way are kept.
    """

    def __init__(self, session: AnimusSession, config: VisionConfig | None, waits: OpenWaits | None = None) -> None:
        self._session = session
        self._config = config
        self._waits = waits or OpenWaits()

    def close(self) -> None:
        """End all waits; who waits gets a :class:`~animus.errors.JobError` with the job."""
        self._waits.end()

    # ---- questions -------------------------------------------------------------------------------------

    def completions(
        self,
        messages: object,
        *,
        model: str | None = None,
        temperature: float | Unset | None = UNSET,
        extra_body: Mapping[str, Any] | None = None,
        timeouts: object = None,
        retry: object = None,
        **unknown: NoReturn,
    ) -> ChatCompletion:
        """Ask about images: one call, plus repetitions.

        Args:
            messages: A list of ``{"role", "content"}``; the content is text or a list of parts:
                ``{"type": "text", "text": …}`` and ``{"type": "image_url", "image_url": {"url": …}}``, the URL being
                ``https://…`` or ``data:image/…;base64,…``.
            model: Instead of the configured one.
            temperature: 0 to 2; left out: as configured; None: not sent.
            extra_body: Further fields of the request body.
            timeouts, retry: For this call; see :class:`~animus.Timeouts` and :class:`~animus.RetryPolicy`.

        Raises:
            ValueError: a message is not valid; the text names its index. Nothing was sent.
            TypeError: an unknown parameter.
            ConfigurationError: a parameter is not allowed, or there is no model.
            ResponseDecodeError: the answer is no completion.
            ApiError, ApiConnectionError, AuthenticationError: the call failed.
        """
        _refuse_unknown("media.completions()", unknown, ("messages", "model", "temperature", "extra_body", "timeouts", "retry"))
        body: dict[str, Any] = {"messages": read_vision_messages(messages), "model": _check.text("model", self._model(model))}
        if isinstance(temperature, Unset):
            temperature = None if self._config is None else self._config.temperature
        if temperature is not None:
            body["temperature"] = _check.number("temperature", temperature, 0, 2)
        body.update(_extra(extra_body))
        answer = call_api(
            self._session,
            "POST",
            "/media/completions",
            body=encode_body(body),
            timeouts=self._timeouts_for(timeouts),
            retry=self._retry_for(retry),
        )
        return whole_completion(answer)

    # ---- analysis --------------------------------------------------------------------------------------

    def analyze(
        self,
        media_url: str,
        *,
        metadata: Iterable[str],
        model: str | None = None,
        use_scenes: bool | None = None,
        custom_payload: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        wait: bool = True,
        timeout: float | None = 300.0,
        interval: float | None = None,
        timeouts: object = None,
        retry: object = None,
        **unknown: NoReturn,
    ) -> MediaAnalysis:
        """Find out what is in an image or a video; of a video, wait for it.

        Args:
            media_url: Where it is.
            metadata: What to look for: ``categories``, ``participants``, ``actions``, ``scene``, ``tags``.
            model: Instead of the configured one.
            use_scenes: Have one frame looked at for each scene of a large video; the platform advises against it.
            custom_payload: Given back with the result, and by the webhook.
            extra_body: Further fields of the request body.
            wait: False gives a video's job as it begins; ``wait_for_analysis()`` or a webhook has the result later.
            timeout: Seconds to wait for a video, from the beginning of its job; None for no limit.
            interval: Seconds between two looks; None: 5, or a tenth of ``timeout`` where that is less.
            timeouts, retry: Of each single call; a few looks in a row may fail without ending the wait, unless
                nothing is repeated (``retry=0``).

        Emits ``job_progress`` for every look at a video's job, then ``job_complete``.

        Raises:
            TypeError: an unknown parameter.
            ConfigurationError: a parameter is not allowed, or there is no model. Nothing was sent.
            JobFailedError: the job failed or was cancelled; ``.job`` has it.
            JobTimeoutError: it was not done in time; ``.job`` has its id, for :meth:`wait_for_analysis`.
            JobError: the client was closed, or the job's status stayed unknown.
            ResponseDecodeError: the answer is not what the API promises.
            ApiError, ApiConnectionError, AuthenticationError: a call failed; ``.partial`` has the job, if there was one.
        """
        known = ("media_url", "metadata", "model", "use_scenes", "custom_payload", "extra_body", "wait", "timeout", "interval")
        _refuse_unknown("media.analyze()", unknown, (*known, "timeouts", "retry"))
        pace = Pace(timeout=timeout, interval=interval)
        # an empty model is sent as JavaScript does (reference, section 9.2: the API documents no model here at all)
        body: dict[str, Any] = {"media_url": _media_url(media_url), "metadata": _kinds(metadata), "model": self._model(model)}
        if use_scenes is not None:
            body["use_scenes"] = _check.boolean("use_scenes", use_scenes)
        if custom_payload is not None:
            body["custom_payload"] = _mapping("custom_payload", custom_payload)
        body.update(_extra(extra_body))
        with self._waits.begin() as cancellation:
            calls = self._calls(timeouts, retry, cancellation)
            first = calls.start(body)
            return calls.wait(first.job_id, first, pace, seen=True) if first.job_id and wait else first

    def get_analysis_status(self, job_id: str | MediaAnalysis, *, timeouts: object = None, retry: object = None) -> MediaAnalysis:
        """Look at the job of a video once. A job that failed is given, not raised.

        Args:
            job_id: The job's id, or the job as it was seen before.
            timeouts, retry: For this call.

        Raises:
            ValueError: there is no id.
            ResponseDecodeError: the answer is not what the API promises.
            ApiError, ApiConnectionError, AuthenticationError: the call failed; ``NotFoundError`` for an unknown id.
        """
        return self._calls(timeouts, retry).look(_id_of(job_id))

    def wait_for_analysis(
        self,
        job_id: str | MediaAnalysis,
        *,
        timeout: float | None = 300.0,
        interval: float | None = None,
        timeouts: object = None,
        retry: object = None,
    ) -> MediaAnalysis:
        """Wait for the job of a video that was begun before: by ``analyze(wait=False)``, or by one that took too long.

        Args:
            job_id: The job's id, or the job as it was seen before.
            timeout, interval, timeouts, retry: As in :meth:`analyze`; the time counts from now.

        Emits and raises what :meth:`analyze` does for a job, and ``ValueError`` if there is no id.
        """
        pace = Pace(timeout=timeout, interval=interval)
        known = _id_of(job_id)
        before = job_id if isinstance(job_id, MediaAnalysis) else MediaAnalysis(job_id=known)
        with self._waits.begin() as cancellation:
            return self._calls(timeouts, retry, cancellation).wait(known, before, pace, seen=False)

    # ---- what calls share ------------------------------------------------------------------------------

    def _calls(self, timeouts: object, retry: object, cancellation: Cancellation | None = None) -> AnalysisCalls:
        limits, policy = self._timeouts_for(timeouts), self._retry_for(retry)
        return AnalysisCalls(self._session, timeouts=limits, retry=policy, cancellation=cancellation)

    def _model(self, given: str | None) -> str:
        if given is not None:
            if not isinstance(given, str):
                raise _check.refuse("model", given, "a string")
            return given
        if self._config is None:
            raise ConfigurationError("there is no vision model", hint="Pass model=…, or vision=VisionConfig(model=…) to the client")
        return self._config.model

    def _timeouts_for(self, value: object) -> Timeouts:
        return Timeouts.make(value, self._session.timeouts)

    def _retry_for(self, value: object) -> RetryPolicy:
        return RetryPolicy.make(value, self._session.retry)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Media is not pickled; pickle the client")

    def __repr__(self) -> str:
        return f"<Media {'without a default model' if self._config is None else self._config.model}>"


def _refuse_unknown(where: str, unknown: Mapping[str, object], known: tuple[str, ...]) -> None:
    for name in unknown:
        raise unexpected_keyword(where, name, known)


def _extra(extra_body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if extra_body is None else PARAMETERS["extra_body"]("extra_body", extra_body)


def _mapping(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _check.refuse(field, value, "a mapping")
    return dict(value)


def _media_url(value: object) -> str:
    if not isinstance(value, str):
        raise _check.refuse("media_url", value, "a string")
    return value


def _kinds(value: object) -> list[str]:
    """Give the kinds to look for. Unknown ones are left to the API to judge, which may learn new ones."""
    kinds = [value] if isinstance(value, str) else list(value) if isinstance(value, Iterable) and not isinstance(value, Mapping) else None
    if kinds is None or not all(isinstance(kind, str) for kind in kinds):
        raise _check.refuse("metadata", value, "a list of categories, participants, actions, scene, tags")
    return kinds


def _id_of(job: object) -> str:
    job_id = job.job_id if isinstance(job, MediaAnalysis) else job
    if not isinstance(job_id, str) or not job_id.strip():
        raise ValueError("job_id must be a non-blank string, or a MediaAnalysis that has one")
    return job_id
