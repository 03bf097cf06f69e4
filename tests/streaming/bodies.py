"""Bodies to read streams from, and a listener."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

from animus.models.chat import ChatCompletion


def frame(data: Any, end: bytes = b"\n\n") -> bytes:
    """Give one event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return b"data: " + text.encode() + end


def said(content: str | None = None, *, index: int = 0, finish: str | None = None, **delta: Any) -> bytes:
    """Give one event that adds ``content`` to a choice."""
    if content is not None:
        delta["content"] = content
    return frame({"choices": [{"index": index, "delta": delta, "finish_reason": finish}]})


DONE = frame("[DONE]")


class Body:
    """A body of prepared pieces; an exception among them, or its class, is raised. ``log`` has what the stream asked of it."""

    def __init__(self, *pieces: bytes | BaseException | type[Exception]) -> None:
        self.pieces = pieces
        self.log: list[str] = []
        self.read = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.read += 1
            if not isinstance(piece, bytes):
                raise piece
            yield piece

    def event_arrived(self) -> None:
        self.log.append("event")

    def finish(self) -> None:
        self.log.append("finish")

    def close(self) -> None:
        self.log.append("close")


class BlockingBody(Body):
    """A body that, after its pieces, stays silent until it is closed, and then ends as ``ending`` says."""

    def __init__(self, *pieces: bytes, ending: Exception | None = None) -> None:
        super().__init__(*pieces)
        self.ending = ending
        self.silent = threading.Event()
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield from super().__iter__()
        self.silent.set()
        assert self.closed.wait(10)
        if self.ending is not None:
            raise self.ending

    def close(self) -> None:
        super().close()
        self.closed.set()


class Listener:
    """An observer that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def delta(self, text: str) -> None:
        self.heard.append(("delta", text))

    def complete(self, completion: ChatCompletion) -> None:
        self.heard.append(("complete", completion))

    def failed(self, error: Exception) -> None:
        self.heard.append(("failed", error))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.heard]

    @property
    def text(self) -> str:
        return "".join(text for name, text in self.heard if name == "delta")
