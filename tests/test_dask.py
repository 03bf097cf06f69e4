"""A client in a real Dask cluster. Dask is no dependency of the package: ``tox -e dask`` brings it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from animus import AnimusClient, FileTokenStore, UrlTokenSource
from animus.emulator import Emulator
from tests.wired import CHAT, user

distributed = pytest.importorskip("distributed", reason="the package distributed is not installed; tox -e dask brings it")

pytestmark = pytest.mark.filterwarnings("default")  # those of Dask's own are not ours to mend

TASKS = 8


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A cluster of two processes with two threads each."""
    settings = {"n_workers": 2, "threads_per_worker": 2, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as dask:
        yield dask


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


def client_of(emulator: Emulator, **settings: Any) -> AnimusClient:
    return AnimusClient(UrlTokenSource(emulator.token_url, timeout=30.0), api_base_url=emulator.api_base_url, chat=CHAT, **settings)


def say_hello(client: AnimusClient, number: int) -> str:
    return client.chat.completions([user(f"Hello {number}")]).text


def test_a_client_is_an_argument_for_tasks_and_with_a_store_all_share_a_token(dask: Any, emulator: Emulator, tmp_path: Path) -> None:
    with client_of(emulator, token_store=FileTokenStore(tmp_path / "tokens")) as client:
        said = dask.gather([dask.submit(say_hello, client, number, pure=False) for number in range(TASKS)])
        assert said == [say_hello(client, number) for number in range(TASKS)]
    assert emulator.requests.count("token") == 1


def test_a_function_closes_over_a_client(dask: Any, emulator: Emulator) -> None:
    with client_of(emulator) as client:
        said = dask.gather(dask.map(lambda number: say_hello(client, number), range(TASKS)))
        assert said == [say_hello(client, number) for number in range(TASKS)]


def test_a_client_that_was_scattered_is_one_for_each_worker(dask: Any, emulator: Emulator) -> None:
    with client_of(emulator) as client:
        everywhere = dask.scatter(client, broadcast=True)
        said = dask.gather([dask.submit(say_hello, everywhere, number, pure=False) for number in range(TASKS)])
        assert len(said) == TASKS
    assert 1 <= emulator.requests.count("token") <= 2
