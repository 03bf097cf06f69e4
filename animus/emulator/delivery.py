"""Writing an answer to the socket, with what an armed fault makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from animus.emulator.faults import Fault, Stalled, Torn
from animus.emulator.http1 import Connection
from animus.emulator.reply import Reply, head_of, with_headers


class Delivery:
    """Sends one reply over one connection.

    Args:
        connection: Where to.
        fault: What is to go wrong, or None.
        pause: Waits some seconds; gives True if the emulator is closed or reset meanwhile.
    """

    def __init__(self, connection: Connection, fault: Fault | None, pause: Callable[[float], bool]) -> None:
        self._connection = connection
        self._fault = fault
        self._pause = pause
        self._chunked = False

    def send(self, reply: Reply, common: list[tuple[str, str]]) -> None:
        """Send ``reply`` with the ``common`` headers of all answers.

        Raises:
            OSError: the client went away, or the emulator is closed or reset.
        """
        try:
            if reply.whole:
                self._send_whole(reply, common)
            else:
                self._send_stream(reply, common)
        except Torn:
            self._connection.close_connection = True
            if self._fault is not None and self._fault.reset:
                self._connection.abort()
        except Stalled:
            self._connection.close_connection = True
            self._connection.rfile.read(1)  # comes back when the client gives up, or the emulator closes the socket

    def _send_whole(self, reply: Reply, common: list[tuple[str, str]]) -> None:
        body = b"".join(reply.pieces)
        if self._fault is not None and self._fault.malformed_after is not None:
            body = body[: self._fault.malformed_after]
        length = {"Content-Length": str(len(body)) if reply.has_body else None}
        head = self._head(reply, with_headers(common, length))
        if not reply.has_body or self._connection.command == "HEAD":
            body = b""
        if self._fault is None:
            self._write(head + body)  # one packet
            return
        self._write(head, self._fault.drip_head)
        for piece in self._fault.spoil_whole(body):
            self._write(piece, self._fault.drip)

    def _send_stream(self, reply: Reply, common: list[tuple[str, str]]) -> None:
        self._chunked = self._connection.request_version >= "HTTP/1.1"
        if self._chunked:
            common = [*common, ("Transfer-Encoding", "chunked")]
        else:
            self._connection.close_connection = True  # the end of the connection is the end of the body
        self._write(self._head(reply, common), self._fault.drip_head if self._fault else 0.0)
        pieces: Iterable[bytes] = reply.pieces if self._fault is None else self._fault.spoil(iter(reply.pieces))
        for piece in pieces:
            self._write_piece(piece)
        if self._chunked:
            self._write(b"0\r\n\r\n")

    def _head(self, reply: Reply, common: list[tuple[str, str]]) -> bytes:
        headers = with_headers(reply.headers, dict(common))
        if self._connection.close_connection:
            headers.append(("Connection", "close"))
        elif self._connection.request_version < "HTTP/1.1":
            headers.append(("Connection", "keep-alive"))
        return head_of(reply.status, with_headers(headers, self._fault.headers) if self._fault else headers)

    def _write_piece(self, piece: bytes) -> None:
        if self._fault is not None and self._fault.drip:
            for index in range(len(piece)):
                self._write(self._framed(piece[index : index + 1]))
                self._wait(self._fault.drip)
        elif piece:  # an empty chunk would be the end
            self._write(self._framed(piece))

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data

    def _write(self, data: bytes, seconds_per_byte: float = 0.0) -> None:
        if not seconds_per_byte:
            self._connection.connection.sendall(data)
            return
        for index in range(len(data)):
            self._connection.connection.sendall(data[index : index + 1])
            self._wait(seconds_per_byte)

    def _wait(self, seconds: float) -> None:
        if self._pause(seconds):
            raise ConnectionAbortedError("the emulator was closed or reset")
