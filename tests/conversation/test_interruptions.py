"""Signal handlers and the garbage collector run whenever they like, also in a thread that holds a lock of ours: nothing hangs then."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from animus import AnimusClient
from animus.emulator import Emulator
from animus.http import watchdog
from tests.refresh.sources import Caller
from tests.wired import ClientMaker, Heard

_LOCKS: dict[str, Callable[[AnimusClient], Any]] = {
    "conversation": lambda client: client.chat._lock,
    "exchange": lambda client: client.chat._running[0]._lock,
    "history": lambda client: client.chat.history._lock,
    "emitter": lambda client: client._events._lock,
    "waits": lambda client: client._waits._lock,
    "watchdog": lambda client: client.session._watchdog._lock,
    "budget": lambda client: client.session._budget._lock,
    "manager": lambda client: client._manager._lock,
    "flights": lambda client: client._manager._flights._lock,
}


def _abandon(client: AnimusClient, events: list[Any]) -> None:
    """Leave a stream in a circle that only the collector finds."""
    circle: list[Any] = [events.pop()]
    circle.append(circle)
    del circle
    gc.collect()


_ACTS: dict[str, Callable[[AnimusClient, list[Any]], object]] = {
    "closes the client": lambda client, events: client.close(),
    "cancels": lambda client, events: client.chat.cancel_pending_turns(),
    "closes the stream": lambda client, events: events.pop().close(),
    "collects the stream": _abandon,
    "logs out": lambda client, events: client.clear_auth_token(),
    "subscribes": lambda client, events: client.once("message_start", print).cancel(),
}


@pytest.mark.parametrize("act", _ACTS)
@pytest.mark.parametrize("lock", _LOCKS)
def test_who_comes_by_while_a_lock_is_held(
    make_client: ClientMaker, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, lock: str, act: str
) -> None:
    monkeypatch.setattr(watchdog, "_CLOSING", 0.01)
    emulator.script([{"turns": ["a", "b", "c"], "times": None}])
    client = make_client(timeouts={"deadline": 30.0}, chat={"history_size": 9, "auto_turn": {"min_delay": 0, "max_delay": 0}})
    heard = Heard(client, "exchange_cancelled")

    def interrupted() -> None:
        events: list[Any] = [client.chat.stream("Hello", pace=False)]
        for _ in range(4):
            next(events[0])
        with _LOCKS[lock](client):
            _ACTS[act](client, events)
        if events:
            events.pop().close()

    Caller(interrupted).finish()
    assert len(heard.events) == 1
    assert client.chat._running == []
