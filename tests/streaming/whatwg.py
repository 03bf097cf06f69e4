"""WHATWG HTML, section 9.2.6, written down as it stands there: slow, for whole streams, and easy to compare with the text."""

from __future__ import annotations

import re

from animus.streaming.sse import ServerSentEvent


class EventSource:
    """What an event source has after a whole stream."""

    def __init__(self, stream: bytes) -> None:
        self.events: list[ServerSentEvent] = []
        self.last_event_id_string = ""
        self.reconnection_time: int | None = None
        self._data_buffer = self._event_type_buffer = self._last_event_id_buffer = ""
        self._retry: int | None = None
        self._interpret(stream)

    def _interpret(self, stream: bytes) -> None:
        # "Streams must be decoded using the UTF-8 decode algorithm", which strips one leading byte order mark
        text = stream.decode("utf-8", "replace")
        text = text.removeprefix("\ufeff")
        # "lines must be separated by either a CRLF pair, a single LF, or a single CR"; what has no end is no line
        for line in re.split("\r\n|\n|\r", text)[:-1]:
            if line == "":
                self._dispatch()
            elif line.startswith(":"):
                pass
            elif ":" in line:
                field, value = line.split(":", 1)
                self._process(field, value[1:] if value.startswith(" ") else value)
            else:
                self._process(line, "")

    def _process(self, field: str, value: str) -> None:
        if field == "event":
            self._event_type_buffer = value
        elif field == "data":
            self._data_buffer += value + "\n"
        elif field == "id":
            if "\0" not in value:
                self._last_event_id_buffer = value
        # with an empty value "only ASCII digits" says nothing; browsers ignore the field
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            self.reconnection_time = self._retry = int(value)

    def _dispatch(self) -> None:
        self.last_event_id_string = self._last_event_id_buffer
        if self._data_buffer != "":
            data = self._data_buffer.removesuffix("\n")
            event = ServerSentEvent(self._event_type_buffer or "message", data, self.last_event_id_string, self._retry)
            self.events.append(event)
        self._data_buffer = self._event_type_buffer = ""
        self._retry = None
