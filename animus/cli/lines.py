"""Lines from standard input: from a terminal with a prompt and editing, else one after the other."""

from __future__ import annotations

import io
import sys

_PROMPT = "> "


class Lines:
    """Reads lines. ``interactive`` tells whether somebody sits in front of it."""

    def __init__(self) -> None:
        self.interactive: bool = sys.stdin.isatty() and sys.stdout.isatty()
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")  # a stray byte is no reason to end a conversation
        if self.interactive:
            try:
                import readline  # noqa: F401  # its import gives input() editing and a memory of lines
            except ImportError:  # Windows, whose console has both itself
                pass

    def next(self) -> str | None:
        """Give the next line without its end; None if there is none.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        if not self.interactive:
            line = sys.stdin.readline()
            return line.rstrip("\r\n") if line else None
        try:
            return input(_PROMPT)
        except EOFError:
            return None

    @property
    def left_over(self) -> str:
        """What had been typed when Ctrl-C was pressed, as far as it is known."""
        module = sys.modules.get("readline")
        return module.get_line_buffer() if self.interactive and module is not None else ""
