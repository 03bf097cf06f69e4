"""Groups of clients that are measured together, and the rows that are read off them.

The clients of a group are asked in turn, in a new order each round. A row is a number of one round, mostly the ratio of two
clients; what counts is the median over the rounds. A group that measures time has a twin of one client: if twin and client
do not come out alike, something else was running, and the group says nothing.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.processes import Worker, WorkerDied, lacks
from benchmarks.worker import Place

Round = Mapping[str, Mapping[str, float]]
"""What was measured in one round: numbers by client and name."""

VOID_OUTSIDE = (0.95, 1.05)


@dataclass(frozen=True)
class Client:
    """A worker of a group.

    Attributes:
        name: What rows call it.
        maker: The function of the group's module that makes its sample; default: the name.
        needs: A module it is left out without.
        options: What it is told.
        variables: Further environment variables it gets.
        share: Which part of the group's count it does; slow peers do less.
    """

    name: str
    maker: str = ""
    needs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Row:
    """A number with its gate and goal.

    Attributes:
        number: As in the table of targets.
        title: What it is.
        value: Reads it off a round; raises KeyError where a client is missing.
        gate: What fails the build.
        goal: What is aimed at.
        stretch: What may be possible.
        more: Whether more is better.
        exact: No tolerance, and the worst round counts: it is no time.
        peer: Compares with somebody whose speed is not ours: published, and fails nothing.
        unit: Of the number; none for ratios.
        open: Why the gate is not held yet, where that is known: shown as missed, and fails nothing until it is held.
    """

    number: str
    title: str
    value: Callable[[Round], float]
    gate: float
    goal: float
    stretch: float | None = None
    more: bool = False
    exact: bool = False
    peer: bool = False
    unit: str = ""
    open: str = ""


@dataclass(frozen=True)
class Group:
    """Clients that are measured in the same rounds.

    Attributes:
        module: Where their makers are.
        count: How often a client does its work in a round.
        rounds: How many rounds.
        twins: Client and twin, and the number that has to be alike; None where nothing is timed.
        shown: The number that the table of clients shows, and the client it is compared with.
        unit: What ``shown`` is.
        quick_rounds: How many rounds are enough for a quick look.
    """

    name: str
    module: str
    clients: Sequence[Client]
    rows: Sequence[Row]
    count: int
    rounds: int = 15
    twins: tuple[str, str, str] | None = None
    shown: tuple[str, str] | None = None
    unit: str = "us of CPU per call"
    quick_rounds: int = 5


@dataclass(frozen=True)
class Spread:
    """Median and the deciles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Give the spread of some values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        deciles = statistics.quantiles(values, n=10, method="inclusive")
        return cls(statistics.median(values), deciles[0], deciles[-1])


@dataclass(frozen=True)
class Result:
    """What came out of a group.

    Attributes:
        rounds: All that was measured.
        left_out: Clients that are missing, with the reason.
        control: How alike the twins were.
    """

    group: Group
    rounds: Sequence[Round]
    left_out: Mapping[str, str]
    control: Spread | None

    @property
    def is_void(self) -> bool:
        """Whether something else was running."""
        low, high = VOID_OUTSIDE
        return self.control is not None and not low <= self.control.median <= high

    def spread(self, row: Row) -> Spread | None:
        """Give a row's number, None if a client is missing."""
        try:
            found = Spread.of([row.value(each) for each in self.rounds])
        except KeyError:
            return None
        if row.exact:
            worst = found.low if row.more else max(row.value(each) for each in self.rounds)
            return Spread(worst, found.low, found.high)
        return found


def ratio(client: str, baseline: str, number: str = "cpu") -> Callable[[Round], float]:
    """Give the reader of the ratio of two clients."""
    return lambda found: found[client][number] / found[baseline][number]


def of(client: str, number: str) -> Callable[[Round], float]:
    """Give the reader of one number of one client."""
    return lambda found: found[client][number]


def run_group(group: Group, place: Place, home: str, *, count: int, rounds: int, seed: int = 0) -> Result:
    """Measure a group.

    Args:
        count, rounds: Instead of the group's own.

    Raises:
        WorkerDied: a client that is no peer failed. (A peer that fails is left out.)
    """
    left_out: dict[str, str] = {}
    workers: list[Worker] = []
    ours = {client.name for client in group.clients if client.needs is None}
    shares = {client.name: client.share for client in group.clients}
    found: list[dict[str, Mapping[str, float]]] = []

    def each(act: Callable[[Worker], object]) -> None:
        for worker in list(workers):
            try:
                act(worker)
            except WorkerDied as error:
                if worker.name in ours:
                    raise
                left_out[worker.name] = f"it failed: {error}"
                workers.remove(worker)
                worker.close()

    def measure(worker: Worker) -> None:
        found[-1][worker.name] = worker.sample(max(1, round(count * shares[worker.name])))

    try:
        for client in group.clients:
            reason = lacks(client.needs)
            if reason is not None:
                left_out[client.name] = reason
                continue
            told = Place(place.http, place.https, place.bundle, client.options)
            workers.append(
                Worker(client.name, group.module, client.maker or client.name, told, home=home, variables=client.variables)
            )
        each(lambda worker: worker.ready())
        each(lambda worker: worker.sample(max(1, round(count * shares[worker.name] / 4))))
        shuffled = random.Random(seed)
        for _ in range(rounds):
            shuffled.shuffle(workers)
            found.append({})
            each(measure)
    finally:
        for worker in workers:
            worker.close()
    return Result(group, found, left_out, _control(group, found))


def _control(group: Group, found: Sequence[Round]) -> Spread | None:
    if group.twins is None:
        return None
    one, two, number = group.twins
    return Spread.of([each[two][number] / each[one][number] for each in found])
