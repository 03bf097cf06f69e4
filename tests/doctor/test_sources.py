"""Tokens that do not come from a URL, settings that are not possible, and the environment."""

from __future__ import annotations

from typing import Any

import pytest

from animus import ApiKeyTokenSource, StaticTokenSource, UrlTokenSource
from animus.doctor import examine
from animus.emulator import Emulator
from animus.errors import ConfigurationError
from tests.doctor.asking import APP, Doctor

NAMES = ("ANIMUS_TOKEN_PROVIDER_URL", "ANIMUS_ACCESS_TOKEN", "ANIMUS_API_KEY")


def test_the_environment_names_a_provider(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_TOKEN_PROVIDER_URL", emulator.token_url)
    monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url)
    found = doctor("-H", "X-User: user-ada")
    assert (found.code, emulator.requests.last("token").user) == (0, "user-ada")
    assert f"{emulator.token_url} (by ANIMUS_TOKEN_PROVIDER_URL)" in found["environment"]["text"]


def test_the_environment_has_a_token(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", emulator.issue_token())
    found = doctor("--api-base-url", emulator.api_base_url, "--origin", APP)
    assert (found.code, found.status("provider.answer"), found.status("api.token")) == (0, "ok", "ok")
    assert [found.status(f"provider.{check}") for check in ("proxy", "dns", "connect", "tls")] == ["skipped"] * 4
    assert found.status("cors.answer") == "skipped"


def test_a_token_of_the_environment_that_is_over(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", emulator.issue_token(lifetime=-5))
    found = doctor("--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.answer") == ("failed", "expired")


def test_a_token_of_the_environment_that_is_refused(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", emulator.issue_token())
    emulator.revoke_tokens()
    found = doctor("--api-base-url", emulator.api_base_url)
    assert found.outcome("api.token") == ("failed", "same_token")
    assert "a fixed token has ended" in found["api.token"]["advice"]


def test_the_environment_has_a_key(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", emulator.api_key)
    found = doctor("--api-base-url", emulator.api_base_url)
    assert (found.code, found.status("provider.connect"), found.status("api.token")) == (0, "ok", "ok")


def test_a_key_that_is_refused(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", "another-key")
    found = doctor("--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.answer") == ("failed", "unauthorized")
    assert "did not accept the API key" in found["provider.answer"]["advice"]


def test_what_is_set_and_not_used_is_told(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES[1:]:
        monkeypatch.setenv(name, "something")
    monkeypatch.setenv("ANIMUS_TOKEN_STORE", "file")
    advice = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)["environment"]["advice"]
    assert "ANIMUS_ACCESS_TOKEN and ANIMUS_API_KEY are set, but not used" in advice
    assert "ANIMUS_TOKEN_STORE" in advice


def test_nothing_is_set(emulator: Emulator, doctor: Doctor) -> None:
    found = doctor("--api-base-url", emulator.api_base_url)
    assert (found.code, found.outcome("environment")) == (1, ("failed", "configuration"))
    assert all(name in found["environment"]["advice"] for name in NAMES)
    assert found.status("api.answer") == "ok", "the API is looked at all the same"


@pytest.mark.parametrize(
    "url", ["backend.example/token", "ftp://backend.example", "http://backend.example/token", "https://", "https://a b"]
)
def test_urls_that_are_none(doctor: Doctor, url: str) -> None:
    found = doctor(url)
    assert (found.code, found.outcome("environment")) == (1, ("failed", "configuration"))
    assert found.status("provider.answer") == "skipped"


def test_an_api_url_that_is_none(emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(emulator.token_url, "--api-base-url", "http://api.example/v3")
    assert found.outcome("environment") == ("failed", "configuration")
    assert "api_base_url" in found["environment"]["text"]
    assert (found.status("provider.answer"), found.status("api.answer")) == ("ok", "skipped")


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"X": "a\nb"}, {"X": lambda: 1 / 0}])
def test_headers_that_cannot_be_sent(emulator: Emulator, headers: Any) -> None:
    report = examine(emulator.token_url, api_base_url=emulator.api_base_url, headers=headers, origin=APP)
    assert [finding.check for finding in report.failures][0] in ("environment", "provider.answer")
    assert report["cors.answer"].status == "skipped"


def test_a_function_that_raises(emulator: Emulator) -> None:
    report = examine(lambda: 1 / 0, api_base_url=emulator.api_base_url)
    assert (report["provider.answer"].status, report["provider.answer"].reason) == ("failed", "failed")
    assert "ZeroDivisionError" in report["provider.answer"].text


def test_a_source_that_has_none_here(emulator: Emulator) -> None:
    report = examine(ApiKeyTokenSource(lambda: ""), api_base_url=emulator.api_base_url)
    assert report["provider.answer"].reason == "not_available"


def test_sources_of_ones_own_stay_open(emulator: Emulator) -> None:
    with_header = UrlTokenSource(emulator.token_url, headers={"X-User": "user-ada"}, cookies={"a": "b"}, auth=("ada", "secret"))
    for source in (with_header, StaticTokenSource(emulator.issue_token()), lambda: emulator.issue_token()):
        report = examine(source, api_base_url=emulator.api_base_url, origin=APP)
        assert report.healthy, str(report)
    with_header.close()


@pytest.mark.parametrize("origin", ["app.example.com", f"{APP}/", f"{APP}/chat", "*", "null", "", "ftp://x"])
def test_origins_that_are_none(emulator: Emulator, origin: str) -> None:
    with pytest.raises(ConfigurationError, match="origin must be"):
        examine(emulator.token_url, origin=origin)
    assert len(emulator.requests) == 0
