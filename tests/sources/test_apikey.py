"""API keys as sources."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.token import Token
from tests.servers import unused_port
from tests.sources.provider import Answer, Provider
from tests.tokens.minting import mint

KEY = "animus-key-that-must-not-sing"
made: list[ApiKeyTokenSource] = []


def source_of(key: Any = KEY, **settings: Any) -> ApiKeyTokenSource:
    source = ApiKeyTokenSource(key, **settings)
    made.append(source)
    return source


@pytest.fixture(autouse=True)
def _close_sources() -> Iterator[None]:
    yield
    while made:
        made.pop().close()


def test_the_key_is_exchanged(provider: Provider) -> None:
    source = source_of(auth_url=provider.url)
    assert isinstance(source, TokenSource)
    token = source.fetch(TokenRequest())
    assert isinstance(token, Token)
    [asked] = provider.requests
    assert (asked.method, asked.headers["apikey"], asked.headers["Accept"], asked.body) == ("POST", KEY, "application/json", b"")
    assert "Authorization" not in asked.headers


def test_get_where_post_is_not_allowed_and_from_then_on(provider: Provider) -> None:
    provider.script = [Answer("", status=405), Answer({"accessToken": mint(4102444800)})]
    source = source_of(auth_url=provider.url)
    source.fetch(TokenRequest())
    source.fetch(TokenRequest())
    assert [asked.method for asked in provider.requests] == ["POST", "GET", "GET"]


def test_neither_is_allowed(provider: Provider) -> None:
    provider.script = [Answer("", status=405)]
    source = source_of(auth_url=provider.url)
    for _ in range(2):
        with pytest.raises(TokenSourceError) as caught:
            source.fetch(TokenRequest())
        assert caught.value.reason == "method_not_allowed"
    assert [asked.method for asked in provider.requests] == ["POST", "GET", "POST", "GET"]


def test_a_refusal_speaks_of_the_key_and_does_not_show_it(provider: Provider) -> None:
    provider.script = [Answer({"error": f"bad key {KEY}"}, status=401)]
    with pytest.raises(TokenSourceError) as caught:
        source_of(auth_url=provider.url).fetch(TokenRequest())
    assert "API key" in str(caught.value.hint)
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_the_bearer_mode_gives_the_key_itself() -> None:
    source = source_of(lambda: f" {KEY}\n", mode="bearer")
    assert source.fetch(TokenRequest()) == KEY
    assert source.local


def test_the_auth_service_is_where_the_api_is() -> None:
    assert source_of().name == "https://api.animusai.co/auth/generate-token"
    assert source_of(api_base_url="http://127.0.0.1:8080/v3").name == "http://127.0.0.1:8080/auth/generate-token"
    bound = source_of().for_api("https://api.test/v3/")
    assert bound.name == "https://api.test/auth/generate-token"
    elsewhere = source_of(auth_url="https://auth.test/x")
    assert elsewhere.for_api("https://api.test/v3") is elsewhere
    assert bound.for_api("https://other.test") is bound


@pytest.mark.parametrize(
    "settings",
    [
        {"key": ""}, {"key": None}, {"key": "two\nlines"}, {"mode": "basic"}, {"method": "PUT"}, {"timeout": -1}, {"auth_url": "http://auth.test"},
        {"api_base_url": "http://api.test/v3"}, {"auth_url": "no url"}, {"auth_url": 7},
        {"auth_url": "http://[?key=x"},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ApiKeyTokenSource(**{"key": KEY, **settings})


@pytest.mark.parametrize("key", ["", "  ", None, "two\nlines", b"x"])
def test_a_function_that_gives_no_key(key: Any) -> None:
    with pytest.raises(TokenSourceError) as caught:
        source_of(lambda: key).fetch(TokenRequest())
    assert caught.value.reason == "not_available"


def test_a_function_that_raises() -> None:
    def vault() -> str:
        raise OSError("sealed")

    with pytest.raises(TokenSourceError, match="sealed") as caught:
        source_of(vault).fetch(TokenRequest())
    assert (caught.value.reason, type(caught.value.__cause__)) == ("failed", OSError)


def test_the_key_shows_nowhere() -> None:
    source = source_of(api_base_url=f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(TokenSourceError) as caught:
        source.fetch(TokenRequest())
    texts = [repr(source), str(source), source.fingerprint, repr(vars(source)), "".join(traceback.format_exception(caught.value))]
    assert KEY not in "".join(texts)
    assert source.fingerprint != source_of("another", api_base_url=source._settings["api_base_url"]).fingerprint


def a_key() -> str:
    return KEY


def test_a_literal_key_does_not_travel_and_a_function_does() -> None:
    with pytest.raises(TypeError, match="literal key"):
        pickle.dumps(source_of())
    source = source_of()
    assert copy.deepcopy(source) is source
    data = pickle.dumps(source_of(a_key, mode="bearer"))
    assert KEY.encode() not in data
    assert pickle.loads(data).fetch(TokenRequest()) == KEY
