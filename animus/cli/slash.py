"""The commands of a chat: lines that begin with a slash."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from animus.conversation.history import ChatHistory
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from animus.conversation.chat import Conversation

_SAVED = "/load takes a file that /save wrote"
HELP = """\
/save PATH     write the conversation to a file
/load PATH     go on with one that was saved
/clear         forget what was said
/system TEXT   change the system message; without TEXT, show it
/help          show this
/quit          leave; Ctrl-D does it, too
//TEXT         send a message that begins with a slash
Ctrl-C cuts the answer that is being given; pressed again at the empty prompt, it leaves."""


def load(path: str) -> ChatHistory:
    """Give a saved history.

    Raises:
        ConfigurationError: it cannot be read, or is none; one line with a hint.
    """
    try:
        return ChatHistory.load(Path(path).expanduser())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}", hint=_SAVED) from error
    except ValueError as error:
        raise ConfigurationError(str(error), hint=_SAVED) from error


class SlashCommands:
    """Runs commands on a conversation; each gives what is to be said about it, or None to leave."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def run(self, line: str) -> str | None:
        """Run a line such as ``/save tides.json``.

        Raises:
            ConfigurationError: there is no such command, or it cannot be done; one line with a hint.
        """
        name, _, rest = line[1:].partition(" ")
        command = _COMMANDS.get(name.lower())
        if command is None:
            near = difflib.get_close_matches(name.lower(), _COMMANDS, 1)
            hint = f"Did you mean /{near[0]}?" if near else "/help lists the commands; // sends a text that begins with a slash"
            raise ConfigurationError(f"there is no command /{name}", hint=hint)
        return command(self, rest.strip())

    def _save(self, path: str) -> str:
        target = Path(_demanded("/save", path)).expanduser()
        if target.exists():
            load(path)  # somebody else's file is not to be replaced
        try:
            self._conversation.history.save(target)
        except OSError as error:
            hint = "Is the folder there, and may you write to it?"
            raise ConfigurationError(f"{path} cannot be written: {error.strerror or error}", hint=hint) from error
        return f"{len(self._conversation.history)} messages saved to {path}"

    def _load(self, path: str) -> str:
        count = self._conversation.set_chat_history(load(_demanded("/load", path)))
        return f"{count} messages loaded"

    def _clear(self, rest: str) -> str:
        return f"{self._conversation.clear_chat_history()} messages forgotten"

    def _system(self, text: str) -> str:
        if text:
            self._conversation.update_config({"system_message": text})
        return f"system message: {self._conversation.config.system_message}"

    def _help(self, rest: str) -> str:
        return HELP

    def _quit(self, rest: str) -> None:
        return None


_COMMANDS: Mapping[str, Callable[[SlashCommands, str], str | None]] = MappingProxyType({
    "save": SlashCommands._save,
    "load": SlashCommands._load,
    "clear": SlashCommands._clear,
    "system": SlashCommands._system,
    "help": SlashCommands._help,
    "quit": SlashCommands._quit,
    "exit": SlashCommands._quit,
})


def _demanded(command: str, path: str) -> str:
    if not path:
        raise ConfigurationError(f"{command} needs the path of a file", hint=f"For example: {command} tides.json")
    return path
