"""What was found in an image or a video, and the job that looks through a video.

No field is required: one that is missing or of an unexpected type reads as None and stays in ``.raw``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from animus._markdown import without_html
from animus.models.answer import Answer, HttpInfo, Origin, Wire, loads, short
from animus.models.jobs import Outcome, outcome_of
from animus.models.lenient import read

KINDS = ("categories", "participants", "actions", "scene", "tags")


class MediaMetadata(Wire, frozen=True, kw_only=True, gc=False):
    """What was found, by kind. A kind that was not asked for is None."""

    categories: list[str] | None = None
    participants: list[str] | None = None
    actions: list[str] | None = None
    scene: list[str] | None = None
    tags: list[str] | None = None

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return without_html(_table([self])) or "*(nothing found)*"


class SceneMetadata(MediaMetadata, frozen=True, kw_only=True, gc=False):
    """What was found at one place of a video. ``timestamp`` is as sent, such as ``"00:00:10"``."""

    timestamp: str | None = None


class MediaAnalysis(Answer, frozen=True, kw_only=True, gc=False):
    """What was found in an image (``metadata``) or a video (``results``), or how far the job of a video is.

    Attributes:
        job_id: The id of a video's job; None for an image.
        status: The API's word for the state of the job; ``outcome`` says what it means.
        percent_complete: How much of a video is done, 0 to 100, or None.
        metadata: What was found in an image, or None.
        results: What was found in a video, scene by scene, or None.
        custom_payload: What was given with the request, as the API sends it back.

    >>> analysis = decode_analysis(b'{"metadata": {"tags": ["cat", "sofa"], "scene": ["indoor"]}}')
    >>> analysis.tags, analysis.outcome
    (['cat', 'sofa'], 'succeeded')
    """

    job_id: str | None = None
    status: str | None = None
    percent_complete: float | None = None
    metadata: MediaMetadata | None = None
    results: list[SceneMetadata] | None = None
    custom_payload: Any = None

    @property
    def outcome(self) -> Outcome:
        """``"succeeded"``, ``"failed"``, ``"pending"``, or ``"unknown"`` for a job whose status says none of these."""
        if self.job_id is None and self.status is None:
            return "succeeded"  # an image has no job
        return outcome_of(self.status)

    @property
    def percent(self) -> float | None:
        """``percent_complete``, by the name all jobs have it under."""
        return self.percent_complete

    @property
    def categories(self) -> list[str]:
        """The categories found in the image, or anywhere in the video, each once."""
        return self._found("categories")

    @property
    def participants(self) -> list[str]:
        """The participants found in the image, or anywhere in the video, each once."""
        return self._found("participants")

    @property
    def actions(self) -> list[str]:
        """The actions found in the image, or anywhere in the video, each once."""
        return self._found("actions")

    @property
    def scene(self) -> list[str]:
        """The kinds of scene found in the image, or anywhere in the video, each once."""
        return self._found("scene")

    @property
    def tags(self) -> list[str]:
        """The tags found in the image, or anywhere in the video, each once."""
        return self._found("tags")

    def _found(self, kind: str) -> list[str]:
        return list(dict.fromkeys(word for part in self._parts() for word in getattr(part, kind) or ()))

    def _parts(self) -> Iterator[MediaMetadata]:
        if self.metadata is not None:
            yield self.metadata
        yield from self.results or ()

    def __repr__(self) -> str:
        shown = {"job_id": self.job_id, "status": self.status, "percent_complete": self.percent_complete}
        inside = [f"{name}={short(value)}" for name, value in shown.items() if value is not None]
        inside += [f"{kind}={short(self._found(kind))}" for kind in KINDS if self._found(kind)]
        return f"MediaAnalysis({', '.join(inside)})"

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        percent = "" if self.percent_complete is None else f", {self.percent_complete:g} %"
        heading = f"**Video analysis** `{self.job_id}`: {self.status or 'no status'}{percent}" if self.job_id is not None else ""
        table = _table(list(self._parts()))
        return without_html("\n\n".join(part for part in (heading, table) if part)) or "*(nothing found)*"


_ANALYSIS = msgspec.json.Decoder(MediaAnalysis)
# not JSON, not of its types, not UTF-8, nested too deeply: what makes the strict decoder give up
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)


def decode_analysis(body: bytes, http: HttpInfo | None = None) -> MediaAnalysis:
    """Give the body of an answer as an analysis; ``http`` is kept in it.

    Raises:
        ShapeError: it is no JSON object.
    """
    try:
        analysis = _ANALYSIS.decode(body)
    except _REFUSED:
        analysis = read(MediaAnalysis, _usual(loads(body)))
    force_setattr(analysis, "_origin", Origin(body, http))
    return analysis


def _usual(value: Any) -> Any:
    """Bring an answer into the usual form: an id as text, and one result as a list of one.

    Polls answer with a list of results, the webhook's sample has a single object (reference, section 22, row 29).
    """
    if not isinstance(value, dict):
        return value
    job_id, results = value.get("job_id"), value.get("results")
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        value = {**value, "job_id": str(job_id)}
    if isinstance(results, dict):
        value = {**value, "results": [results]}
    return value


def _table(parts: list[MediaMetadata]) -> str:
    """Give a Markdown table with a row for each part and a column for each kind that was found."""
    kinds = [kind for kind in KINDS if any(getattr(part, kind) for part in parts)]
    timed = any(isinstance(part, SceneMetadata) for part in parts)
    if not kinds:
        return ""
    columns = [*(["at"] if timed else []), *kinds]
    rows = [[*([getattr(part, "timestamp", None) or ""] if timed else []), *_words(part, kinds)] for part in parts]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in [columns, ["---"] * len(columns), *rows])


def _words(part: MediaMetadata, kinds: list[str]) -> list[str]:
    return [", ".join(getattr(part, kind) or ()) for kind in kinds]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
