"""All findings together."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from animus.doctor.finding import Finding

FORMAT = 1
MARKS: Mapping[str, str] = MappingProxyType({"ok": "✓", "failed": "✗", "skipped": "–", "advice": "→"})
PLAIN_MARKS: Mapping[str, str] = MappingProxyType({"ok": "+", "failed": "x", "skipped": "-", "advice": ">"})
_NAME_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What :func:`examine` found. ``str()`` is what the command prints; notebooks show a table. Pickles.

    Attributes:
        findings: One for each check, in the order of the way; the same checks in every report.
        source: The name of the token source, without anything secret; None: there is none.
        api_base_url: The API that was asked, without userinfo and query; None: its URL is not possible.
        origin: The page's origin that CORS was checked for, or None.
        versions: Versions of this package, Python and what it speaks HTTP with.
    """

    findings: tuple[Finding, ...]
    source: str | None
    api_base_url: str | None
    origin: str | None
    versions: Mapping[str, str]

    @property
    def healthy(self) -> bool:
        """Whether no check failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings of the checks that failed."""
        return tuple(finding for finding in self.findings if finding.status == "failed")

    def __getitem__(self, check: str) -> Finding:
        """Give the finding of the check of that name.

        Raises:
            KeyError: there is no such check.
        """
        for finding in self.findings:
            if finding.check == check:
                return finding
        raise KeyError(check)

    def to_dict(self) -> dict[str, Any]:
        """Give all of it for JSON. Keys are not taken away or renamed as long as ``format`` is 1; further ones may come."""
        return {
            "format": FORMAT,
            "healthy": self.healthy,
            "source": self.source,
            "api_base_url": self.api_base_url,
            "origin": self.origin,
            "versions": dict(self.versions),
            "checks": [asdict(finding) for finding in self.findings],
        }

    def __str__(self) -> str:
        return "\n".join([*(line for finding in self.findings for line in lines_of(finding)), summary_of(self.findings)])

    def _repr_html_(self) -> str:
        rows = (
            f"<tr><td>{MARKS[finding.status]}</td><td>{html.escape(finding.check)}</td>"
            f'<td style="text-align: left">{html.escape(finding.text)}{_advice_html(finding)}</td></tr>'
            for finding in self.findings
        )
        return f"<table>{''.join(rows)}</table>"


def lines_of(finding: Finding, marks: Mapping[str, str] = MARKS) -> Iterator[str]:
    """Give the lines in which a finding is shown."""
    yield f"{marks[finding.status]} {finding.check:<{_NAME_WIDTH}} {finding.text}"
    if finding.advice is not None:
        yield f"  {'':<{_NAME_WIDTH}} {marks['advice']} {finding.advice}"


def summary_of(findings: tuple[Finding, ...]) -> str:
    """Give the last line."""
    wrong = [finding.check for finding in findings if finding.status == "failed"]
    if not wrong:
        return "Nothing wrong was found."
    return f"{len(wrong)} of {len(findings)} checks failed; begin with the first: {wrong[0]}."


def _advice_html(finding: Finding) -> str:
    return "" if finding.advice is None else f"<br>{MARKS['advice']} {html.escape(finding.advice)}"
