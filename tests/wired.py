"""Clients wired to an emulator, and what their receivers heard."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from animus import AnimusClient
from animus.emulator import Emulator
from animus.events import SIGNALS

CHAT_PATH = "/chat/completions"
IMAGE_PATH = "/generate/image"
CHAT: dict[str, Any] = {"model": "vivian", "system_message": "Be kind."}
SYSTEM = {"role": "system", "content": "Be kind."}

ClientMaker = Callable[..., AnimusClient]


@pytest.fixture(scope="session")
def emulator_process() -> Iterator[Emulator]:
    """One server for many tests; ``emulator`` makes it as new."""
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_process: Emulator) -> Iterator[Emulator]:
    emulator_process.reset()
    yield emulator_process
    emulator_process.reset()


@pytest.fixture
def make_client(emulator: Emulator) -> Iterator[ClientMaker]:
    """Make clients of the emulator that are closed after the test; ``chat`` is merged into :data:`CHAT`."""
    with contextlib.ExitStack() as stack:

        def make(token_source: Any = None, *, chat: Mapping[str, Any] | None = None, **options: Any) -> AnimusClient:
            options.setdefault("api_base_url", emulator.api_base_url)
            client = AnimusClient(token_source or emulator.token_url, chat={**CHAT, **(chat or {})}, **options)
            return stack.enter_context(client)

        yield make


class Heard:
    """Listens to all events of a client or conversation (or to the named ones) and keeps them in order. Thread-safe."""

    def __init__(self, speaker: Any, *names: str) -> None:
        self.events: list[Any] = []
        self._changed = threading.Condition()
        for name in names or [n for n in SIGNALS if not n.startswith(("request_", "token_"))]:
            speaker.on(name, self._hear)

    def _hear(self, event: Any) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def named(self, name: str) -> list[Any]:
        with self._changed:
            return [event for event in self.events if event.name == name]

    def contents(self, name: str = "message_complete") -> list[str]:
        return [event.content for event in self.named(name)]

    def wait_for(self, name: str, count: int = 1) -> list[Any]:
        """Wait until so many events of that name came."""
        with self._changed:
            came = self._changed.wait_for(lambda: sum(event.name == name for event in self.events) >= count, 10)
        assert came, f"{count} {name} did not come; heard {self.names}"
        return self.named(name)


def bodies(emulator: Emulator, path: str = CHAT_PATH) -> list[dict[str, Any]]:
    """Give the JSON bodies of all requests to ``path``, oldest first."""
    return [request.json for request in emulator.requests.where(path=path)]


def wire(emulator: Emulator) -> list[dict[str, Any]]:
    """Give the messages of the newest chat request, without the system message before them."""
    messages: list[dict[str, Any]] = emulator.requests.last(path=CHAT_PATH).json["messages"]
    return messages[1:]


def texts(messages: Any) -> list[str]:
    """Give the contents of messages."""
    return [message["content"] for message in messages]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **further: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **further}


def call(identifier: str, name: str = "look_up", arguments: str = "{}") -> dict[str, Any]:
    """Give a tool call as on the wire."""
    return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool(identifier: str, content: str = "found") -> dict[str, Any]:
    return {"role": "tool", "content": content, "tool_call_id": identifier}
