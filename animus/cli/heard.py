"""Listening to everything a client says, and showing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from itertools import groupby
from typing import TYPE_CHECKING

from animus._clock import SYSTEM_CLOCK, Clock
from animus.cli.terminal import harmless
from animus.events import SIGNALS, Event

if TYPE_CHECKING:
    from animus.client import AnimusClient

_NAMES = len("image_generation_complete")
_NOT_SHOWN = {"request_start", "message_progress"}  # the events beside them say more
_ALWAYS_THE_SAME = {"chat_id", "conversation_id", "source"}
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

    def table(self, width: int) -> Iterator[str]:
        """Give them as lines of at most ``width`` characters; the pieces of one stream share a line."""
        yield f"{'ms':>6}  {'event':{_NAMES}}  what it said"
        shown = [entry for entry in self.events if entry[1].name not in _NOT_SHOWN]
        for _, run in groupby(shown, key=_row_of):
            alike = list(run)
            when, event = alike[0]
            name = event.name if len(alike) == 1 else f"{event.name} ×{len(alike)}"
            line = f"{when * 1000:6.0f}  {name:{_NAMES}}  {said(event)}"
            yield line if len(line) <= width else f"{line[: width - 1]}…"


def _row_of(entry: tuple[float, Event]) -> object:
    return "pieces" if entry[1].name == "message_tokens" else id(entry[1])


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
