"""Listening to everything a client says, and showing it."""

from __future__ import annotations

from dataclasses import MISSING, fields
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from animus._clock import SYSTEM_CLOCK, Clock
from animus.cli.terminal import harmless
from animus.events import SIGNALS, Event

if TYPE_CHECKING:
    from animus.client import AnimusClient

_BEFORE = 30  # characters of the other columns
_PIECES = {"message_tokens", "message_progress"}
_ALWAYS_THE_SAME = {"chat_id", "conversation_id", "message_type", "source"}
_NEEDS_NO_NAME = {"content", "method", "path"}


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

    def table(self, width: int) -> Table:
        """Give all as a table of ``width`` characters; the pieces of one stream are one line for each name."""
        room = max(width - _BEFORE, 20)
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("ms", justify="right")
        table.add_column("event")
        table.add_column("what it said")
        for _, run in groupby(self.events, key=_row_of):
            by_name: dict[str, list[tuple[float, Event]]] = {}
            for when, event in run:
                by_name.setdefault(event.name, []).append((when, event))
            for name, alike in by_name.items():
                times = f" ×{len(alike)}" if len(alike) > 1 else ""
                table.add_row(f"{alike[0][0] * 1000:.0f}", name + times, Text(_cut(said(alike[-1][1]), room)))
        return table


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _row_of(entry: tuple[float, Event]) -> object:
    return "pieces" if entry[1].name in _PIECES else id(entry[1])


def said(event: Event) -> str:
    """Give the fields of an event that differ from their defaults, in one line."""
    parts = []
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in _ALWAYS_THE_SAME or (field.default is not MISSING and value == field.default):
            continue
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        parts.append(shown if field.name in _NEEDS_NO_NAME else f"{field.name}={shown}")
    return harmless(" ".join(" ".join(parts).split()))
