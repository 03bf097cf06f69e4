"""Rows 18 and 19: what events, repetitions and tokens cost where nothing is to be told, repeated or fetched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of
from benchmarks.tokens import net_nanoseconds
from benchmarks.worker import Place, Sample


def _net_of(work: Callable[[], object], inner: Callable[[], object], count: int) -> float:
    """Give the nanoseconds of ``work()`` beyond those of ``inner()``, which it calls."""
    return net_nanoseconds(work, count) - net_nanoseconds(inner, count)


def wrapper(place: Place) -> Sample:
    """The parts around an exchange, each alone, with an exchange that is a function that returns."""
    from animus.transport.bearer import BearerValue
    from animus.transport.call import Call

    client = client_of(f"{place.http}/plain/v3")
    assert client.chat.completions(wire.MESSAGES[1:]).text
    session: Any = client.session
    attempts, bearer, emitter = session._attempts, session.auth, session.emitter
    real = session._exchange
    response = client.session.get("/models")
    request: Any = session._templates.prepared(session, "POST", f"{place.http}/plain/v3/chat/completions", {}, b"{}")
    request.headers["Authorization"] = BearerValue("Bearer ")
    call = Call(session.timeouts, session.retry, session.clock)

    def exchange(request: Any, call: Any) -> Any:
        return response

    def sample(count: int) -> Mapping[str, float]:
        attempts._exchange = exchange
        wants = net_nanoseconds(lambda: emitter.heard["request_start"] and None, count)
        wants -= net_nanoseconds(lambda: emitter, count)
        bare = net_nanoseconds(lambda: exchange(request, call), count)
        whole = net_nanoseconds(lambda: attempts.run(request, call, bearer), count) - bare
        without_token = net_nanoseconds(lambda: attempts.run(request, call, None), count) - bare
        attempts._exchange = real
        calls = max(100, count // 100)
        began = time.process_time()
        for _ in range(calls):
            client.chat.completions(wire.MESSAGES[1:])
        per_call = (time.process_time() - began) / calls * 1e9
        return {
            "wants": wants,
            "retry": without_token - 3 * wants,  # so many looks are in it
            "token": whole - without_token,
            "share": (whole + 2 * wants) / per_call * 100,  # message_start and message_complete, too
        }

    return sample


def tenacity(_: Place) -> Sample:
    """What a controller around each call would cost instead."""
    from tenacity import Retrying

    controller = Retrying()

    def nothing() -> None:
        pass

    return lambda count: {"retry": _net_of(lambda: controller(nothing), nothing, max(100, count // 20))}


GROUPS = [
    Group(
        "around an exchange",
        __name__,
        [Client("animus", "wrapper"), Client("animus, twin", "wrapper"), Client("tenacity around each call", "tenacity")],
        [
            Row(
                "18",
                "repetition around a call that succeeds",
                of("animus", "retry"),
                250,
                100,
                unit="ns",
            ),
            Row("19a", "an event that nobody listens to", of("animus", "wants"), 40, 15, unit="ns"),
            Row("19b", "token, events and repetition, of a whole call", of("animus", "share"), 8, 4, unit="%"),
        ],
        50_000,
        11,
        ("animus", "animus, twin", "share"),
        ("retry", "animus"),
        "ns, net of the call",
    )
]
