"""Docstrings: what a function does and what its parameters mean, in Google's, NumPy's and Sphinx's style."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

_PARAMETERS = r"(?:args|arguments|parameters|params|keyword args|keyword arguments|keyword parameters|other parameters)"
_HEAD = re.compile(rf"{_PARAMETERS}\s*:?\s*$", re.IGNORECASE)
_GOOGLE_HEAD = re.compile(rf"(?:{_PARAMETERS}|returns?|yields?|raises|examples?|notes?|warnings?|see also|todo)\s*:\s*$", re.IGNORECASE)
_NUMPY_RULE = re.compile(r"-{3,}\s*$")
_FIELD = re.compile(r"\s*:\w[^:]*:")
# "name: text", "name (type, optional): text", "x, y: text"; a type may hold one level of brackets of its own
_GOOGLE_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?:\((?:[^()]|\([^()]*\))*\))?\s*:\s*(.*)$")
_NUMPY_ENTRY = re.compile(r"(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?$")
_SPHINX_ENTRY = re.compile(r"\s*:(?:param|parameter|arg|argument|key|keyword)\s+(?:[^:]*\s)?(\*{0,2}\w+)\s*:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says.

    Attributes:
        description: Its first paragraph, as one line; None if it has none.
        parameters: The text of each parameter it describes, as one line.
    """

    description: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(text: str | None) -> Docstring:
    """Read a docstring, whatever its style.

    >>> read_docstring("Give the weather.\\n\\nArgs:\\n    city: The city,\\n        by name.")
    Docstring(description='Give the weather.', parameters={'city': 'The city, by name.'})
    """
    if not text:
        return Docstring()
    lines = inspect.cleandoc(text).splitlines()
    described: dict[str, str] = {}
    for names, words in (*_google(lines), *_numpy(lines), *_sphinx(lines)):
        joined = _joined(words)
        for name in names.split(","):
            if joined:
                described.setdefault(name.strip().lstrip("*"), joined)
    return Docstring(_joined(_first_paragraph(lines)) or None, described)


def _joined(lines: Iterable[str]) -> str:
    return " ".join(" ".join(lines).split())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _first_paragraph(lines: list[str]) -> Iterator[str]:
    for index, line in enumerate(lines):
        underlined = index + 1 < len(lines) and _NUMPY_RULE.match(lines[index + 1])
        if not line.strip() or underlined or _GOOGLE_HEAD.match(line) or _FIELD.match(line):
            return
        yield line


def _google(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give the entries of ``Args:`` sections: indented lines, each entry at the indent of the first."""
    for start, line in enumerate(lines):
        if _HEAD.match(line) and _GOOGLE_HEAD.match(line):
            block = _until(lines[start + 1 :], lambda line: bool(line.strip()) and not _indent(line))
            depth = min((_indent(line) for line in block if line.strip()), default=0)
            yield from _entries(block, depth, _GOOGLE_ENTRY)


def _numpy(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give the entries of underlined ``Parameters`` sections: names at the margin, their texts indented."""
    for start, line in enumerate(lines[:-1]):
        if _HEAD.match(line) and _NUMPY_RULE.match(lines[start + 1]):
            rest = lines[start + 2 :]
            block = _until(rest, lambda line: bool(_NUMPY_RULE.match(line)))
            if len(block) < len(rest):  # the last line of the block is the head of the next section
                block = block[:-1]
            yield from _entries(block, 0, _NUMPY_ENTRY)


def _sphinx(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Give the ``:param name: text`` fields; each goes on to a blank line or the next field."""
    for start, line in enumerate(lines):
        if match := _SPHINX_ENTRY.match(line):
            further = _until(lines[start + 1 :], lambda line: not line.strip() or bool(_FIELD.match(line)))
            yield match[1], [match[2], *further]


def _until(lines: list[str], is_end: Callable[[str], bool]) -> list[str]:
    for index, line in enumerate(lines):
        if is_end(line):
            return lines[:index]
    return lines


def _entries(block: list[str], depth: int, entry: re.Pattern[str]) -> Iterator[tuple[str, list[str]]]:
    names, words = "", [""]
    for line in block:
        match = entry.match(line.strip()) if line.strip() and _indent(line) == depth else None
        if match is None:
            words.append(line)
            continue
        if names:
            yield names, words
        names, words = match[1], [match[2] if entry.groups > 1 else ""]
    if names:
        yield names, words
