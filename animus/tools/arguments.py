"""Arguments: the JSON text a model wrote, as values of the function's types."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from animus._secret import scrub
from animus.errors import ToolError
from animus.models.answer import ShapeError, loads, mend
from animus.tools.schema import Field

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LONGEST_PROBLEM = 200  # msgspec quotes the value of a wrong enum member, whatever its length


def read_arguments(text: str, fields: Sequence[Field], tool: str) -> dict[str, Any]:
    """Give the arguments of a call, checked and converted; only those that the model gave.

    Conversion is lenient, as models are not exact: ``"3"`` is taken for 3, ``"true"`` for True. An empty text means no
    arguments, and ``null`` for a parameter that has a default and does not take None means that it is not given.

    Raises:
        ToolError: the text says all that is wrong and where, for the model to read.
    """
    given = _members(text, tool)
    values: dict[str, Any] = {}
    problems: list[str] = []
    for field in fields:
        name = field.parameter.name
        if name not in given:
            if field.parameter.is_required:
                problems.append(f"{name} is missing")
            continue
        try:
            values[name] = field.decoder.decode(given[name])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if bytes(given[name]) != b"null" or field.parameter.is_required:
                problems.append(_problem(name, error))
    known = [field.parameter.name for field in fields]
    problems += [_unknown(name, known) for name in given if name not in known]
    if problems:
        raise _refused(tool, "; ".join(problems))
    return values


def canonical(text: str) -> str:
    """Give the same text for arguments that mean the same: spacing and the order of keys do not count.

    >>> canonical('{"b": 1, "a": [2]}') == canonical('{"a":[2],"b":1}')
    True
    """
    try:
        return json.dumps(loads(text or "{}"), sort_keys=True)
    except (ShapeError, RecursionError):
        return text.strip()


def _members(text: str, tool: str) -> Mapping[str, msgspec.Raw]:
    text = mend(text).strip()
    if text in ("", "null"):
        return {}
    try:
        return _OBJECT.decode(text)
    except msgspec.ValidationError:
        raise _refused(tool, "they must be a JSON object") from None
    except (msgspec.DecodeError, RecursionError):
        pass
    try:  # half a character (a lone surrogate escape) is JSON all the same
        return _OBJECT.decode(mend(json.dumps(loads(text), ensure_ascii=False)))
    except (ShapeError, msgspec.DecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, (ShapeError, msgspec.DecodeError)) else "nested too deeply"
        raise _refused(tool, reason) from None


def _refused(tool: str, problems: str) -> ToolError:
    return ToolError(f"the arguments of {tool} are not valid: {problems}")


def _problem(name: str, error: Exception) -> str:
    """Give msgspec's text with the place counted from the argument: "at `$.x`" of ``point`` is "at point.x"."""
    if isinstance(error, RecursionError):
        return f"{name} is nested too deeply"
    text, _, place = str(error).partition(" - at `$")
    text = scrub(text if len(text) <= _LONGEST_PROBLEM else text[: _LONGEST_PROBLEM - 1] + "…")
    return f"{name}{place.rstrip('`')}: {text}"


def _unknown(name: str, known: Sequence[str]) -> str:
    shown = scrub(name[:64])
    near = difflib.get_close_matches(name, known, 1, 0.7)
    if near:
        return f"there is no argument {shown!r}, did you mean {near[0]!r}?"
    return f"there is no argument {shown!r}, there " + (f"are {', '.join(known)}" if known else "are none")
