"""Results: what a function gave, as text for the model, and as a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from animus._secret import scrub
from animus.errors import ToolError
from animus.models.answer import mend

_LONGEST_ERROR = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What came of one call.

    Pickling: an error travels as a :class:`~animus.ToolError` with its text.

    Attributes:
        call_id: The id of the call it answers.
        name: The tool.
        content: What goes back to the model.
        error: Why there is no result: what the function raised, or a :class:`~animus.ToolError` for a call that was not
            valid, vetoed, cancelled or not made; None if all went well.
    """

    call_id: str
    name: str
    content: str
    error: Exception | None = None

    @property
    def is_error(self) -> bool:
        """Whether there is no result."""
        return self.error is not None

    def to_message(self) -> dict[str, Any]:
        """Give the tool message for the API."""
        return {"role": "tool", "tool_call_id": self.call_id, "content": self.content}

    def __reduce__(self) -> Any:
        # what a function raised may be anything, also something that cannot be pickled
        error = None if self.error is None else ToolError(error_text(self.error))
        return _rebuild, (self.call_id, self.name, self.content, error)


def _rebuild(call_id: str, name: str, content: str, error: Exception | None) -> ToolResult:
    return ToolResult(call_id=call_id, name=name, content=content, error=error)


def result_text(value: Any) -> str:
    """Give what a function returned as text for the model.

    A string is given as it is; all else as JSON, as msgspec writes it: dataclasses, Structs, enums, dates, sets and so
    on (bytes as base64). What JSON has no form for is given as its ``str()``. Halves of characters are replaced.

    >>> result_text("sunny"), result_text({"degrees": 21}), result_text(None)
    ('sunny', '{"degrees":21}', 'null')
    """
    if isinstance(value, str):
        return mend(str.__str__(value))  # not str(): an enum of strings would give its name
    try:
        return msgspec.json.encode(value, enc_hook=_shown).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        pass
    try:  # a string somewhere inside has half a character
        return msgspec.json.encode(_mended(msgspec.to_builtins(value, enc_hook=_shown, str_keys=True))).decode()
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return _shown(value)


def _shown(value: Any) -> str:
    return mend(str(value))


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mended(member) for member in value]
    return value


def error_text(error: BaseException) -> str:
    """Give an exception as one line for the model: its class and its text, without tokens.

    >>> error_text(KeyError("city"))
    "KeyError: 'city'"
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # an exception class whose own __str__ fails
        text = ""
    if isinstance(error, ToolError):
        shown = text
    else:
        shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return scrub(mend(shown if len(shown) <= _LONGEST_ERROR else shown[: _LONGEST_ERROR - 1] + "…"))
