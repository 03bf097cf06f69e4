from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.events import Emitter, Event
from animus.refresh.manager import TokenManager
from animus.testing import ManualClock


class Heard:
    """An emitter, and all token events it emitted."""

    def __init__(self) -> None:
        self.emitter = Emitter()
        self.events: list[Event] = []
        for name in ("token_refreshed", "token_refresh_failed", "token_cleared"):
            self.emitter.on(name, self.events.append)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1795600000.0)


@pytest.fixture
def managed(clock: ManualClock, heard: Heard) -> Iterator[Callable[..., TokenManager]]:
    """Makes managers with the manual clock, and closes them."""
    made: list[TokenManager] = []

    def manage(source: Any, **settings: Any) -> TokenManager:
        manager = TokenManager(source, **{"clock": clock, "emitter": heard.emitter, **settings})
        made.append(manager)
        return manager

    yield manage
    for manager in made:
        manager.close()
