from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sources.provider import Provider, serving


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider
