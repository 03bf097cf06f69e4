"""Pytest fixtures; found by pytest by itself once ``animus-client`` is installed.

``animus_emulator``
    A running :class:`animus.emulator.Emulator`, as new for every test.
``animus_client``
    An :class:`animus.AnimusClient` wired to it, closed afterwards.
``animus_client_options``
    Override it to give ``animus_client`` further arguments, or other ones (``{"chat": {"model": …, "system_message": …}}``).
``animus_clock``
    A :class:`animus.testing.ManualClock`. A test that asks for it has emulator and client live by it.
``animus_no_network``
    Refuses every connection that would leave this machine. For a whole module:
    ``pytestmark = pytest.mark.usefixtures("animus_no_network")``.

This module is loaded in every pytest run of everybody who has the package: it imports nothing until a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from animus.client import AnimusClient
    from animus.emulator import Emulator
    from animus.testing.clock import ManualClock

_CHAT = {"model": "vivian-llama3.1-70b-1.0-fp8", "system_message": "You are a helpful assistant."}
_VISION = {"model": "animuslabs/Qwen2-VL-NSFW-Vision-1.2"}


@pytest.fixture(scope="session")
def _animus_emulator_process() -> Iterator[Emulator]:
    from animus.emulator import Emulator

    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def animus_emulator(_animus_emulator_process: Emulator, request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Give a running emulator. One server serves the whole test run; before and after each test it is made as new."""
    emulator = _animus_emulator_process
    emulator.reset()
    if "animus_clock" in request.fixturenames:
        emulator.clock = request.getfixturevalue("animus_clock")
    yield emulator
    emulator.reset()


@pytest.fixture
def animus_client_options() -> Mapping[str, Any]:
    """Give arguments for ``animus_client``; meant to be overridden."""
    return {}


@pytest.fixture
def animus_client(
    animus_emulator: Emulator, animus_client_options: Mapping[str, Any], request: pytest.FixtureRequest
) -> Iterator[AnimusClient]:
    """Give a client of the emulator, configured for chat and vision."""
    from animus.client import AnimusClient

    options: dict[str, Any] = {"chat": _CHAT, "vision": _VISION, "api_base_url": animus_emulator.api_base_url}
    if "animus_clock" in request.fixturenames:
        options["clock"] = request.getfixturevalue("animus_clock")
    if not {"token_source", "token_provider_url"} & set(animus_client_options):
        options["token_provider_url"] = animus_emulator.token_url
    with AnimusClient(**{**options, **animus_client_options}) as client:
        yield client


@pytest.fixture
def animus_clock() -> ManualClock:
    """Give a clock that the test moves."""
    from animus.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def animus_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections and name look-ups for other machines with :class:`animus.testing.network.NetworkRefused`."""
    from animus.testing.network import refuse_network

    refuse_network(monkeypatch)
