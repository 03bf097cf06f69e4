"""How soon a wait is cut, and how well a deadline is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of
from benchmarks.worker import Place, Sample

_DEADLINE = 0.3
_UNDER_WAY = 0.1  # seconds until what is to be cut has surely begun


def cut_turns(place: Place) -> Sample:
    """Milliseconds from a cut of turns that wait for their typing delays until ``send`` is back."""
    client = client_of(f"{place.http}/turns-3/v3")

    def sample(_: int) -> Mapping[str, float]:
        ended = [0.0]

        def send() -> None:
            client.chat.send("Hello!", auto_turn={"enabled": True, "min_delay": 5.0, "max_delay": 10.0})
            ended[0] = time.perf_counter()

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(_UNDER_WAY)
        began = time.perf_counter()
        client.chat.cancel_pending_turns()
        thread.join()
        return {"cut": (ended[0] - began) * 1e3}

    return sample


def cut_read(place: Place) -> Sample:
    """The same for the reading of a stream that is silent, closed by another thread."""
    client = client_of(f"{place.http}/paced-5-10000/v3")

    def sample(_: int) -> Mapping[str, float]:
        stream: Any = client.chat.completions(wire.MESSAGES[1:], stream=True)
        ended = [0.0]

        def read() -> None:
            for _ in stream:
                pass
            ended[0] = time.perf_counter()

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(_UNDER_WAY)
        began = time.perf_counter()
        stream.close()
        thread.join()
        return {"cut": (ended[0] - began) * 1e3}

    return sample


def deadline(place: Place) -> Sample:
    """Seconds beyond the deadline of a call whose answer drips for ever."""
    from animus import ApiTimeoutError

    client = client_of(f"{place.http}/drip/v3", timeouts={"deadline": _DEADLINE}, retry=0)

    def sample(_: int) -> Mapping[str, float]:
        began = time.perf_counter()
        try:
            client.chat.completions(wire.MESSAGES[1:])
        except ApiTimeoutError as error:
            assert error.limit == "deadline"
        return {"late": time.perf_counter() - began - _DEADLINE}

    return sample


GROUPS = [
    Group(
        "limits",
        __name__,
        [Client("turns", "cut_turns"), Client("read", "cut_read"), Client("deadline", "deadline")],
        [
            Row("24a", "a cut of turns until send() is back", of("turns", "cut"), 50, 20, unit="ms"),
            Row("24b", "close() of a silent stream until its reader is back", of("read", "cut"), 50, 20, unit="ms"),
            Row("25", "a dripped answer, beyond its deadline", of("deadline", "late"), 0.25, 0.05, unit="s"),
        ],
        1,
        9,
    )
]
