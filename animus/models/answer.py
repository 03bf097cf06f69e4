"""What all typed answers share: the JSON as it was sent, and the HTTP around it."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

REQUEST_ID_HEADERS = ("x-request-id", "request-id", "x-correlation-id", "x-kong-request-id", "cf-ray")
_LONGEST_SHOWN = 60


class ShapeError(ValueError):
    """JSON that is not what was promised. The text names places and types, never values."""


@dataclass(frozen=True, slots=True)
class HttpInfo:
    """The HTTP around an answer.

    Attributes:
        status: The status code.
        headers: The headers of the answer.
        elapsed: Seconds from the first attempt to the head of the answer.
        attempts: How many requests were made.
    """

    status: int
    headers: Mapping[str, str]
    elapsed: float = 0.0
    attempts: int = 1

    @property
    def request_id(self) -> str | None:
        """The id the API gave the request (``x-request-id`` or a relative), or None."""
        found = {name.lower(): value for name, value in self.headers.items() if name.lower() in REQUEST_ID_HEADERS}
        return next((found[name] for name in REQUEST_ID_HEADERS if found.get(name)), None)


class Origin(NamedTuple):
    """Where an answer comes from. ``usage`` is the frame of a stream that had the usage, as sent."""

    body: bytes | str | None = None
    http: HttpInfo | None = None
    request_id: str | None = None
    usage: bytes | str | None = None


_NOWHERE = Origin()


class Wire(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A value that crosses the wire. Immutable, comparable, picklable; ``repr`` is short.

    ``gc=False``: none of these can be part of a reference cycle, and a stream makes three of them per frame.
    """

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.__struct_fields__ if not name.startswith("_"))
        inside = ", ".join(f"{name}={short(value)}" for name, value in shown if value is not None and value != [])
        return f"{type(self).__name__}({inside})"


class Answer(Wire, frozen=True, kw_only=True, gc=False):
    """A typed answer of the API."""

    _origin: Any = msgspec.field(default=None, name="<origin>")  # an Origin; never what JSON has under that name

    @property
    def raw(self) -> Any:
        """The JSON as sent, with unknown fields too; decoded anew each time, so keep it in a variable."""
        origin = self._from
        return {} if origin.body is None else loads(origin.body)

    @property
    def http(self) -> HttpInfo | None:
        """Status, headers, elapsed time and attempts; None for an answer that was made by hand."""
        return self._from.http

    @property
    def request_id(self) -> str | None:
        """The id the API gave the request, or None."""
        origin = self._from
        return origin.request_id or (origin.http.request_id if origin.http is not None else None)

    @property
    def _from(self) -> Origin:
        return self._origin if isinstance(self._origin, Origin) else _NOWHERE


def loads(data: bytes | str) -> Any:
    """Give the value of a JSON text, whatever a server may do to it.

    Bytes that are not UTF-8 are replaced; a byte order mark before bytes, lone surrogate escapes, ``NaN`` and integers
    of any length are taken (those beyond Python's limit as floats, as JavaScript has them).

    Raises:
        ShapeError: it is not JSON, or nested too deeply to be read.
    """
    text = data.decode("utf-8-sig", "replace") if isinstance(data, bytes) else data
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            raise
        except ValueError:  # more digits than int() takes
            return json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        why = f"it is no JSON: {error.msg} at character {error.pos + 1} of {len(text)}"
    except RecursionError:
        why = "it is nested too deeply"
    # out here, since the exception of json carries the whole text, and "from None" would only hide it
    raise ShapeError(why)


def _integer(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:
        return float(digits)


def mend(text: str) -> str:
    r"""Join surrogate halves, and replace those that have no other half, so that ``text`` can be written as UTF-8.

    >>> mend("caf\ud83d\ude00 \ud83d!") == "caf\U0001f600 \ufffd!"
    True
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def short(value: object) -> str:
    """Give a ``repr`` that cuts long texts and lists."""
    if isinstance(value, str):
        return repr(value if len(value) <= _LONGEST_SHOWN else value[: _LONGEST_SHOWN - 1] + "…")
    if isinstance(value, list):
        more = ", …" if len(value) > 3 else ""
        return f"[{', '.join(map(short, value[:3]))}{more}]"
    return repr(value) if isinstance(value, Wire) else reprlib.repr(value)
