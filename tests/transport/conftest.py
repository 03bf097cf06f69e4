from __future__ import annotations

import contextlib
import http.client

import pytest
import requests

pytest.register_assert_rewrite("tests.transport.comparison")

from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.serving import authority, closing, full_backlog, name_hosts, serve, serve_raw, session_for

__all__ = ["authority", "closing", "full_backlog", "name_hosts", "serve", "serve_raw", "session_for"]


@pytest.fixture(params=["requests", "animus"])
def session(request: pytest.FixtureRequest, closing: contextlib.ExitStack) -> requests.Session:
    """Give a plain session, then ours: a test that uses it says what both do."""
    if request.param == "requests":
        return closing.enter_context(requests.Session())
    return closing.enter_context(AnimusSession("http://127.0.0.1:9/v3", retry=RetryPolicy(repeats=0)))


@pytest.fixture(params=["short", "long"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a test go the short way of a call, then the public one, as where a library below is not what it was found to be."""
    if request.param == "long":
        for place in ("animus.transport.session.send_is_untouched", "animus.transport.express.session_is_untouched"):
            monkeypatch.setattr(place, lambda session: False)
        monkeypatch.setattr("animus.http.adapter.untouched", lambda: False)
        monkeypatch.setattr("animus.http.request_head._FOUND", ())
        monkeypatch.setattr("animus.http.connection.Guarded.response_class", http.client.HTTPResponse)
        monkeypatch.setattr("animus.http.express._STORE_IS_KNOWN", False)
        monkeypatch.setattr("animus.http.environment._USES_DATA", False)
