"""A server to try a page with, and the platform on this machine where there is no API key.

The Flask and the Django example have the same file.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

ACCOUNTS = "ada:tides bob:stars"
HINT = "Log in as ada with the password tides, or as bob with stars."


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of requests."""


@contextmanager
def _platform() -> Iterator[str]:
    """Set variables of the environment for the emulator, unless there is an API key; give a word on it."""
    os.environ.setdefault("CHAT_SECRET_KEY", secrets.token_urlsafe(32))  # sessions end with this process
    os.environ["CHAT_INSECURE_COOKIES"] = "1"  # this server speaks http, and on this machine only
    if os.environ.get("ANIMUS_API_KEY"):
        yield "with the API key of the environment."
        return
    from animus.emulator import Emulator

    with ExitStack() as stack:
        emulator = stack.enter_context(Emulator(chunk_delay=0.04))  # so that a stream looks like one
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chat-"))
        for name in [name for name in os.environ if name.startswith("ANIMUS_")]:
            del os.environ[name]  # whatever else is set is not for the emulator
        os.environ.update(ANIMUS_API_KEY=emulator.api_key, ANIMUS_API_BASE_URL=emulator.api_base_url)
        os.environ.update(CHAT_USERS=ACCOUNTS, CHAT_DATABASE=str(Path(folder, "chat.sqlite3")), CHAT_HINT=HINT)
        yield f"with the emulator. {HINT}"


def run(make_application: Callable[[], Any]) -> None:
    """Serve an application on this machine until Ctrl-C is pressed."""
    parser = argparse.ArgumentParser(description="Serve the chat page on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="where to listen; 0 takes a free one")
    port = parser.parse_args().port
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, which leaves nothing behind
    with _platform() as word, make_server("127.0.0.1", port, make_application(), _Server, _QuietHandler) as server:
        print(f"http://127.0.0.1:{server.server_port}/  {word} Ctrl-C ends it.", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
