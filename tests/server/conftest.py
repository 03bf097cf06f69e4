from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.emulator import Emulator
from animus.server import TokenIssuer
from tests.wired import emulator, emulator_process

__all__ = ["emulator", "emulator_process"]


@pytest.fixture
def make_issuer(emulator: Emulator) -> Iterator[Callable[..., TokenIssuer]]:
    """Make issuers that ask the emulator's auth service, and are closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(api_key: Any = None, **options: Any) -> TokenIssuer:
            if not {"auth_url", "api_base_url"} & options.keys():
                options["auth_url"] = emulator.auth_url
            return stack.enter_context(TokenIssuer(emulator.api_key if api_key is None else api_key, **options))

        yield make


@pytest.fixture
def issuer(make_issuer: Callable[..., TokenIssuer]) -> TokenIssuer:
    return make_issuer()
