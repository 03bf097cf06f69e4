"""Measure everything, or a part; show tables, and write JSON.

    python -m benchmarks.run [--quick | --check] [--long] [--only TEXT] [--json FILE]

``--quick`` takes fewer and shorter rounds: two minutes in all. ``--check`` is for builds: without peers, and the gates of what is
timed stand half as far away again, so that a busy machine keeps them. ``--long`` looks at memory over 100,000 calls and eight
streams of an hour, and at nothing else.

Exit status: 1 if a gate was missed, 2 if a group was void twice, because something else was running. A peer's speed fails
nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from benchmarks import bursts, calling, emitting, encryption, lasting, limits, starting, streams, tokens
from benchmarks.measure import Group, Result, run_group
from benchmarks.processes import loopback, machine
from benchmarks.report import Report
from benchmarks.worker import Place

_MODULES = (calling, streams, starting, tokens, emitting, bursts, encryption, limits)
_TRIES = 2  # of a group whose twins are not alike


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    size = options.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="two minutes in all")
    size.add_argument("--check", action="store_true", help="loose gates, no peers")
    options.add_argument("--long", action="store_true", help="memory over 100,000 calls and long streams")
    options.add_argument("--only", metavar="TEXT", default="", help="groups whose names contain TEXT")
    options.add_argument("--json", metavar="FILE", type=Path, help="where to write all numbers")
    return options.parse_args()


def _groups(given: argparse.Namespace) -> list[Group]:
    groups = lasting.GROUPS if given.long else [group for module in _MODULES for group in module.GROUPS]
    chosen = [group for group in groups if given.only.lower() in group.name.lower()]
    return [without_peers(group) for group in chosen if group.rows] if given.check else chosen


def without_peers(group: Group) -> Group:
    """Give a group without the clients and rows that depend on others' libraries."""
    clients = [client for client in group.clients if client.needs is None]
    return dataclasses.replace(group, clients=clients, rows=[row for row in group.rows if not row.peer])


def _measured(group: Group, place: Place, home: str, *, count: int, rounds: int) -> Result:
    """Measure a group, once more if its twins were not alike."""
    for seed in range(_TRIES):
        result = run_group(group, place, home, count=count, rounds=rounds, seed=seed)
        if not result.is_void:
            break
    return result


def main() -> int:
    """Measure and show; give the exit status."""
    given, began = _options(), time.monotonic()
    report = Report(loose=given.check)
    short = given.quick or given.check
    with loopback() as (place, home):
        for group in _groups(given):
            count, rounds = (max(1, group.count // 3), min(group.quick_rounds, group.rounds)) if short else (group.count, group.rounds)
            report.results.append(_measured(group, place, home, count=count, rounds=rounds))
            print(report.table(report.results[-1]), end="\n\n", flush=True)
    print(report.summary())
    print(f"{time.monotonic() - began:.0f} s")
    if given.json is not None:
        given.json.write_text(json.dumps(report.as_json(machine()), indent=1) + "\n", encoding="utf-8")
    return report.status


if __name__ == "__main__":
    sys.exit(main())
