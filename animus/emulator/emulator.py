"""The emulator as people use it: started, asked, closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from animus import _fork
from animus._clock import SYSTEM_CLOCK
from animus.emulator.app import create_application
from animus.emulator.gateway import ApplicationGateway
from animus.emulator.http1 import Connection
from animus.emulator.recording import RecordedRequest
from animus.emulator.server import Server
from animus.emulator.state import DEFAULT_API_KEY, EmulatorState
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Self


class Emulator(EmulatorState):
    """The Animus platform on your own machine: auth service, a token provider, and the API under ``/v2`` and ``/v3``.

    >>> with Emulator() as emulator:                                         # doctest: +SKIP
    ...     client = AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url)

    What can be set is described at :class:`EmulatorState`. Every method and attribute may be used from any thread. A forked child can
    go on calling the parent's emulator, but has none of its own.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, **settings: Any) -> None:
        """Set up an emulator for ``host`` and ``port`` (0: a free one); ``settings`` as :class:`EmulatorState` says."""
        super().__init__(**settings)
        self._host = host
        self._port = port
        self._server: Server | None = None
        _fork.register(self)

    def start(self) -> Self:
        """Begin to answer, in daemon threads; starting twice does nothing.

        Raises:
            ConfigurationError: the port is in use, or the host is not this machine's.
        """
        if self._server is None:
            gateway = ApplicationGateway(self, create_application(self).wsgi_app)
            self._server = Server(self._host, self._port, lambda sock, number: _serve(sock, number, gateway))
            self._server.start()
        return self

    def close(self) -> None:
        """Stop: running answers are broken off, and no thread or socket is left. Closing twice does nothing."""
        server, self._server = self._server, None
        if server is not None:
            self._interrupt.set()
            server.close()
            self._interrupt = threading.Event()

    def drop_connections(self) -> None:
        """Close all connections, idle ones too, as a load balancer does without warning."""
        if self._server is not None:
            self._server.drop_connections()

    def reset(self) -> None:
        """Be as at the beginning: first settings and script, nothing recorded, armed or issued, no connection open."""
        self._interrupt.set()
        self.drop_connections()
        super().reset()

    @property
    def url(self) -> str:
        """The origin, such as ``http://127.0.0.1:8765``.

        Raises:
            ConfigurationError: the emulator is not running.
        """
        if self._server is None:
            raise ConfigurationError("The emulator is not running", hint="Use it in a with statement, or call start()")
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self._server.port}"

    @property
    def api_base_url(self) -> str:
        """The base URL that the JavaScript SDK calls ``apiBaseUrl``: ``/v3``."""
        return f"{self.url}/v3"

    @property
    def rest_base_url(self) -> str:
        """The base URL of the REST reference: ``/v2``."""
        return f"{self.url}/v2"

    @property
    def token_url(self) -> str:
        """The token provider, which takes any method."""
        return f"{self.url}/token"

    @property
    def auth_url(self) -> str:
        """The auth service, which takes the API key."""
        return f"{self.url}/auth/generate-token"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        where = "not running" if self._server is None else self.url
        return f"<Emulator {where}, {len(self.requests)} requests>"


def _serve(sock: Any, number: int, gateway: ApplicationGateway) -> None:
    Connection(sock, number, gateway)  # it reads and answers until the connection ends


def serve(
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    script: str | Path | None = None,
    upstream: str | None = None,
    upstream_key: str | None = None,
    token_lifetime: float | None = 3600,
    api_key: str = DEFAULT_API_KEY,
    chunk_delay: float = 0.03,
    on_ready: Callable[[Emulator], None] | None = None,
    on_request: Callable[[RecordedRequest], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run an emulator until ``stop`` is set or Ctrl-C is pressed. This is the command ``animus emulator``; it prints nothing itself.

    Args:
        host, port: Where to listen.
        script: The path of a script file.
        upstream, upstream_key: An OpenAI-compatible server for chat completions, and its API key.
        token_lifetime: Seconds a token lives.
        api_key: The organisation API key to accept.
        chunk_delay: Seconds between the chunks of a stream, so that it looks like one.
        on_ready: Called with the emulator once it answers.
        on_request: Called with every request once it is finished, in one of many threads.
        stop: Ends it.

    Raises:
        ConfigurationError: the port is in use, or the script is not as it should be.
    """
    emulator = Emulator(
        host=host,
        port=port,
        script=script,
        upstream=upstream,
        upstream_key=upstream_key,
        token_lifetime=token_lifetime,
        api_key=api_key,
        chunk_delay=chunk_delay,
        on_request=on_request,
    )
    with emulator:
        if on_ready is not None:
            on_ready(emulator)
        try:
            SYSTEM_CLOCK.wait(stop or threading.Event(), None)
        except KeyboardInterrupt:
            return
