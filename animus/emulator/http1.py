"""One connection: reading HTTP/1.1 requests, one after the other."""

from __future__ import annotations

import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any, Protocol

_LONGEST_LINE = 65536


class Gateway(Protocol):
    """Who answers."""

    def answer(self, connection: Connection, body: bytes) -> None:
        """Answer the request that ``connection`` has just read."""


class Connection(BaseHTTPRequestHandler):
    """Reads requests and hands each to the gateway. Keeps the connection as HTTP says (RFC 9112 section 9.3), and logs nothing."""

    protocol_version = "HTTP/1.1"
    error_content_type = "text/plain"
    error_message_format = "%(message)s\n"

    def __init__(self, sock: socket.socket, number: int, gateway: Gateway) -> None:
        self.number = number
        self.gateway = gateway
        super().__init__(sock, sock.getpeername(), gateway)  # type: ignore[arg-type]  # it is never used as a server

    def handle_one_request(self) -> None:
        """Read a request and have it answered."""
        self.raw_requestline: bytes = self.rfile.readline(_LONGEST_LINE + 1)
        if not self.raw_requestline:
            self.close_connection = True
        elif len(self.raw_requestline) > _LONGEST_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(414)
        elif self.parse_request():  # otherwise it has answered itself
            try:
                body = self._read_body()
            except ValueError:
                self.send_error(400, "Unreadable body")
                return
            self.gateway.answer(self, body)

    def abort(self) -> None:
        """Have the connection ended by a TCP RST instead of a FIN when it is closed."""
        # a struct linger of l_onoff = 1, l_linger = 0: two u_short in winsock.h, two int elsewhere
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0))

    def version_string(self) -> str:
        return "animus-emulator"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: request lines may hold secrets."""

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError("negative length")
        return self._read(length)

    def _read_chunks(self) -> bytes:
        body = BytesIO()
        while size := int(self.rfile.readline(_LONGEST_LINE).partition(b";")[0], 16):
            body.write(self._read(size))
            self.rfile.readline(_LONGEST_LINE)
        while self.rfile.readline(_LONGEST_LINE).strip():  # trailers
            pass
        return body.getvalue()

    def _read(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionResetError("the client went away within its request")
        return data
