"""Rows 16 and 17: asking for a token that is there, and a thousand threads that ask for one that is not."""

from __future__ import annotations

import datetime
import importlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import wire
from benchmarks.measure import Client, Group, Row, of, ratio
from benchmarks.worker import Place, Sample

ROUTE_MILLISECONDS = 50


def asked(place: Place, kind: str) -> int:
    """Give how many requests of a kind the server had since it was last told to forget."""
    with urllib.request.urlopen(f"{place.http}/counts") as answer:
        return int(json.load(answer)["requests"].get(kind, 0))


def connections(place: Place) -> int:
    """Give how many connections, this question's included."""
    with urllib.request.urlopen(f"{place.http}/counts") as answer:
        return int(json.load(answer)["connections"])


def forget(place: Place) -> None:
    """Have the server count anew."""
    urllib.request.urlopen(f"{place.http}/forget").close()


def net_nanoseconds(work: Callable[[], object], count: int) -> float:
    """Give the CPU nanoseconds of ``work()`` without those of the loop and of a call of nothing."""

    def nothing() -> None:
        pass

    def taken(called: Callable[[], object]) -> float:
        began = time.process_time()
        for _ in range(count):
            called()
        return time.process_time() - began

    return (taken(work) - taken(nothing)) / count * 1e9


def manager(_: Place) -> Sample:
    """Our manager with a fresh token in it."""
    from animus import StaticTokenSource
    from animus._clock import SYSTEM_CLOCK
    from animus.refresh.manager import TokenManager

    token = TokenManager(StaticTokenSource(wire.TOKEN), clock=SYSTEM_CLOCK).token
    return lambda count: {"ns": net_nanoseconds(token, count)}


def _google_credentials(fetch: Callable[[Any], str]) -> Any:
    """Give credentials for nobody in particular: those of Google's own services ask for a region besides."""
    base = importlib.import_module("google.auth.credentials").Credentials

    class Plain(base):  # type: ignore[misc, valid-type]
        def refresh(self, request: Any) -> None:
            self.token = fetch(request)
            self.expiry = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + datetime.timedelta(hours=1)

    return Plain()


def google_before_request(_: Place) -> Sample:
    """What google-auth does before each request."""
    credentials = _google_credentials(lambda request: wire.TOKEN)
    credentials.refresh(None)
    headers: dict[str, str] = {}
    return lambda count: {"ns": net_nanoseconds(lambda: credentials.before_request(None, "POST", "https://a/", headers), count)}


def _storm(ask: Callable[[], object], threads: int = 1000) -> float:
    """Have so many threads ask at once; give the milliseconds until the last one has its answer."""
    gate, failures = threading.Barrier(threads + 1), list[BaseException]()
    ended = [0.0] * threads

    def run(number: int) -> None:
        gate.wait()
        try:
            ask()
        except BaseException as error:
            failures.append(error)
        ended[number] = time.perf_counter()

    pool = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in pool:
        thread.start()
    gate.wait()
    began = time.perf_counter()
    for thread in pool:
        thread.join()
    if failures:
        raise failures[0]
    return (max(ended) - began) * 1e3


def cold_storm(place: Place) -> Sample:
    """A thousand threads with no token, then with one; and one thread alone with no token."""
    from animus import UrlTokenSource
    from animus._clock import SYSTEM_CLOCK
    from animus.refresh.manager import TokenManager

    source: Any = UrlTokenSource(f"{place.http}/token-{ROUTE_MILLISECONDS}/a")

    def sample(_: int) -> Mapping[str, float]:
        alone, many = (TokenManager(source, clock=SYSTEM_CLOCK) for _ in range(2))
        began = time.perf_counter()
        alone.token()
        refresh = (time.perf_counter() - began) * 1e3
        forget(place)
        cold = _storm(many.token)
        requests = asked(place, "token")
        hits = _storm(many.token)
        return {"requests": requests, "last": cold, "refresh": refresh, "hits": hits, "over": (cold - refresh) / hits}

    return sample


def google_storm(place: Place) -> Sample:
    """The same with google-auth, whose credentials fetch in each thread that finds none."""
    transport = importlib.import_module("google.auth.transport.requests")
    import requests

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))

    def fetch(request: Any) -> str:
        return str(json.loads(request(f"{place.http}/token-{ROUTE_MILLISECONDS}/a").data)["access_token"])

    def sample(_: int) -> Mapping[str, float]:
        credentials, request = _google_credentials(fetch), transport.Request(session)
        forget(place)
        last = _storm(lambda: credentials.before_request(request, "POST", "https://a/", {}))
        return {"requests": asked(place, "token"), "last": last}

    return sample


GROUPS = [
    Group(
        "token that is there",
        __name__,
        [
            Client("animus", "manager"),
            Client("animus, twin", "manager"),
            Client("google before_request", "google_before_request", "google.auth", share=0.1),
        ],
        [
            Row("16a", "token that is there", of("animus", "ns"), 150, 75, unit="ns"),
            Row("16b", "the same / google before_request", ratio("animus", "google before_request", "ns"), 0.10, 0.03, peer=True),
        ],
        300_000,
        11,
        ("animus", "animus, twin", "ns"),
        ("ns", "animus"),
        "ns, net of the loop",
    ),
    Group(
        "token that is not there, 1,000 threads",
        __name__,
        [Client("animus", "cold_storm"), Client("google-auth", "google_storm", "google.auth")],
        [
            Row("17a", "token requests of 1,000 threads", of("animus", "requests"), 1, 1, exact=True),
            Row("17b", "last thread, beyond one fetch / 1,000 threads that all find it", of("animus", "over"), 3.0, 1.5),
        ],
        1,
        7,
        None,
        ("last", "animus"),
        "ms until the last thread",
    ),
]
