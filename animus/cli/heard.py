"""Listening to everything a client says, and showing it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from rich.table import Table

from animus._clock import SYSTEM_CLOCK, Clock
from animus.cli.terminal import harmless
from animus.events import SIGNALS, Event

if TYPE_CHECKING:
    from animus.client import AnimusClient

_LONGEST = 60
_IDENTIFIERS = {"chat_id", "conversation_id", "message_type"}  # the same in every line


class Heard:
    """The events of a client since this was made, in order."""

    def __init__(self, client: AnimusClient, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.events: list[tuple[float, Event]] = []
        for name in SIGNALS:
            client.on(name, self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append((self._clock.monotonic() - self._began, event))

    def named(self, name: str) -> list[Event]:
        """Give the events of that name."""
        return [event for _, event in self.events if event.name == name]

    def table(self) -> Table:
        """Give all as a table: neighbours of one name are one line."""
        table = Table("ms", "event", "what it said", box=None, pad_edge=False, header_style="bold")
        table.columns[0].justify = "right"
        for position, (when, event) in enumerate(self.events):
            if position and self.events[position - 1][1].name == event.name:
                continue
            alike = 1
            while position + alike < len(self.events) and self.events[position + alike][1].name == event.name:
                alike += 1
            table.add_row(f"{when * 1000:.0f}", f"{event.name} ×{alike}" if alike > 1 else event.name, said(event))
        return table


def said(event: Event) -> str:
    """Give the fields of an event that differ from their defaults, in one line."""
    parts = []
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in _IDENTIFIERS or (field.default is not MISSING and value == field.default):
            continue
        parts.append(f"{field.name}={value:.3f}" if isinstance(value, float) else f"{field.name}={value}")
    line = harmless(" ".join(" ".join(parts).split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
