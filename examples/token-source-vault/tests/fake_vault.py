"""A Vault on this machine: it knows one token, and the secrets that a test puts into it."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeVault:
    """Serves until the block is left.

    Attributes:
        url, token: What goes into ``VAULT_ADDR`` and ``VAULT_TOKEN``.
        secrets: Path to the answer's ``data``.
        lease: The answers' ``lease_duration``, in seconds.
        status, headers, body: Answer that instead.
        drips: "head" or "body": give that a byte at a time, and never all of it.
        asked: The headers of all requests.
    """

    def __init__(self) -> None:
        self.token = "hvs.fake-vault-token-0123456789"
        self.secrets: dict[str, Any] = {}
        self.lease: Any = 0
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body: bytes | None = None
        self.drips: str | None = None
        self.asked: list[dict[str, str]] = []
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(headers)
        if headers.get("X-Vault-Token") != self.token or headers.get("X-Vault-Request") != "true":
            return 403, b'{"errors": ["permission denied"]}'
        if self.status is not None or self.body is not None:
            return self.status or 200, self.body or b'{"errors": ["internal error"]}'
        if path not in self.secrets:
            return 404, b'{"errors": []}'
        return 200, json.dumps({"request_id": "r", "lease_duration": self.lease, "data": self.secrets[path]}).encode()

    def __enter__(self) -> FakeVault:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(vault: FakeVault) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = vault.answer(self.path.removeprefix("/v1/"), dict(self.headers))
            if vault.drips is not None:
                self.drip(b"HTTP/1.1 200 OK\r\n" + (b"X-Long: " if vault.drips == "head" else b"Content-Length: 1000000\r\n\r\n"))
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in vault.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def drip(self, beginning: bytes) -> None:
            with contextlib.suppress(OSError):
                self.wfile.write(beginning)
                while not vault.ended.wait(0.02):
                    self.wfile.write(b" ")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
