"""Scripted answers: what the emulator is to say, one answer after the other.

A script is a JSON list of answers, or ``{"strict": true, "answers": [...]}``; in Python the same lists and mappings. A request takes
the first answer that is for it and not used up. When none is left the emulator answers by itself, or, if the script is strict, with
status 500 and a text that says so. An answer is a string (its content) or an object with some of these keys:

=========================  ==============================================================================================
``content``                the text; null for none
``reasoning``              the thinking
``turns``, ``next``        the text in pieces; whether the model wants to go on
``image_prompt``           the picture that was promised
``tool_calls``             list of ``{"name", "arguments"}`` (an object, or the exact text), or of complete calls as on the wire
``finish_reason``          default ``stop``, or ``tool_calls`` with those; null is possible
``usage``                  token counts; null leaves them out; by default words are counted
``compliance_violations``  list of categories
``chunks``                 how a stream cuts the text; without ``content`` they are the content
``chunk_delay``            seconds between the chunks of a stream
-------------------------  ----------------------------------------------------------------------------------------------
``json``                   instead of all above: the exact JSON body
``body``                   the same, for a text that need not be JSON
``sse``                    the same, for a stream: list of frames, each ``{"json": …}``, ``{"data": "text"}``, ``{"done": true}``,
                           ``{"raw": "exact text"}`` or ``{"sleep": seconds}``; no ``[DONE]`` is added
``status``                 HTTP status, with ``json``, ``body``, or alone: an error in the emulator's style
-------------------------  ----------------------------------------------------------------------------------------------
``headers``                further headers
``delay``                  seconds before the answer
``when``                   which requests it is for: ``{"contains": text}`` (the last user message, or the prompt of an image,
                           whatever the case), ``{"path": "/generate/image"}`` (the end of the path; default: ``/chat/completions``)
``times``                  how often it may be used (default 1; null: always)
``about``                  a note, ignored
=========================  ==============================================================================================

An example is ``examples/emulator-script.json``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animus import _fork
from animus.emulator.recording import path_matches
from animus.emulator.scripted import ScriptedAnswer, read_answer
from animus.errors import ConfigurationError

_SCRIPT_KEYS = ("strict", "answers", "about")


@dataclass(slots=True)
class _Entry:
    answer: ScriptedAnswer
    left: int | None

    def takes(self, path: str, text: str) -> bool:
        wanted = self.answer
        return self.left != 0 and path_matches(wanted.path, path) and (wanted.contains is None or wanted.contains.lower() in text.lower())


class Script:
    """Answers in order, and what is left of them. Thread-safe."""

    def __init__(self, answers: Iterable[Any] = (), *, strict: bool = False) -> None:
        """Take answers as described above.

        Raises:
            ConfigurationError: one of them is not as it should be; the message says which and why.
        """
        self.strict: bool = strict
        parsed = [read_answer(answer, f"answer {number} of the script") for number, answer in enumerate(answers, 1)]
        self._entries = [_Entry(answer, answer.times) for answer in parsed]
        self._lock = threading.Lock()  # guards the entries and their counts
        _fork.register(self)

    @classmethod
    def of(cls, value: Script | str | Path | Mapping[str, Any] | Iterable[Any]) -> Script:
        """Give the script that ``value`` is, describes, or is the path of."""
        if isinstance(value, Script):
            return value
        if isinstance(value, (str, Path)):
            return cls.load(value)
        if not isinstance(value, Mapping):
            return cls(value)
        for key in value:
            if key not in _SCRIPT_KEYS:
                raise ConfigurationError(f"A script has no key {key!r}", hint=f"Known are: {', '.join(_SCRIPT_KEYS)}")
        answers, strict = value.get("answers"), value.get("strict", False)
        if not isinstance(answers, (list, tuple)) or not isinstance(strict, bool):
            raise ConfigurationError('A script is a list of answers, or an object with "answers" (a list) and "strict" (true or false)')
        return cls(answers, strict=strict)

    @classmethod
    def load(cls, path: str | Path) -> Script:
        """Read a script file (JSON, UTF-8).

        Raises:
            ConfigurationError: it cannot be read, is no JSON, or no script.
        """
        try:
            value = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise ConfigurationError(f"The script {path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ConfigurationError(f"The script {path} is no JSON: {error}") from error
        if not isinstance(value, (dict, list)):
            raise ConfigurationError(f"The script {path} is neither a list of answers nor an object with them")
        try:
            return cls.of(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error

    @property
    def left(self) -> int:
        """How many answers are not used up; those that may be used always count as one."""
        return sum(1 if entry.left is None else entry.left for entry in self._entries)

    def extend(self, other: Script, *, strict: bool | None = None) -> None:
        """Append the answers of another script, all unused; be strict if it is, or as told."""
        fresh = [_Entry(entry.answer, entry.answer.times) for entry in other._entries]
        with self._lock:
            self._entries += fresh
            self.strict = (self.strict or other.strict) if strict is None else strict

    def take(self, path: str, text: str) -> ScriptedAnswer | None:
        """Give the answer for a request to ``path`` whose user said ``text``, and count it as used."""
        with self._lock:
            for entry in self._entries:
                if entry.takes(path, text):
                    if entry.left is not None:
                        entry.left -= 1
                    return entry.answer
        return None

    def clear(self) -> None:
        """Forget all answers."""
        with self._lock:
            self._entries = []
            self.strict = False

    def __repr__(self) -> str:
        return f"<Script {self.left} answers left{', strict' if self.strict else ''}>"

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
