"""How much a call and a frame do, in Python functions called: times would depend on what else the machine does."""

from __future__ import annotations

import types
from collections import Counter
from collections.abc import Callable
from typing import Any

from animus import AnimusClient
from animus.events import Event
from benchmarks import wire
from tests.performance.profiled import answered, called_by
from tests.servers import HttpServer

Serve = Callable[..., HttpServer]
ClientFor = Callable[..., AnimusClient]

# measured with the newest dependencies on Python 3.11, and a quarter more for other versions
MOST_BY_CALL = 430
MOST_BY_FRAME = 40
_QUESTION = wire.MESSAGES[1:]


def _call(client: AnimusClient) -> Callable[[], object]:
    for _ in range(3):  # what is made once
        client.chat.completions(_QUESTION)
    return lambda: client.chat.completions(_QUESTION)


def _read(client: AnimusClient) -> None:
    with client.chat.completions(_QUESTION, stream=True) as stream:
        for _ in stream:
            pass


def _least(call: Callable[[], object]) -> int:
    """Give the functions called by one of several calls: a logger or an import may remember something in any of them."""
    return min(called_by(call).total() for _ in range(5))


def _owned(found: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in found.items() if "/animus/" in name})


def test_a_call_does_little(serve: Serve, client_for: ClientFor) -> None:
    found = called_by(_call(client_for(serve(answered))))
    assert found.total() <= MOST_BY_CALL, found.most_common(30)


def test_a_call_does_the_same_each_time(serve: Serve, client_for: ClientFor) -> None:
    """A memo that grows, or that is missed, would show here."""
    call = _call(client_for(serve(answered)))
    first = _owned(called_by(call))
    for _ in range(50):
        call()
    assert _owned(called_by(call)) == first


def test_a_frame_does_little(serve: Serve, client_for: ClientFor) -> None:
    server = serve(answered)
    some, more = client_for(server, "500"), client_for(server, "2500")
    _read(some)
    _read(more)
    further = called_by(lambda: _read(more)).total() - called_by(lambda: _read(some)).total()
    assert further / 2000 <= MOST_BY_FRAME


def test_a_call_nobody_listens_to_builds_no_event(serve: Serve, client_for: ClientFor) -> None:
    client = client_for(serve(answered), "20")
    seen: list[Any] = []

    def look(frame: types.FrameType) -> None:
        seen.extend(value for value in frame.f_locals.values() if isinstance(value, Event))

    called_by(_call(client), look)
    called_by(lambda: _read(client), look)
    assert seen == []
    client.on("request_start", lambda event: None)
    called_by(lambda: client.chat.completions(_QUESTION), look)
    assert {type(event).__name__ for event in seen} == {"RequestStart"}


def test_a_call_that_succeeds_meets_no_tenacity(serve: Serve, client_for: ClientFor) -> None:
    found = called_by(_call(client_for(serve(answered))))
    assert not [name for name in found if "/tenacity/" in name]


def test_a_call_that_succeeds_meets_little_of_the_loop_that_repeats(serve: Serve, client_for: ClientFor) -> None:
    found = called_by(_call(client_for(serve(answered))))
    loop = {name.rpartition(":")[2]: count for name, count in found.items() if name.rpartition(":")[0].endswith("transport/attempts.py")}
    assert loop == {"run": 1, "_put_token": 1, "_attempt": 1}


def test_a_look_for_listeners_calls_nothing(serve: Serve, client_for: ClientFor) -> None:
    found = called_by(_call(client_for(serve(answered))))
    assert not [name for name in found if name.endswith("_emitter.py:wants")]


def test_the_environment_is_not_walked(serve: Serve, client_for: ClientFor, monkeypatch: Any) -> None:
    """Plain requests decodes all variables four times per call."""
    client = client_for(serve(answered))
    call = _call(client)
    few = _least(call)
    for number in range(400):
        monkeypatch.setenv(f"SOME_SERVICE_{number}_PORT", "tcp://10.0.0.1:80")
    assert _least(call) == few


def test_frames_are_work_in_proportion(serve: Serve, client_for: ClientFor) -> None:
    server = serve(answered)

    def work_of(frames: int) -> int:
        client = client_for(server, str(frames))
        _read(client)
        return _owned(called_by(lambda: _read(client))).total()  # the watchdog is woken or not, by chance

    one, two, four = map(work_of, (300, 600, 1200))
    assert four - two < 2.1 * (two - one)
