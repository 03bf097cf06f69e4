from __future__ import annotations

from collections.abc import Iterator

import pytest

from animus.emulator import Emulator
from tests.examples.gate import HaltingModel
from tests.wired import emulator, emulator_process

__all__ = ["emulator", "emulator_process"]


@pytest.fixture
def halting_model(emulator: Emulator) -> Iterator[HaltingModel]:
    """Have the emulator answer, when no script does, by a model that stops in the middle."""
    with HaltingModel() as model:
        emulator.upstream = model.url
        yield model
