"""Clients whose threads race: next to no waits, and nothing left behind."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from animus import AnimusClient
from animus._clock import SystemClock
from animus.emulator import Emulator
from tests.wired import CHAT

# no shrinking: what depends on the moment does not come again in the same way
UNSHRUNK = settings(max_examples=25, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])


class Hasty(SystemClock):
    """Waits for some milliseconds at most: long enough to be cut."""

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        return super().wait(event, None if timeout is None else min(timeout, 0.003))


@contextlib.contextmanager
def hurried_client(emulator: Emulator, answers: list[dict[str, Any]], turns: Mapping[str, Any]) -> Iterator[AnimusClient]:
    """Give a fresh client of a fresh emulator; it still talks at the end, and leaves no thread behind."""
    others = set(threading.enumerate())
    emulator.reset()
    emulator.api_key = "opaque-token"
    emulator.script(answers)
    client = AnimusClient(
        lambda: "opaque-token",
        api_base_url=emulator.api_base_url,
        chat={**CHAT, "history_size": 500, "auto_turn": {**turns, "enabled": True}},
        retry=0,
        clock=Hasty(),
    )
    with client:
        yield client
        assert client.chat.send("plain last!", auto_turn=False).text.startswith("plain")
    for thread in set(threading.enumerate()) - others:
        if not thread.name.startswith("animus-emulator"):
            thread.join(10)
            assert not thread.is_alive(), f"{thread.name} is left"
