"""Exchanges on a terminal: text as it arrives, what else happens in lines of its own."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Any, cast

import click
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.style import Style
from rich.text import Text

from animus.cli.failures import one_line
from animus.cli.terminal import harmless, write
from animus.events import (
    Event,
    ImageGenerationComplete,
    ImageGenerationError,
    ImageGenerationStart,
    MessageComplete,
    MessageError,
    MessageStart,
    MessageTokens,
    ToolCallComplete,
    ToolCallError,
    ToolCallStart,
)

_TYPING = "typing…"
_LONGEST_NOTE = 300  # characters of what a tool was given or gave, and of a URL (it may hold the image itself)


class Screen:
    """Writes to standard output. On a terminal it shows, too, when somebody types; what else is shown is the same everywhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._is_typing = False
        self._line_is_open = False
        self._was_streamed = False

    def follow(self, events: Iterator[Event]) -> None:
        """Show an exchange as it goes, and end its last line whatever ends it. Leaving it half-way closes ``events``."""
        try:
            with closing(cast("Generator[Event, None, None]", events)):
                for event in events:
                    self.show(event)
        finally:
            self.end_line()

    def show(self, event: Event) -> None:
        """Show one event; those that say nothing to a reader are left out."""
        shown = _SHOWN.get(type(event))
        if shown is not None:
            shown(self, event)

    def note(self, text: str) -> None:
        """Write a line beside the conversation."""
        self.end_line()
        self._console.print(Text(harmless(text), "dim"))

    def complain(self, error: BaseException) -> None:
        """Write a failure as one line on standard error."""
        self.end_line()
        click.echo(f"animus: {one_line(error)}", err=True)

    def end_line(self) -> None:
        """Go to the beginning of a line."""
        self._stop_typing()
        if self._line_is_open:
            self._line_is_open = False
            write("\n")

    def new_line(self) -> None:
        """Leave the line that holds what was typed at the prompt."""
        write("\n")

    # ---- typing ----------------------------------------------------------------------------------------

    def _type(self) -> None:
        """Show that something is on its way, where it can be taken away again."""
        if self._console.is_terminal and not self._console.is_dumb_terminal and not self._is_typing:
            self.end_line()
            self._is_typing = True
            self._console.print(Text(_TYPING, "dim"), end="")

    def _stop_typing(self) -> None:
        if self._is_typing:
            self._is_typing = False
            self._console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))

    # ---- events ----------------------------------------------------------------------------------------

    def _begin(self, event: MessageStart) -> None:
        self._was_streamed = False
        if event.delay != 0:  # None: the model thinks; 0: a turn that is said at once
            self._type()

    def _write(self, event: MessageTokens) -> None:
        self._stop_typing()
        self._was_streamed = self._line_is_open = True
        write(event.content)

    def _complete(self, event: MessageComplete) -> None:
        self._stop_typing()
        if event.content and not self._was_streamed:
            self._line_is_open = True
            write(event.content)
        self._was_streamed = False
        self.end_line()
        if event.compliance_violations:
            self.note(f"flagged: {', '.join(event.compliance_violations)}")

    def _fail(self, event: MessageError) -> None:
        if event.message_type == "followup":  # that of a first answer is raised
            self.complain(event.error)

    def _draw(self, event: ImageGenerationStart) -> None:
        self.note(f"drawing: {_short(event.prompt)}")

    def _link(self, event: ImageGenerationComplete) -> None:
        self.end_line()
        url = harmless(event.image_url)
        self._console.print(Text.assemble("image: ", (_short(url), Style(link=url))))

    def _fail_to_draw(self, event: ImageGenerationError) -> None:
        self.complain(event.error)

    def _call(self, event: ToolCallStart) -> None:
        self.note(f"calls {event.tool_name} {_short(event.arguments)}")

    def _result(self, event: ToolCallComplete) -> None:
        self.note(f"{event.tool_name} gives {_short(event.result)}")

    def _no_result(self, event: ToolCallError) -> None:
        self.note(f"{event.tool_name} fails: {_short(one_line(event.error))}")


_SHOWN: Mapping[type[Event], Callable[[Screen, Any], None]] = MappingProxyType({
    MessageStart: Screen._begin,
    MessageTokens: Screen._write,
    MessageComplete: Screen._complete,
    MessageError: Screen._fail,
    ImageGenerationStart: Screen._draw,
    ImageGenerationComplete: Screen._link,
    ImageGenerationError: Screen._fail_to_draw,
    ToolCallStart: Screen._call,
    ToolCallComplete: Screen._result,
    ToolCallError: Screen._no_result,
})


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_NOTE else f"{line[: _LONGEST_NOTE - 1]}…"
