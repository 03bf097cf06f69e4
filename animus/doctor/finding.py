"""What one check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from animus._secret import scrub

Status = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check. No text of it shows a token, key, cookie, password or query.

    Attributes:
        check: Its name, such as ``provider.answer``; always the same.
        status: ``ok``, ``failed``, or ``skipped``: not checked, ``text`` says why.
        text: What was seen, in one line; may change from release to release.
        advice: What to do, in one line; also with ``ok``, where something will make trouble in other places. None: nothing.
        reason: A fixed word for what is wrong, such as ``html_page``; None: nothing is.
    """

    check: str
    status: Status
    text: str
    advice: str | None = None
    reason: str | None = None

    def without(self, secrets: Iterable[str]) -> Finding:
        """Give the same without anything that looks like a token, and without ``secrets``."""
        secrets = tuple(secrets)
        advice = None if self.advice is None else _line(self.advice, secrets)
        return replace(self, text=_line(self.text, secrets), advice=advice)


def passed(check: str, text: str, advice: str | None = None, reason: str | None = None) -> Finding:
    """Give the finding of a check that found nothing wrong."""
    return Finding(check, "ok", text, advice, reason)


def failed(check: str, text: str, *, reason: str, advice: str | None) -> Finding:
    """Give the finding of a check that found something wrong."""
    return Finding(check, "failed", text, advice, reason)


def skipped(check: str, because: str) -> Finding:
    """Give the finding of a check that was not made."""
    return Finding(check, "skipped", f"not checked, because {because}")


def _line(text: str, secrets: tuple[str, ...]) -> str:
    return " ".join(scrub(text, secrets).split())
