"""The event-stream decoder: WHATWG HTML, section 9.2.6 (parsing and interpreting an event stream), to the letter.

Three steps, each linear in the size of the stream:

1. line ends are made one: CRLF and CR become LF. A CR at the end of a piece ends its line at once; the LF that may begin
   the next piece belongs to it;
2. the bytes are cut into lines. What is behind the last LF waits in a list, unsearched, until its LF comes;
3. the lines are interpreted. An event of nothing but one ``data: …`` line needs none of the standard's buffers: its
   data is the line.

Bytes are cut before they are decoded: CR and LF are never part of another UTF-8 character, and ``str.splitlines`` would
cut at U+2028 and others.
"""

from __future__ import annotations

import sys
from typing import cast

import msgspec

_BOM = b"\xef\xbb\xbf"
_DATA = b"data: "
_LF, _CR = 0x0A, 0x0D


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        event: Its type, ``"message"`` if the stream named none.
        data: Its data lines, joined by line feeds.
        id: The last event id of the stream when the event was dispatched; it persists over events.
        retry: The reconnection time in milliseconds if one was set inside this event, else None.
    """

    event: str
    data: str
    id: str = ""
    retry: int | None = None


class SseDecoder:
    r"""Turns the bytes of an event stream into events, in pieces cut anywhere, each event as soon as its blank line is there.

    Not for use by several threads at once.

    >>> decoder = SseDecoder()
    >>> decoder.feed(b"id: 7\ndata: Hel"), decoder.feed(b"lo\n\n")
    ([], [ServerSentEvent(event='message', data='Hello', id='7', retry=None)])

    Attributes:
        last_event_id: What a reconnect would send as ``Last-Event-ID``.
        reconnection_time: Milliseconds, as the stream set them, or None.
    """

    def __init__(self) -> None:
        self.last_event_id: str = ""
        self.reconnection_time: int | None = None
        self._start: bytes | None = b""  # the first bytes, until it is known whether they are a byte order mark
        self._after_cr = False
        self._is_clean = False  # the next byte begins a block, and nothing of what came before matters to it
        self._line: list[bytes] = []  # the pieces of a line whose end has not come
        self._pending = False  # the block has begun: some of the following differ from what a new block has
        self._data: list[bytes] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Give the events that ``piece`` completes."""
        return cast("list[ServerSentEvent]", self.take(piece, False))

    def end(self) -> None:
        """The stream is over: an event whose blank line has not come is dropped, as the standard demands."""
        self._line.clear()
        self._begin()

    def take(self, piece: bytes, plain: bool = True) -> list[bytes | ServerSentEvent]:
        """Give the events that ``piece`` completes; those of one data line and no other field as that data alone.

        Such data is not decoded yet. With ``plain=False`` all events are :class:`ServerSentEvent`.
        """
        if plain and self._is_clean and piece[:6] == _DATA:
            # what a chat API sends in most of its pieces: exactly one event of one line, and one kind of line ends
            end = piece.find(b"\n")
            if end == len(piece) - 2 and piece[-1] == _LF and _CR not in piece:
                return [piece[6:end]]
            if end == len(piece) - 3 and piece[-2:] == b"\r\n" and piece.find(b"\r") == end - 1:
                return [piece[6 : end - 1]]
        events = self._interpreted(self._whole_lines(piece), plain)
        self._is_clean = not (self._pending or self._line or self._after_cr or self._start is not None)
        return events

    def _whole_lines(self, piece: bytes) -> list[bytes]:
        """Give the lines that ``piece`` completes, without their ends; keep the rest."""
        text = self._with_one_line_end(piece)
        lines = text.split(b"\n")
        rest = lines.pop()
        if lines and self._line:
            self._line.append(lines[0])
            lines[0] = b"".join(self._line)
            self._line.clear()
        if rest:
            self._line.append(rest)
        return lines

    def _with_one_line_end(self, piece: bytes) -> bytes:
        if self._start is not None:
            piece = self._without_mark(piece)
        if not piece:
            return piece
        if self._after_cr:
            self._after_cr = False
            if piece[:1] == b"\n":
                piece = piece[1:]
        if b"\r" in piece:
            self._after_cr = piece[-1:] == b"\r"
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return piece

    def _without_mark(self, piece: bytes) -> bytes:
        start = (self._start or b"") + piece
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start[len(_BOM) :] if start.startswith(_BOM) else start

    def _interpreted(self, lines: list[bytes], plain: bool) -> list[bytes | ServerSentEvent]:
        if plain and not self._pending and len(lines) % 2 == 0 and not any(lines[1::2]):
            alone = [line[6:] for line in lines[::2] if line[:6] == _DATA]
            if len(alone) * 2 == len(lines):
                return cast("list[bytes | ServerSentEvent]", alone)
        events: list[bytes | ServerSentEvent] = []
        for line in lines:
            if line:
                self._interpret(line)
            elif self._pending:
                self._dispatch(events, plain)
        return events

    def _interpret(self, line: bytes) -> None:
        if line[:5] == b"data:":  # without the copy that partition() makes: data may be large
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._pending = True
            return
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():  # of bytes: ASCII digits alone
            self.reconnection_time = self._retry = _milliseconds(value)
        else:
            return
        self._pending = True

    def _dispatch(self, events: list[bytes | ServerSentEvent], plain: bool) -> None:
        """A blank line: the id is committed; the event goes out if there was a data line."""
        self.last_event_id = self._id
        if plain and len(self._data) == 1 and not self._event and not self._id and self._retry is None:
            events.append(self._data[0])
        elif self._data:
            data = b"\n".join(self._data).decode("utf-8", "replace")
            events.append(ServerSentEvent(self._event or "message", data, self._id, self._retry))
        self._begin()

    def _begin(self) -> None:
        self._pending = False
        self._data = []
        self._event = ""
        self._id = self.last_event_id
        self._retry = None


def _milliseconds(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:  # more digits than int() takes: for ever
        return sys.maxsize
