"""A worker process: one client, imported alone, that measures when it is told to.

It is started by :mod:`benchmarks.processes`, reads a count per line, and answers each with one line of JSON: a number by name.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Sample = Callable[[int], Mapping[str, float]]
"""Does its work so many times, and gives what was measured."""


@dataclass(frozen=True)
class Place:
    """What a client is told: where the server is, and whatever its group says besides.

    Attributes:
        http, https: Origins of the server.
        bundle: A file with all public authorities and the one of the server.
        options: What the group says.
    """

    http: str
    https: str
    bundle: str
    options: Mapping[str, Any] = field(default_factory=dict)


def repeated(work: Callable[[], object]) -> Sample:
    """Give a sample that measures microseconds of CPU and wall time for each ``work()``."""

    def sample(count: int) -> Mapping[str, float]:
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            work()
        return {"cpu": (time.process_time() - cpu) / count * 1e6, "wall": (time.perf_counter() - wall) / count * 1e6}

    return sample


def main() -> None:
    """Make the client that the command line names, and serve its samples."""
    module, maker, place = sys.argv[1:]
    sample: Sample = getattr(importlib.import_module(module), maker)(Place(**json.loads(place)))
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps(dict(sample(int(line)))), flush=True)


if __name__ == "__main__":
    main()
