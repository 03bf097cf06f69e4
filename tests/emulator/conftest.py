from __future__ import annotations

from collections.abc import Iterator

import pytest

from animus.emulator import Emulator
from tests.emulator.caller import Caller


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def caller(emulator: Emulator) -> Iterator[Caller]:
    caller = Caller(emulator)
    with caller.session:
        yield caller
