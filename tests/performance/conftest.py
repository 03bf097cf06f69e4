from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from animus import AnimusClient
from benchmarks import wire
from tests.performance.profiled import CHAT
from tests.servers import HttpServer
from tests.serving import authority, closing, serve

__all__ = ["authority", "closing", "serve"]


@pytest.fixture
def client_for(closing: contextlib.ExitStack) -> Callable[..., AnimusClient]:
    """Make clients that are closed after the test; ``segment`` is the first one of their base URL."""

    def client_for(server: HttpServer, segment: str = "0", **options: Any) -> AnimusClient:
        base = f"{server.url}/{segment}/v3"
        return closing.enter_context(AnimusClient(lambda: wire.TOKEN, api_base_url=base, chat=CHAT, **options))

    return client_for
