"""Exchanges whose query is nobody's business."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from animus.http.plain import PlainHttp
from tests.servers import unused_port
from tests.sources.provider import Provider, serving


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serving() as provider:
        yield provider


@pytest.fixture
def http() -> Iterator[PlainHttp]:
    http = PlainHttp()
    yield http
    http.close()


def test_the_query_is_on_the_wire_and_not_in_the_log(provider: Provider, http: PlainHttp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(2):  # also over a connection that is used again
        http.exchange("GET", f"{provider.url}?key=topsecret", timeout=10)
    assert [asked.path for asked in provider.requests] == ["/api/token?key=topsecret"] * 2
    assert "/api/token" in caplog.text
    assert "topsecret" not in caplog.text


def test_a_url_without_query_is_logged_as_usual(provider: Provider, http: PlainHttp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    http.exchange("POST", provider.url, timeout=10)
    assert '"POST /api/token HTTP/1.1" 200' in caplog.text


def test_so_over_a_proxy(provider: Provider, http: PlainHttp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = provider.url.partition("/api")[0]
    http.exchange("GET", f"http://127.0.0.1:{unused_port()}/far?key=topsecret", timeout=10, proxies={"http": proxy})
    assert provider.requests[0].path.endswith("/far?key=topsecret")
    assert "topsecret" not in caplog.text
