"""An answer on its way from the application to the socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from animus.emulator.wire_json import encode_json

_BODILESS = frozenset({204, 304})


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Reply:
    """Status, headers and body. ``whole`` bodies go out with their length, others piece by piece as they come."""

    status: int
    headers: list[tuple[str, str]]
    pieces: Iterable[bytes]
    whole: bool = True
    close: Callable[[], None] = field(default=_nothing)

    @property
    def has_body(self) -> bool:
        """Whether its status allows a body."""
        return self.status not in _BODILESS


def plain_reply(status: int, body: Any) -> Reply:
    """Give a reply with a text or bytes body, or with any other value as JSON."""
    if isinstance(body, (str, bytes)):
        raw = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
        return Reply(status, [("Content-Type", content_type_of(raw))], [raw])
    return Reply(status, [("Content-Type", "application/json")], [encode_json(body)])


def content_type_of(body: bytes) -> str:
    """Guess the media type of a body that a test gave as text."""
    start = body.lstrip()[:1]
    if start == b"<":
        return "text/html; charset=utf-8"
    return "application/json" if start in (b"{", b"[") else "text/plain; charset=utf-8"


def application_reply(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Reply:
    """Call a WSGI application (PEP 3333) and give its answer; the body is read when the reply is sent."""
    status = ""
    headers: list[tuple[str, str]] = []
    written: list[bytes] = []

    def start_response(line: str, pairs: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
        nonlocal status, headers
        status, headers = line, pairs
        return written.append

    pieces = application(environ, start_response)
    whole = any(name.lower() == "content-length" for name, _ in headers)
    close: Callable[[], None] = getattr(pieces, "close", _nothing)
    return Reply(int(status.partition(" ")[0]), headers, _chain(written, pieces), whole, close)


def _chain(written: list[bytes], pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield from written
    yield from pieces


def with_headers(pairs: list[tuple[str, str]], changes: Mapping[str, str | None]) -> list[tuple[str, str]]:
    """Give ``pairs`` with some headers replaced, added, or (None) left out."""
    names = {name.lower() for name in changes}
    kept = [(name, value) for name, value in pairs if name.lower() not in names]
    return kept + [(name, value) for name, value in changes.items() if value is not None]


def head_of(status: int, headers: list[tuple[str, str]]) -> bytes:
    """Give the status line and the headers as they go on the wire."""
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    text = "\r\n".join(lines)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:  # a test's own header; RFC 9110 section 5.5 leaves such bytes opaque
        return text.encode("utf-8", "surrogateescape")
