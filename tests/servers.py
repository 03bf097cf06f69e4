"""Servers on this machine that do exactly what a test says, byte by byte."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

_PATIENCE = 20.0  # seconds after which a server gives up on a test that hangs


@dataclass(frozen=True)
class Received:
    """One request as it came: ``raw`` has its bytes, ``headers`` the pairs in order, ``body`` what was in its chunks."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes = field(repr=False)
    connection: int = 0

    def header(self, name: str) -> str | None:
        """Give the value of a header, or None."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(values) if values else None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Gone(Exception):
    """The client has ended the connection."""


class Peer:
    """One accepted connection, and what can be done to it."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number
        self._buffer = b""

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.sock = context.wrap_socket(self.sock, server_side=True)

    def _more(self) -> bytes:
        try:
            piece = self.sock.recv(65536)
        except OSError as error:
            raise Gone from error
        if not piece:
            raise Gone
        return piece

    def read_until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._buffer += self._more()
        head, _, self._buffer = self._buffer.partition(end)
        return head + end

    def read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += self._more()
        piece, self._buffer = self._buffer[:size], self._buffer[size:]
        return piece

    def request(self) -> Received:
        """Read one whole request.

        Raises:
            Gone: the connection ended before.
        """
        raw = self.read_until(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ")
        headers = tuple((key, value.strip()) for key, _, value in (line.partition(":") for line in lines))
        found = {key.lower(): value for key, value in headers}
        body = b""
        if "chunked" in found.get("transfer-encoding", ""):
            while True:
                line = self.read_until(b"\r\n")
                chunk = self.read_exactly(int(line, 16) + 2)
                raw += line + chunk
                if len(chunk) == 2:
                    break
                body += chunk[:-2]
        elif "content-length" in found:
            body = self.read_exactly(int(found["content-length"]))
            raw += body
        return Received(method, target, headers, body, raw, self.number)

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise Gone from error

    def answer(self, answer: Answer, method: str = "GET") -> None:
        self.send(answer.bytes(method))

    def is_gone(self, within: float) -> bool:
        """Tell whether the client ends the connection ``within`` so many seconds."""
        readable, _, _ = select.select([self.sock], [], [], within)
        try:
            return bool(readable) and not self.sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def drip(self, data: bytes) -> None:
        """Send byte by byte, one every hundredth of a second, and the last one for ever, until the client is gone."""
        position = 0
        while not self.is_gone(0.01):
            self.send(data[position : position + 1])
            position = min(position + 1, len(data) - 1)

    def hold(self) -> None:
        """Do nothing until the client is gone."""
        with contextlib.suppress(Gone):
            while True:
                self._more()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """End the connection with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


@dataclass(frozen=True)
class Answer:
    """An answer; ``Content-Length`` is added unless the headers say how the body ends."""

    status: int = 200
    headers: dict[str, str] | list[tuple[str, str]] = field(default_factory=dict)
    body: bytes = b""
    reason: str = "Said"

    def bytes(self, method: str = "GET") -> bytes:
        pairs = list(self.headers.items()) if isinstance(self.headers, dict) else list(self.headers)
        names = {name.lower() for name, _ in pairs}
        if not names & {"content-length", "transfer-encoding"} and self.status not in (204, 304):
            pairs.append(("Content-Length", str(len(self.body))))
        head = "".join(f"{name}: {value}\r\n" for name, value in pairs)
        return f"HTTP/1.1 {self.status} {self.reason}\r\n{head}\r\n".encode("latin-1") + (b"" if method == "HEAD" else self.body)


def chunked(*pieces: bytes) -> bytes:
    """Give pieces as the chunks of a body, without its end."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


LAST_CHUNK = b"0\r\n\r\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Script = Callable[[Peer], None]


class RawServer:
    """A server whose first connection is served by the first script, and so on; all further ones by the last.

    A script that returns ends its connection. One that raises fails the test when the server is closed, except :class:`Gone`.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._lock = threading.Lock()
        self._peers: list[Peer] = []
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._closing = False
        self.connections = 0
        self._accepting = threading.Thread(target=self._accept, name="test server", daemon=True)
        self._accepting.start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closing:
                    sock.close()
                    return
                sock.settimeout(_PATIENCE)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(sock, self.connections)
                script = self._scripts[min(self.connections, len(self._scripts) - 1)]
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(peer, script), name="test connection", daemon=True)
                self._peers.append(peer)
                self._threads.append(thread)
                thread.start()

    def _serve(self, peer: Peer, script: Script) -> None:
        try:
            if self._tls is not None:
                peer.start_tls(self._tls)
            script(peer)
        except (Gone, ssl.SSLError, ConnectionError):
            pass  # a client may leave, and many tests have it leave
        except BaseException as error:
            self._failures.append(error)
        finally:
            peer.close()

    def drop_connections(self) -> None:
        """End all connections."""
        with self._lock:
            peers = list(self._peers)
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(_PATIENCE)
        self.drop_connections()
        for thread in self._threads:
            thread.join(_PATIENCE)
        for failure in self._failures:
            raise failure

    def __enter__(self) -> RawServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


Reply = Callable[[Received], "Answer | bytes"]


class HttpServer(RawServer):
    """A server that keeps connections alive and remembers all requests.

    Args:
        reply: Gives the answer to a request, or the bytes of one. Answers in a row: :func:`in_turn`.
    """

    def __init__(self, reply: Reply | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.reply: Reply = reply or (lambda request: Answer(body=b"fine"))
        self.requests: list[Received] = []
        super().__init__(self._keep_alive, tls=tls)

    def _keep_alive(self, peer: Peer) -> None:
        while True:
            request = peer.request()
            self.requests.append(request)
            answer = self.reply(request)
            peer.send(answer if isinstance(answer, bytes) else answer.bytes(request.method))
            if b"Connection: close" in (answer if isinstance(answer, bytes) else answer.bytes("HEAD")):
                return

    def __enter__(self) -> HttpServer:
        return self

    def forget(self) -> None:
        self.requests.clear()


def in_turn(*answers: Answer | bytes) -> Reply:
    """Give the answers one after another, and the last one for ever."""
    waiting: Iterator[Any] = iter(answers)
    last: list[Any] = [None]
    lock = threading.Lock()

    def reply(request: Received) -> Answer | bytes:
        with lock:
            last[0] = next(waiting, last[0])
            answer: Answer | bytes = last[0]
        return answer

    return reply


def unused_port() -> int:
    """Give a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
