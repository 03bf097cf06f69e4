"""The loop of a chat: a line is read, what it says is done, and nothing but the user's wish ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from animus.cli.failures import exit_code
from animus.cli.lines import Lines
from animus.cli.screen import Screen
from animus.cli.slash import SlashCommands

if TYPE_CHECKING:
    from animus.conversation.chat import Conversation


class Talk:
    """A conversation with somebody at a terminal, or with the lines of a pipe or file."""

    def __init__(self, conversation: Conversation, screen: Screen, lines: Lines) -> None:
        self._conversation = conversation
        self._screen = screen
        self._lines = lines
        self._commands = SlashCommands(conversation)
        self._is_over = False
        self._is_asking = False
        self._was_interrupted = False
        self._code = 0

    def run(self) -> int:
        """Talk until there is no more to be said; give the exit code.

        That is 0 at a terminal; for a pipe or file it is the last failure's.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, and there is no terminal to go on with.
        """
        while not self._is_over:
            try:
                self._step()
            except KeyboardInterrupt:
                if not self._lines.interactive:
                    raise
                self._interrupt()
        return 0 if self._lines.interactive else self._code

    def _step(self) -> None:
        self._is_asking = True
        line = self._lines.next()
        self._is_asking = False
        if line is None:
            self._is_over = True
            if self._lines.interactive:
                self._screen.new_line()
        elif line.strip():
            self._was_interrupted = False
            self._answer(line)

    def _answer(self, line: str) -> None:
        try:
            if line.startswith("/") and not line.startswith("//"):
                said = self._commands.run(line)
                if said is None:
                    self._is_over = True
                else:
                    self._screen.note(said)
            else:
                text = line[1:] if line.startswith("//") else line
                self._screen.follow(self._conversation.stream(text))
        except BrokenPipeError:  # of standard output: those of sockets come as errors of the package
            raise
        except Exception as error:
            self._screen.complain(error)
            self._code = exit_code(error)

    def _interrupt(self) -> None:
        """Go on after Ctrl-C, or leave: at the empty prompt, when it is pressed a second time."""
        if not self._is_asking:
            self._screen.note("(cut)")
        else:
            self._screen.new_line()
            if self._was_interrupted and not self._lines.left_over:
                self._is_over = True
            elif not self._was_interrupted:
                self._screen.note("Ctrl-C once more, or Ctrl-D, leaves")
        self._was_interrupted = True
