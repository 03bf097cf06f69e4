"""What the status of long work means, whatever an endpoint calls it."""

from __future__ import annotations

from typing import Literal, Protocol

Outcome = Literal["succeeded", "failed", "pending", "unknown"]

# the platform documents CREATED, PROCESSING, COMPLETED and FAILED for media, in either case, and no list at all for
# generation, datasets and training: the usual words of such services are read too
_WORDS: dict[Outcome, frozenset[str]] = {
    "succeeded": frozenset({"COMPLETED", "COMPLETE", "SUCCEEDED", "SUCCESS", "FINISHED", "DONE"}),
    "failed": frozenset({"FAILED", "FAILURE", "ERROR", "ERRORED", "CANCELED", "CANCELLED", "ABORTED", "REJECTED", "EXPIRED"}),
    "pending": frozenset({
        "CREATED",
        "ACCEPTED",
        "SUBMITTED",
        "SCHEDULED",
        "QUEUED",
        "PENDING",
        "WAITING",
        "STARTING",
        "STARTED",
        "PROCESSING",
        "RUNNING",
        "IN_QUEUE",
        "IN_PROGRESS",
    }),
}  # fmt: skip


class Job(Protocol):
    """What can be said of any job that was looked at."""

    @property
    def status(self) -> str | None:
        """The API's own word for its state, or None."""

    @property
    def percent(self) -> float | None:
        """How much is done, 0 to 100, or None."""

    @property
    def outcome(self) -> Outcome:
        """What the status means."""


def outcome_of(status: str | None) -> Outcome:
    """Give what a status means; any case, with spaces, hyphens or underscores.

    >>> outcome_of("completed"), outcome_of("Cancelled"), outcome_of("in-progress"), outcome_of("SIMMERING"), outcome_of(None)
    ('succeeded', 'failed', 'pending', 'unknown', 'unknown')
    """
    word = "_".join((status or "").upper().replace("-", " ").replace("_", " ").split())
    return next((outcome for outcome, words in _WORDS.items() if word in words), "unknown")
