"""What people write as token_source."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.make import as_token_source
from animus.sources.protocol import TokenRequest
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource


class Own:
    fingerprint = "own:1"

    def fetch(self, request: TokenRequest) -> str:
        return "own-token"


def test_a_source_is_itself() -> None:
    own = Own()
    assert as_token_source(own) is own
    static = StaticTokenSource("t")
    assert as_token_source(static, api_base_url="https://api.test/v3") is static


def test_an_object_that_raises_when_it_is_looked_at_is_a_source() -> None:
    class Riddle(Own):
        @property
        def fingerprint(self) -> str:  # type: ignore[override]
            raise RuntimeError("not yet")

    riddle = Riddle()
    assert as_token_source(riddle) is riddle


def test_a_url_text_is_a_url_source() -> None:
    for text in ("https://back.end/token", " HTTPS://back.end/token "):
        assert isinstance(as_token_source(text), UrlTokenSource)
    with pytest.raises(ConfigurationError, match="clear text"):
        as_token_source("http://back.end/token")
    assert isinstance(as_token_source("http://back.end/token", allow_insecure_http=True), UrlTokenSource)


def test_a_function_is_a_function_source() -> None:
    assert isinstance(as_token_source(lambda: "t"), CallableTokenSource)


def test_an_api_key_knows_its_api() -> None:
    source = as_token_source(ApiKeyTokenSource("k"), api_base_url="https://api.test/v3")
    assert isinstance(source, ApiKeyTokenSource)
    assert source.name == "https://api.test/auth/generate-token"


def test_nothing_is_what_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="ANIMUS_API_KEY"):
        as_token_source(None)
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", "t")
    assert isinstance(as_token_source(None), EnvironmentTokenSource)


@pytest.mark.parametrize(
    "value",
    ["", "  ", "a-secret-key", "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2ln", 7, b"https://x", object(), {"url": "x"}, Own, UrlTokenSource],
)
def test_other_things_are_refused_unseen(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        as_token_source(value)
    assert "a-secret-key" not in str(caught.value)
    assert "eyJ" not in str(caught.value)


def test_an_object_hears_what_it_lacks() -> None:
    class Half:
        def fetch(self, request: TokenRequest) -> str:
            return ""

    with pytest.raises(ConfigurationError, match="lacks fingerprint"):
        as_token_source(Half())


def test_a_fixed_token_or_a_function_does_not_load_requests() -> None:
    code = (
        "import sys; from animus.sources.make import as_token_source; from animus.sources.static import StaticTokenSource; "
        "as_token_source(StaticTokenSource('x')); as_token_source(lambda: 'x'); assert 'requests' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
