"""The chat examples under waitress, which has threads and no workers, and collects what a response says if it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from animus.emulator import Emulator
from tests.examples.gate import AFTER, BEFORE, HaltingModel
from tests.examples.visitor import EXAMPLES, SITES, Visitor, environment_of, events_of
from tests.server.hosting import waitress_process


@pytest.fixture(params=SITES)
def origin(request: pytest.FixtureRequest, emulator: Emulator, tmp_path: Path) -> Iterator[str]:
    factory = SITES[request.param].removesuffix("()")
    with waitress_process(factory, environment_of(emulator, tmp_path), EXAMPLES / request.param) as origin:
        yield origin


def test_an_answer_arrives_bit_by_bit_and_ends_with_the_browser(origin: str, emulator: Emulator, halting_model: HaltingModel) -> None:
    with Visitor(origin, "ada") as ada:
        with ada.asking("Tell me about tides") as response:
            events = events_of(response)
            assert [next(events), next(events)] == [("start", {}), ("tokens", {"text": BEFORE})]
            halting_model.go_on.set()
            assert [data["text"] for name, data in events if name == "message"] == [BEFORE + AFTER]
        emulator.upstream = None
        emulator.script([{"chunks": ["word "] * 2000, "chunk_delay": 0.01}])
        with ada.asking("Tell me everything") as response:
            assert next(data for name, data in events_of(response) if name == "tokens")
        emulator.requests.wait_until_idle()
        assert emulator.requests.last(path="/chat/completions").aborted
        assert [entry["text"] for entry in ada.messages()] == ["Tell me about tides", BEFORE + AFTER]
