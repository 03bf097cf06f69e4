"""Fixed tokens, and tokens in the environment."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.env import EnvironmentTokenSource, EnvironmentVariable, default_source
from animus.sources.protocol import TokenRequest, TokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.tokens.token import Token

SECRET = "canary-that-must-not-sing"


def test_a_fixed_token() -> None:
    source = StaticTokenSource(SECRET)
    assert isinstance(source, TokenSource)
    assert source.fetch(TokenRequest()) == SECRET
    assert StaticTokenSource(Token(SECRET)).fetch(TokenRequest()).value == SECRET  # type: ignore[union-attr]
    assert source.fingerprint == StaticTokenSource(SECRET).fingerprint == StaticTokenSource(Token(SECRET)).fingerprint
    assert source.fingerprint != StaticTokenSource("another").fingerprint
    for text in (repr(source), str(source), f"{source}", source.fingerprint, repr(source.fetch(TokenRequest())), repr(vars(source))):
        assert SECRET not in text


def test_a_fixed_token_does_not_travel() -> None:
    source = StaticTokenSource(SECRET)
    with pytest.raises(TypeError, match="EnvironmentTokenSource"):
        pickle.dumps(source)
    assert copy.deepcopy(source) is source
    assert copy.copy(source) is source


@pytest.mark.parametrize("token", ["", "  ", None, 7, b"bytes"])
def test_no_token_is_refused(token: Any) -> None:
    with pytest.raises(ConfigurationError):
        StaticTokenSource(token)


def test_the_variable_is_read_for_each_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EnvironmentTokenSource()
    with pytest.raises(TokenSourceError, match="ANIMUS_ACCESS_TOKEN is not set") as caught:
        source.fetch(TokenRequest())
    assert caught.value.reason == "not_available"
    fingerprints = {source.fingerprint}
    for value in ("first-one", "second-one"):
        monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", f" {value}\n")
        assert source.fetch(TokenRequest()) == value
        fingerprints.add(source.fingerprint)
        assert value not in source.fingerprint + repr(source) + repr(vars(source))
    assert len(fingerprints) == 3
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", "  ")
    with pytest.raises(TokenSourceError):
        source.fetch(TokenRequest())


def test_the_variables_name_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", SECRET)
    data = pickle.dumps(EnvironmentTokenSource("SHOP_TOKEN"))
    assert SECRET.encode() not in data
    assert pickle.loads(data).fetch(TokenRequest()) == SECRET
    assert pickle.loads(pickle.dumps(EnvironmentVariable("SHOP_TOKEN")))() == SECRET


# ---- the default ---------------------------------------------------------------------------------------


def test_the_environment_names_the_source_in_order() -> None:
    environ = {
        "ANIMUS_TOKEN_PROVIDER_URL": "https://back.end/token",
        "ANIMUS_ACCESS_TOKEN": "a-token",
        "ANIMUS_API_KEY": "a-key",
    }
    first = default_source(environ)
    assert isinstance(first, UrlTokenSource)
    assert first.name == "https://back.end/token"
    assert isinstance(default_source({**environ, "ANIMUS_TOKEN_PROVIDER_URL": " "}), EnvironmentTokenSource)
    third = default_source({"ANIMUS_API_KEY": "a-key", "ANIMUS_ACCESS_TOKEN": ""}, api_base_url="https://api.test/v3")
    assert isinstance(third, ApiKeyTokenSource)
    assert (third.mode, third.name) == ("exchange", "https://api.test/auth/generate-token")


def test_an_empty_environment_is_an_error_that_names_all_three() -> None:
    with pytest.raises(ConfigurationError) as caught:
        default_source({})
    for name in ("ANIMUS_TOKEN_PROVIDER_URL", "ANIMUS_ACCESS_TOKEN", "ANIMUS_API_KEY"):
        assert name in str(caught.value)


def test_the_named_key_travels_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANIMUS_API_KEY", SECRET)
    source = default_source({"ANIMUS_API_KEY": SECRET})
    data = pickle.dumps(source)
    assert SECRET.encode() not in data
    assert pickle.loads(data).fingerprint == source.fingerprint
