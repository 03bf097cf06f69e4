"""The server of all benchmarks: one process, preformatted bytes, as little work per request as can be.

The first segment of a path says what is answered, so that each client needs only a base URL:

    /plain/…              a whole answer            /rich/… /cookie/…    the same with 22 headers, and with Set-Cookie
    /once/…               the same; the connection ends with it          /slow-20/…   the same after 20 ms
    /turns-3/…            an answer of so many turns                     /hang/…  /drip/…  none; one that never ends
    /frames-2000/…        a stream, an HTTP chunk per frame              /gathered-2000/…  in HTTP chunks of 16 KiB
    /paced-200-2/…        a frame each 2 ms         /closing-25-20/…     each 20 ms, in a body that ends with the connection
    /token-50/…           a token after 50 ms       /counts  /forget     what was asked so far; begin to count anew

``anthropic`` and ``anthropicframes-2000`` are the same in the form of that API. Run as a module; the first line of output
tells the ports.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import ssl
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from benchmarks import wire

_RICH = b"".join(b"X-Edge-Header-%02d: some-value-of-a-cdn-%02d-0123456789abcdef\r\n" % (number, number) for number in range(19))
_COOKIE = b"Set-Cookie: session=0123456789abcdef; Path=/; HttpOnly\r\n"
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def _json_answer(body: bytes, further: bytes = b"") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Request-Id: req-1\r\n" % len(body)
    return head + further + b"\r\n" + body


def _stream_answer(pieces: list[bytes]) -> bytes:
    return _EVENTS + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(wire.chunked, pieces)) + b"0\r\n\r\n"


@cache
def _static(kind: str, count: int) -> bytes:
    """Give a whole answer of the kinds that are sent at once."""
    if kind in ("plain", "slow", "once", "rich", "cookie"):
        further = {"once": b"Connection: close\r\n", "rich": _RICH, "cookie": _RICH + _COOKIE}
        return _json_answer(wire.reply(), further.get(kind, b""))
    if kind == "anthropic":
        return _json_answer(wire.anthropic_reply())
    if kind == "turns":
        return _json_answer(wire.turns_reply(count))
    if kind == "token":
        return _json_answer(json.dumps({"access_token": wire.TOKEN, "expires_in": 3600, "token_type": "Bearer"}).encode())
    if kind == "frames":
        return _stream_answer(wire.frames(count))
    if kind == "gathered":
        return _stream_answer(wire.gathered(wire.frames(count)))
    if kind == "anthropicframes":
        return _stream_answer(wire.anthropic_frames(count))
    return _json_answer(b'{"error":"no such kind"}').replace(b"200 OK", b"404 Not Found", 1)


class Counts:
    """What was asked since the counts were forgotten."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests: Counter[str] = Counter()

    def answer(self) -> bytes:
        """Give them as an answer."""
        return _json_answer(json.dumps({"connections": self.connections, "requests": self.requests}).encode())


class Connection(asyncio.Protocol):
    """One connection: requests in, bytes out."""

    transport: Any  # uvloop's is no asyncio.Transport

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._kinds: dict[bytes, Callable[[], None]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._counts.connections += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            at = self._buffer[:end].lower().find(b"content-length:")
            size = int(self._buffer[at + 15 : self._buffer.index(b"\r\n", at)]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + size:
                return
            target = self._buffer[: self._buffer.index(b"\r\n")].split(b" ")[1]
            self._buffer = self._buffer[end + 4 + size :]
            segment = target.split(b"/", 2)[1]
            act = self._kinds.get(segment)
            if act is None:
                act = self._kinds[segment] = self._act(*segment.decode().split("-"))
            act()

    def _act(self, kind: str, *numbers: str) -> Callable[[], None]:
        """Give what is done for requests of a kind."""
        arguments = [int(number) for number in numbers]
        counts = self._counts
        if kind == "counts":
            return lambda: self.transport.write(counts.answer())
        if kind == "forget":
            return self._forget

        def act() -> None:
            counts.requests[kind] += 1
            later = asyncio.get_running_loop().call_later
            if kind in ("slow", "token"):
                later(arguments[0] / 1000, self._write, _static(kind, 0))
            elif kind == "drip":
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
                later(0.01, self._drip)
            elif kind in ("paced", "closing"):
                self._pace(kind, *arguments)
            elif kind != "hang":
                self.transport.write(_static(kind, arguments[0] if arguments else 0))
                if kind == "once":
                    self.transport.close()

        return act

    def _forget(self) -> None:
        self._counts.connections = 0
        self._counts.requests.clear()
        self.transport.write(self._counts.answer())

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def _drip(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b" ")
            asyncio.get_running_loop().call_later(0.01, self._drip)

    def _pace(self, kind: str, count: int, milliseconds: int) -> None:
        """Send the head at once and a frame each so many milliseconds."""
        loop, pieces = asyncio.get_running_loop(), wire.frames(count)
        chunked = kind == "paced"
        self.transport.write(_EVENTS + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Connection: close\r\n\r\n"))
        began, interval = loop.time(), milliseconds / 1000

        def send(number: int) -> None:
            if self.transport.is_closing():
                return
            self.transport.write(wire.chunked(pieces[number]) if chunked else pieces[number])
            if number + 1 < len(pieces):
                loop.call_at(began + (number + 2) * interval, send, number + 1)
            elif chunked:
                self.transport.write(b"0\r\n\r\n")
            else:
                self.transport.close()

        loop.call_at(began + interval, send, 0)


async def serve(certificate: str | None, key: str | None) -> None:
    """Serve until the process ends; tell the ports."""
    counts, loop = Counts(), asyncio.get_running_loop()
    plain = await loop.create_server(lambda: Connection(counts), "127.0.0.1", 0, backlog=2048)
    ports = {"http": plain.sockets[0].getsockname()[1]}
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        secure = await loop.create_server(lambda: Connection(counts), "127.0.0.1", 0, ssl=context, backlog=2048)
        ports["https"] = secure.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve with uvloop if it is installed."""
    options = argparse.ArgumentParser(description="the server of all benchmarks")
    options.add_argument("--certificate")
    options.add_argument("--key")
    given = options.parse_args()
    try:
        importlib.import_module("uvloop").install()
    except ImportError:  # asyncio's own loop serves as well, at a third of the speed
        pass
    asyncio.run(serve(given.certificate, given.key))


if __name__ == "__main__":
    main()
