"""Measure everything, or a part; show a table, and write JSON.

    python -m benchmarks.run [--quick] [--check] [--long] [--only TEXT] [--json FILE]

``--quick`` takes fewer and shorter rounds (two minutes in all); ``--check`` is quicker still and asks for gates alone, the timed
ones half as far away again: what a build on a busy machine can keep. A peer's speed fails nothing. Exit status: 1 if a gate was
missed, 2 if a group was void twice.
"""

from __future__ import annotations

from benchmarks import calling, emitting, lasting, limits, starting, streaming, threading_, tls, tokens
from benchmarks.measure import Group

_ALL = (calling, streaming, starting, tokens, emitting, threading_, tls, limits)


def _groups(*, long: bool, only: str | None) -> list[Group]:
    groups = [group for module in ((lasting,) if long else _ALL) for group in module.GROUPS]
    return [group for group in groups if only is None or only.lower() in group.name.lower()]


def _size(group: Group, *, quick: bool, check: bool) -> tuple[int, int]:
    """Give count and rounds."""
    if check:
        return max(1, group.count // 4), min(3, group.rounds)
    if quick:
        return max(1, group.count // 3), min(5, group.rounds)
    return group.count, group.rounds
