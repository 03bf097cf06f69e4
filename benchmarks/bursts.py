"""Rows 20 and 21: 32 threads on one session."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of, ratio
from benchmarks.tokens import connections, forget
from benchmarks.trust import trust
from benchmarks.worker import Place, Sample

THREADS = 32
_PATH = "/chat/completions"


class _Warnings(logging.Handler):
    """Counts what urllib3 warns of: a pool that is full throws the connection away."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0
        logger = logging.getLogger("urllib3.connectionpool")
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


def _in_bursts(call: Callable[[], object], bursts: int) -> float:
    """Have all threads call at once, and wait for all, so many times; give the seconds."""
    gate, failures = threading.Barrier(THREADS + 1), list[BaseException]()

    def run() -> None:
        for _ in range(bursts):
            gate.wait()
            try:
                call()
            except BaseException as error:
                failures.append(error)
            gate.wait()

    return _timed(run, failures, lambda: [gate.wait() for _ in range(2 * bursts)])


def _in_loops(call: Callable[[], object], calls: int) -> float:
    """Have each thread call so often, without waiting for others."""
    gate, failures = threading.Barrier(THREADS + 1), list[BaseException]()

    def run() -> None:
        gate.wait()
        try:
            for _ in range(calls):
                call()
        except BaseException as error:
            failures.append(error)

    return _timed(run, failures, gate.wait)


def _timed(run: Callable[[], None], failures: list[BaseException], lead: Callable[[], object]) -> float:
    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    lead()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.perf_counter() - began


def _sample(place: Place, call: Callable[[], object]) -> Sample:
    warnings, drive = _Warnings(), _in_bursts if place.options["bursts"] else _in_loops

    def sample(count: int) -> Mapping[str, float]:
        forget(place)
        before, began = warnings.count, time.process_time()
        taken = drive(call, count)
        cpu, calls = time.process_time() - began, THREADS * count
        # less the one that asks
        return {"rate": calls / taken, "of CPU": calls / cpu, "warnings": warnings.count - before, "new": connections(place) - 1}

    return sample


def _base(place: Place) -> str:
    trust(place)
    return f"{place.https if place.options.get('tls') else place.http}/{place.options['kind']}/v3"


def animus(place: Place) -> Sample:
    """Our client."""
    client = client_of(_base(place))
    messages = wire.MESSAGES[1:]
    return _sample(place, lambda: client.chat.completions(messages))


def requests(place: Place, pool: int | None = None) -> Sample:
    """A session as people make it; ``pool`` is the size of its pools."""
    url = _base(place) + _PATH
    library = importlib.import_module("requests")
    session: Any = library.Session()
    session.headers["Authorization"] = f"Bearer {wire.TOKEN}"
    if pool is not None:
        for prefix in ("http://", "https://"):
            session.mount(prefix, library.adapters.HTTPAdapter(pool_maxsize=pool))
    return _sample(place, lambda: session.post(url, json=wire.PAYLOAD).json())


def requests_pool(place: Place) -> Sample:
    """A session whose pools hold as many connections as there are threads."""
    return requests(place, THREADS)


def openai(place: Place) -> Sample:
    """openai-python."""
    import ssl

    library = importlib.import_module("openai")
    http = library.DefaultHttpxClient(verify=ssl.create_default_context(cafile=place.bundle))
    client = library.OpenAI(api_key=wire.TOKEN, base_url=_base(place), http_client=http)
    return _sample(place, lambda: client.chat.completions.create(model=wire.MODEL, messages=wire.MESSAGES))


def _clients(options: Mapping[str, Any]) -> list[Client]:
    given = dict(options)
    return [
        Client("animus", options=given),
        Client("requests", options=given),
        Client("requests, twin", "requests", options=given),
        Client("animus, twin", "animus", options=given),
        Client("requests, pool of 32", "requests_pool", options=given),
        Client("openai", needs="openai", options=given),
    ]


# in bursts it is chance which of requests' connections are thrown away; ours are kept, and so are alike
_TWINS = ("animus", "animus, twin", "rate")
_SHOWN = ("rate", "requests")
_RATIO = ratio("animus", "requests", "rate")

GROUPS = [
    Group(
        "32 threads in loops",
        __name__,
        _clients({"kind": "plain", "bursts": False}),
        [Row("21a", "calls a second of 32 threads / requests", ratio("animus", "requests", "of CPU"), 1.8, 2.5, more=True)],
        25,
        9,
        ("animus", "animus, twin", "of CPU"),
        ("of CPU", "requests"),
        "calls a second of CPU",
    ),
    Group(
        "32 threads in bursts",
        __name__,
        _clients({"kind": "slow-20", "bursts": True}),
        [
            Row("20a", "warnings of pools, 32 threads in bursts", of("animus", "warnings"), 0, 0, exact=True),
            Row("20b", "new connections, 32 threads in bursts", of("animus", "new"), 32, 32, exact=True),
        ],
        10,
        5,
        _TWINS,
        _SHOWN,
        "calls a second",
    ),
    Group(
        "32 threads in bursts, TLS",
        __name__,
        _clients({"kind": "slow-20", "bursts": True, "tls": True}),
        [Row("21b", "calls a second of 32 threads in bursts over TLS / requests", _RATIO, 5, 9, more=True)],
        10,
        7,
        _TWINS,
        _SHOWN,
        "calls a second",
        quick_rounds=3,
    ),
]
