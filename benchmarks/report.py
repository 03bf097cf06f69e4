"""What came out, as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import Result, Row, Spread

MISSED, VOID = "MISSED", "void"
LOOSE = 1.5


@dataclass
class Report:
    """Gathers results.

    Attributes:
        loose: Whether gates of timed rows stand half as far away again, as a busy machine needs it.
    """

    loose: bool = False
    results: list[Result] = field(default_factory=list)

    @property
    def status(self) -> int:
        """What the process is to end with: 1 for a missed gate of ours, 2 for a group that was void, else 0."""
        verdicts = [self.verdict(result, row) for result, row in self._rows() if not (row.peer or row.open)]
        if MISSED in verdicts:
            return 1
        return 2 if VOID in verdicts and not self.loose else 0

    def gate(self, row: Row) -> float:
        """Give the gate in force."""
        if not self.loose or row.exact:
            return row.gate
        return row.gate / LOOSE if row.more else row.gate * LOOSE

    def verdict(self, result: Result, row: Row) -> str:
        """Say what a row has reached."""
        found = result.spread(row)
        if found is None:
            return "left out"
        if result.is_void and not row.exact:
            return VOID
        for name, bound in (("stretch", row.stretch), ("goal", row.goal), ("gate", self.gate(row))):
            if bound is not None and (found.median >= bound if row.more else found.median <= bound):
                return name
        return MISSED

    def table(self, result: Result) -> str:
        """Give what one group has shown."""
        return "\n".join(self._lines(result))

    def _lines(self, result: Result) -> Iterator[str]:
        group = result.group
        control = "" if result.control is None else f", twins {_shown(result.control)}{' VOID' if result.is_void else ''}"
        yield f"{group.name} ({len(result.rounds)} rounds{control})"
        if group.shown is not None:
            yield f"  {'':32} {group.unit:>28}   / {group.shown[1]}"
            for name, (median, ratio) in _clients(result).items():
                yield f"  {name:32} {median:28,.1f}   {_shown(ratio)}"
        for name, reason in result.left_out.items():
            yield f"  {name:32} left out: {reason}"
        for row in group.rows:
            found, sign = result.spread(row), ">=" if row.more else "<="
            value = "-" if found is None else f"{_shown(found)} {row.unit}"
            bounds = f"gate {sign} {self.gate(row):g}, goal {sign} {row.goal:g}"
            yield f"  row {row.number:4} {row.title:72} {value:28} {bounds:28} {self.verdict(result, row)}"

    def summary(self) -> str:
        """Give what was missed, or that nothing was."""
        missed = [f"row {row.number}: {row.title}{_excuse(row)}" for row in self._with(MISSED)]
        void = sorted({result.group.name for result in self.results if result.is_void})
        lines = [f"gate missed: {text}" for text in missed] + [f"void, something else was running: {name}" for name in void]
        return "\n".join(lines or ["all gates held"])

    def _with(self, verdict: str) -> Iterator[Row]:
        return (row for result, row in self._rows() if self.verdict(result, row) == verdict)

    def _rows(self) -> Iterable[tuple[Result, Row]]:
        return ((result, row) for result in self.results for row in result.group.rows)

    def as_json(self, machine: Mapping[str, Any]) -> dict[str, Any]:
        """Give all of it as JSON values."""
        return {"machine": dict(machine), "groups": [self._group_json(result) for result in self.results]}

    def _group_json(self, result: Result) -> dict[str, Any]:
        group = result.group
        return {
            "name": group.name,
            "rounds": len(result.rounds),
            "twins": _json(result.control),
            "void": result.is_void,
            "unit": group.unit,
            "clients": {name: {"median": median, "ratio": _json(ratio)} for name, (median, ratio) in _clients(result).items()},
            "left_out": dict(result.left_out),
            "rows": [
                {
                    "row": row.number,
                    "title": row.title,
                    "value": _json(result.spread(row)),
                    "unit": row.unit,
                    "gate": self.gate(row),
                    "goal": row.goal,
                    "stretch": row.stretch,
                    "better": "more" if row.more else "less",
                    "peer": row.peer,
                    "verdict": self.verdict(result, row),
                }
                for row in group.rows
            ],
        }


def _clients(result: Result) -> dict[str, tuple[float, Spread]]:
    """Give the shown number of each client, and its ratio to the one they are compared with."""
    if result.group.shown is None:
        return {}
    number, baseline = result.group.shown
    found = {}
    for client in result.group.clients:
        rounds = [each for each in result.rounds if client.name in each]
        if rounds and client.name not in result.left_out:
            ratios = [each[client.name][number] / (each[baseline][number] or float("nan")) for each in rounds]
            found[client.name] = statistics.median(each[client.name][number] for each in rounds), Spread.of(ratios)
    return found


def _excuse(row: Row) -> str:
    return " (a peer)" if row.peer else f" (known: {row.open})" if row.open else ""


def _shown(spread: Spread) -> str:
    return f"{_figure(spread.median)} [{_figure(spread.low)} {_figure(spread.high)}]"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _json(spread: Spread | None) -> dict[str, float] | None:
    return None if spread is None else {"median": spread.median, "p10": spread.low, "p90": spread.high}
