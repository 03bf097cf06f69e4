"""Retry-After and its relatives: every vector, read directly and over real HTTP, here and in another time zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from animus.http.plain import PlainHttp
from animus.http.retry_after import retry_after as read
from tests.conformance.served_vectors import served, tool, vectors
from tests.conformance.vectors_adapter import retry_after

VECTORS = vectors("retry_after")
SENDABLE = [(number, vector) for number, vector in enumerate(VECTORS) if vector.get("wire") != "skip"]
retry_diff = tool("compare").retry_diff


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def http() -> Iterator[PlainHttp]:
    http = PlainHttp()
    yield http
    http.close()


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_retry_after_read_directly(vector: dict[str, Any]) -> None:
    headers = [(name, value) for name, value in vector["headers"]]
    assert retry_diff(vector, retry_after(headers, vector["now"])) == ""


@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize(("number", "vector"), SENDABLE, ids=[vector["name"] for _, vector in SENDABLE])
def test_retry_after_over_http(number: int, vector: dict[str, Any], server: str, http: PlainHttp) -> None:
    answer = http.exchange("GET", f"{server}/retry/{number}", timeout=10)
    assert answer.status == 429
    assert retry_diff(vector, read(answer.headers, vector["now"])) == ""
