"""What a token provider may answer, and what we make of it: every vector over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.served_vectors import served, tool, vectors
from tests.conformance.vectors_adapter import token

VECTORS = vectors("token_response")
token_diff = tool("compare").token_diff


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.mark.parametrize(("number", "vector"), list(enumerate(VECTORS)), ids=[vector["name"] for vector in VECTORS])
def test_token_response(number: int, vector: dict[str, Any], server: str) -> None:
    assert token_diff(vector, token(f"{server}/token/{number}", vector["now"])) == ""
