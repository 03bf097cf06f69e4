from __future__ import annotations

import contextlib

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
