"""The environment is remembered as long as it says the same."""

from __future__ import annotations

import os
from typing import Any

import pytest

from animus.http import environment
from animus.http.environment import SettingsMemo, variables


@pytest.mark.parametrize("uses_data", [True, False])
@pytest.mark.parametrize(
    "name", ["http_proxy", "HTTPS_PROXY", "no_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUEST_METHOD"]
)
def test_a_change_is_seen(name: str, uses_data: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_USES_DATA", uses_data and environment._USES_DATA)
    before = variables()
    monkeypatch.setenv(name, "http://proxy.example")
    changed = variables()
    assert changed != before
    monkeypatch.delenv(name)
    assert variables() == before


def test_settings_are_made_once_until_a_variable_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def make() -> dict[str, Any]:
        made.append({"proxies": {"http": os.environ.get("http_proxy", "none")}, "verify": True})
        return made[-1]

    memo = SettingsMemo()
    assert memo.get("a", make)["proxies"] == {"http": "none"}
    assert memo.get("a", make)["proxies"] == {"http": "none"}
    assert len(made) == 1
    monkeypatch.setenv("http_proxy", "p")
    assert memo.get("a", make)["proxies"] == {"http": "p"}
    memo.get("b", make)
    assert len(made) == 3


def test_what_it_gives_is_the_callers_to_change() -> None:
    memo = SettingsMemo()
    first = memo.get("a", lambda: {"proxies": {}})
    first["proxies"]["http"] = "changed"
    assert memo.get("a", lambda: {"proxies": {}}) == {"proxies": {}}


def test_it_does_not_grow_without_end() -> None:
    memo = SettingsMemo()
    for key in range(1000):
        memo.get(key, lambda: {"proxies": {}})
    assert len(memo._memo) <= 64
