"""What is promised of threads, forks and pickling stands on each class, and in the table of the documentation; and it holds."""

from __future__ import annotations

import inspect
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

import animus
from animus import AnimusClient, EnvironmentTokenSource, FileTokenStore, UrlTokenSource
from animus.emulator import Emulator
from tests.wired import CHAT, user

_TABLE = (Path(__file__).parent.parent / "docs" / "promises.md").read_text(encoding="utf-8")
_OBJECTS = [
    "AnimusClient", "AnimusSession", "ApiKeyTokenSource", "CallableTokenSource", "ChainTokenSource", "ChatHistory", "ChatStream",
    "CommandTokenSource", "Conversation", "EnvironmentTokenSource", "FileTokenStore", "KeyringTokenStore", "MemoryTokenStore",
    "RedisTokenStore", "StaticTokenSource", "UrlTokenSource",
]  # fmt: skip
_VALUES = [
    "ChatConfig", "ChatMessage", "GeneratedImage", "LiveKitDetails", "Reply", "RetryPolicy", "StoredToken", "Timeouts", "Token",
    "TokenRequest", "TokenVerification", "TurnConfig", "VisionConfig",
]  # fmt: skip
_OTHERS = {
    "ChatCompletion", "ChatCompletionChunk", "MediaAnalysis",  # wire models
    "Clock", "SystemClock", "TokenSource", "TokenStore",  # protocols, and time
}  # fmt: skip


def _classes() -> dict[str, type]:
    found = {name: getattr(animus, name) for name in animus.__all__}
    return {name: value for name, value in found.items() if isinstance(value, type) and not issubclass(value, BaseException)}


def test_every_public_class_is_one_of_these() -> None:
    assert set(_classes()) == {*_OBJECTS, *_VALUES, *_OTHERS}


@pytest.mark.parametrize("name", _OBJECTS)
def test_a_class_says_what_is_promised(name: str) -> None:
    text = inspect.getdoc(getattr(animus, name)) or ""
    for topic in ("Threads", "Fork", "Pickl"):
        assert topic in text, f"{name} says nothing of {topic}"


@pytest.mark.parametrize("name", [*_OBJECTS, *_VALUES])
def test_a_class_is_in_the_table(name: str) -> None:
    assert f"{{class}}`~animus.{name}`" in _TABLE


@pytest.mark.parametrize("name", _VALUES)
def test_values_do_not_change(name: str) -> None:
    assert getattr(animus, name).__dataclass_params__.frozen


# ---- travelling ----------------------------------------------------------------------------------------


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[AnimusClient]:
    source = UrlTokenSource(emulator.token_url, timeout=30.0)
    with AnimusClient(source, api_base_url=emulator.api_base_url, chat=CHAT, timeouts={"deadline": 60.0}) as client:
        yield client


def say_hello(client: AnimusClient) -> str:
    """What a worker does."""
    with client:
        return client.chat.completions([user("Hello")]).text


def _tokens_seen(emulator: Emulator) -> set[str]:
    return {request.headers["Authorization"] for request in emulator.requests.where(kind="api")}


@pytest.mark.parametrize("method", [m for m in ("spawn", "fork", "forkserver") if m in multiprocessing.get_all_start_methods()])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12: a fork with threads is what is tested
def test_a_client_is_an_argument_for_a_process_pool(client: AnimusClient, emulator: Emulator, method: str) -> None:
    client.chat.send("Hello", pace=False)
    pool: Executor
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        said = list(pool.map(say_hello, [client] * 4))
    assert said == [said[0]] * 4
    assert say_hello(client) == said[0]
    assert len(_tokens_seen(emulator)) == 5, "each worker has fetched a token of its own"


def test_workers_with_a_store_share_a_token(emulator: Emulator, tmp_path: Path) -> None:
    source = UrlTokenSource(emulator.token_url, timeout=30.0)
    client = AnimusClient(source, api_base_url=emulator.api_base_url, chat=CHAT, token_store=FileTokenStore(tmp_path / "tokens"))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        said = list(pool.map(say_hello, [client] * 4))
    assert say_hello(client) == said[0]
    assert len(_tokens_seen(emulator)) == emulator.requests.count("token") == 1


class Task:
    """A task as Celery's are: an object with settings, registered once in each worker, whose argument travels as bytes."""

    def __init__(self, client: AnimusClient) -> None:
        self.client = client

    def __call__(self, text: str) -> str:
        return self.client.chat.completions([user(text)]).text


def test_a_task_that_holds_a_client_travels(client: AnimusClient, emulator: Emulator) -> None:
    here = Task(client)
    said = here("Hello")
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        there = pickle.loads(pickle.dumps(here, protocol))
        assert there("Hello") == said
        there.client.close()
    assert len(_tokens_seen(emulator)) == pickle.HIGHEST_PROTOCOL


def test_a_function_that_closes_over_a_client_travels_as_dask_sends_it(client: AnimusClient) -> None:
    prefix = "Hello"
    question = lambda name: client.chat.completions([user(f"{prefix} {name}")]).text  # noqa: E731  # as people write them
    there = cloudpickle.loads(cloudpickle.dumps(question))
    assert there("Ada") == question("Ada")
    for cell in there.__closure__:
        if isinstance(cell.cell_contents, AnimusClient):
            assert cell.cell_contents is not client
            cell.cell_contents.close()


def test_settings_travel_and_state_does_not(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", "canary-token")
    chat = {**CHAT, "history_size": 7, "temperature": 0.5}
    with AnimusClient(EnvironmentTokenSource(), api_base_url=emulator.api_base_url, chat=chat, identity="ada", retry=1) as client:
        heard: list[Any] = []
        client.on("message_complete", heard.append)
        client.chat.set_chat_history([{"role": "user", "content": "a secret of mine"}])
        client._manager.token()
        data = pickle.dumps(client)
    for hidden in (b"canary-token", b"a secret of mine", b"append"):
        assert hidden not in data
    twin = pickle.loads(data)
    assert (twin.chat.config.history_size, twin.chat.config.temperature) == (7, 0.5)
    assert (twin._identity, twin.session.retry.repeats, len(twin.chat.history)) == ("ada", 1, 0)
    twin.close()


def test_what_does_not_travel_says_what_does(client: AnimusClient) -> None:
    with client.chat.completions([user("Hello")], stream=True) as stream:
        for thing, instead in ((client.chat, "history"), (client.media, "client"), (stream, "final")):
            with pytest.raises(TypeError, match=instead):
                pickle.dumps(thing)
        stream.final()
    history = client.conversation(history=[{"role": "user", "content": "Hello"}]).history
    assert pickle.loads(pickle.dumps(history)).to_list() == history.to_list()
