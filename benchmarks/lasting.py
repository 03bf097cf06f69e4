"""What is left after 100,000 calls, and after streams of an hour: no growth."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable, Mapping

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of
from benchmarks.worker import Place, Sample

CALLS = 100_000
HOUR = 180_000  # frames: 50 a second


def _resident() -> float:
    """Give this process's memory in bytes, as the system sees it."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _growth(work: Callable[[], object], parts: int) -> Mapping[str, float]:
    """Do the work, look at the memory after each part; give how much it grows in all, without the first fifth (bytes)."""
    seen = []
    for _ in range(parts):
        work()
        gc.collect()
        seen.append(_resident())
    settled = seen[parts // 5 :]
    slope = _slope(settled)
    return {"growth": slope * len(settled) / 1e6, "resident": seen[-1] / 1e6}


def _slope(values: list[float]) -> float:
    """Give the slope of a line through values, per step: least squares."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    square = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * (value - mean) for at, value in enumerate(values)) / square


def calls(place: Place) -> Sample:
    """Calls, a twentieth of them after each other before each look."""
    client = client_of(f"{place.http}/plain/v3")

    def part() -> None:
        for _ in range(CALLS // 20):
            client.chat.completions(wire.MESSAGES[1:])

    return lambda _: _growth(part, 20)


def streams(place: Place) -> Sample:
    """Streams of 180,000 frames."""
    client = client_of(f"{place.http}/frames-{HOUR}/v3")

    def part() -> None:
        with client.chat.completions(wire.MESSAGES[1:], stream=True) as stream:
            assert sum(1 for _ in stream) == HOUR + 1

    return lambda _: _growth(part, 10)


def traced(place: Place) -> Sample:
    """Bytes of Python objects per 1,000 calls, as tracemalloc counts them."""
    client = client_of(f"{place.http}/plain/v3")

    def some(count: int) -> None:
        for _ in range(count):
            client.chat.completions(wire.MESSAGES[1:])
        gc.collect()

    def sample(_: int) -> Mapping[str, float]:
        tracemalloc.start()
        some(1000)
        before, _peak = tracemalloc.get_traced_memory()
        some(5000)
        after, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return {"bytes": (after - before) / 5}

    return sample


GROUPS = [
    Group(
        "lasting",
        __name__,
        [Client("calls"), Client("streams"), Client("traced")],
        [
            Row("26a", "growth over 100,000 calls", of("calls", "growth"), 2.0, 0.5, unit="MB"),
            Row("26b", "growth over eight streams of an hour each", of("streams", "growth"), 8.0, 2.0, unit="MB"),
            Row("26c", "growth of Python's own objects by 1,000 calls", of("traced", "bytes"), 1000, 100, unit="bytes"),
        ],
        1,
        1,
    )
]
