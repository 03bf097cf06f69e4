"""Checking what people give as a command and its environment."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from animus import _check
from animus._secret import Secret
from animus.errors import ConfigurationError


def split(command: object) -> list[str]:
    """Give program and arguments; a text is split by POSIX rules, and nothing in it is expanded."""
    if isinstance(command, str):
        try:
            parts: list[object] = list(shlex.split(command))
        except ValueError as error:
            raise ConfigurationError(f"the command line cannot be split: {error}", hint="Quote it as for a shell, or give a list") from None
    elif isinstance(command, Sequence) and not isinstance(command, (bytes, bytearray)):
        parts = [os.fspath(part) if isinstance(part, os.PathLike) else part for part in command]
    else:
        raise _check.refuse("command", command, "a list of texts, or one line")
    if not parts:
        raise ConfigurationError("the command is empty", hint="Give the program, and then its arguments")
    _check.text("command[0]", parts[0])
    return [plain(f"command[{number}]", part) for number, part in enumerate(parts)]


def plain(field: str, value: object) -> str:
    """Give a text that an operating system takes as argument, variable or path."""
    if not isinstance(value, str) or "\0" in value:
        raise _check.refuse(field, value, "a text without NUL in it")
    return value


def variable_names(inherit: object) -> tuple[str, ...]:
    """Give checked names of environment variables, sorted."""
    if isinstance(inherit, str) or not isinstance(inherit, Iterable):
        raise _check.refuse("inherit", inherit, 'a list of names such as ["PATH", "HOME"]')
    return tuple(sorted({_check.text("inherit", name) for name in inherit}))


def checked_variables(env: object) -> dict[str, Any]:
    """Give checked environment variables; values are shown by no error and no ``repr``."""
    if not isinstance(env, Mapping):
        raise _check.refuse("env", env, "a mapping of names to values")
    checked = {}
    for name, value in env.items():
        plain("a name in env", name)
        if not name or "=" in name:
            raise _check.refuse("env", name, "a mapping whose keys are names of variables")
        checked[name] = value if callable(value) else Secret(plain(f"env[{name!r}]", value))
    return checked
