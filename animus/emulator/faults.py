"""What may go wrong on purpose."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from animus import _fork
from animus._check import integer, refuse, seconds
from animus.emulator.recording import Kind, path_matches
from animus.errors import ConfigurationError

MALFORMED_FRAME = b'data: {"choices": [{"delta": {"content": \n\n'

_SECONDS = ("delay", "drip", "drip_head")
_COUNTS = ("tear_after", "malformed_after", "stall_after")


class Torn(Exception):
    """The connection is to be dropped here."""


class Stalled(Exception):
    """Nothing more is to be sent, and the connection to stay open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to fail, and for which requests. Durations are real seconds, whatever clock the emulator has.

    The first three choose the requests; a fault without any is for every request.

    Attributes:
        path: The path, or its end (``/chat/completions``).
        method: The HTTP method.
        kind: ``token``, ``auth``, ``api`` …; see :class:`RecordedRequest`.
        delay: Wait this long before the answer (or before the connection is dropped).
        status: Answer this status, without looking at the request at all.
        body: With ``status``: the body; text and bytes as they are, anything else as JSON. Left out: an error in the emulator's style.
        headers: Further headers of the answer, or other values for usual ones; None leaves one out (``{"Date": None}``).
        reset: Break the connection with a TCP RST: before the answer, or where ``tear_after`` says.
        drop_after_request: Close the connection without an answer.
        tear_after: Close the connection after so many frames of a stream, or bytes of a whole answer; never sends the final chunk.
        malformed_after: After so many frames of a stream send one that is no JSON, and go on; cut a whole answer to so many bytes.
        stall_after: Fall silent after so many frames of a stream, or bytes of a whole answer, with the connection open.
        drip: Send the body byte by byte, with so many seconds after each.
        drip_head: The same for status line and headers.
    """

    path: str | None = None
    method: str | None = None
    kind: Kind | None = None
    delay: float = 0.0
    status: int | None = None
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    reset: bool = False
    drop_after_request: bool = False
    tear_after: int | None = None
    malformed_after: int | None = None
    stall_after: int | None = None
    drip: float = 0.0
    drip_head: float = 0.0

    def __post_init__(self) -> None:
        for name in _SECONDS:
            seconds(name, getattr(self, name))
        for name in _COUNTS:
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), 0)
        if self.status is not None:
            integer("status", self.status, 200, 599)
        elif self.body is not None:
            raise ConfigurationError("A fault with a body needs a status")
        if self.path is not None and not self.path.startswith("/"):
            raise refuse("path", self.path, "a path that begins with a slash")
        if not self._effects():
            raise ConfigurationError("A fault must do something", hint="Give it a status, a delay, reset=True, tear_after=…")

    def _effects(self) -> bool:
        given = any(getattr(self, name) for name in (*_SECONDS, "headers", "reset", "drop_after_request"))
        return given or self.status is not None or any(getattr(self, name) is not None for name in _COUNTS)

    def matches(self, method: str, path: str, kind: Kind) -> bool:
        """Tell whether the fault is for such a request."""
        if kind == "preflight" and self.kind != kind and self.method != "OPTIONS":
            return False  # a browser's own question must not use up the fault that is meant for the call after it
        return (
            (self.path is None or path_matches(self.path, path))
            and (self.method is None or self.method.upper() == method)
            and (self.kind is None or self.kind == kind)
        )

    def spoil(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Give the frames of a stream until the fault strikes.

        Raises:
            Torn: drop the connection now.
            Stalled: say nothing more.
        """
        for sent, piece in enumerate(pieces):
            self._strike(sent)
            if self.malformed_after == sent:
                yield MALFORMED_FRAME
            yield piece
        if self.tear_after is not None:
            raise Torn
        if self.stall_after is not None:
            raise Stalled

    def spoil_whole(self, body: bytes) -> Iterator[bytes]:
        """The same for the bytes of a whole answer."""
        for limit, end in ((self.tear_after, Torn), (self.stall_after, Stalled)):
            if limit is not None:
                yield body[:limit]
                raise end
        yield body

    def _strike(self, sent: int) -> None:
        if self.tear_after == sent:
            raise Torn
        if self.stall_after == sent:
            raise Stalled


class ArmedFault:
    """A fault that waits for its requests. ``fired`` counts those that met it."""

    def __init__(self, fault: Fault, times: int | None, skip: int) -> None:
        self.fault = fault
        self.left = times
        self.skip = skip
        self.fired = 0

    def disarm(self) -> None:
        """Let it strike no more."""
        self.left = 0

    def __repr__(self) -> str:
        return f"<ArmedFault fired={self.fired} left={'any number' if self.left is None else self.left}>"


class FaultBook:
    """The armed faults. A request meets the first one armed that is for it and not used up. Thread-safe."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._lock = threading.Lock()  # guards the list and the counts of its members
        _fork.register(self)

    def arm(self, fault: Fault, *, times: int | None = 1, skip: int = 0) -> ArmedFault:
        """Have ``fault`` strike the next ``times`` requests it is for (None: all), after letting ``skip`` of them pass."""
        armed = ArmedFault(fault, None if times is None else integer("times", times, 1), integer("skip", skip, 0))
        with self._lock:
            self._armed.append(armed)
        return armed

    def take(self, method: str, path: str, kind: Kind) -> Fault | None:
        """Give the fault that such a request meets, and count it."""
        with self._lock:
            for armed in self._armed:
                if armed.left == 0 or not armed.fault.matches(method, path, kind):
                    continue
                if armed.skip:
                    armed.skip -= 1
                    continue
                armed.fired += 1
                if armed.left is not None:
                    armed.left -= 1
                return armed.fault
        return None

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._armed = []

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
