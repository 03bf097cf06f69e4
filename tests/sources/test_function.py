"""Functions as sources."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import pytest

from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenRequest, TokenSource

REQUEST = TokenRequest(force=True, identity="u1")


def plain() -> str:
    return "token-of-plain"


def test_a_function_without_arguments() -> None:
    source = CallableTokenSource(plain)
    assert isinstance(source, TokenSource)
    assert source.fetch(REQUEST) == "token-of-plain"


class Shop:
    def token(self, request: TokenRequest) -> str:
        return f"token-{request.identity}"

    def __call__(self) -> str:
        return "token-of-object"


@pytest.mark.parametrize(
    "function",
    [
        lambda request: f"token-{request.identity}",
        lambda anything, /: f"token-{anything.identity}",
        lambda *, request: f"token-{request.identity}",
        lambda *, r: f"token-{r.identity}",
        lambda request=None: f"token-{request.identity}",
        lambda r, other="x": f"token-{r.identity}",
        lambda user="nobody", request=None: f"token-{request.identity}",
        functools.partial(lambda a, r: f"token-{r.identity}", "a"),
        Shop().token,
    ],
)
def test_functions_that_take_the_request(function: Any) -> None:
    assert CallableTokenSource(function).fetch(REQUEST) == "token-u1"


@pytest.mark.parametrize(
    ("function", "value"),
    [
        (lambda user="u9": f"token-{user}", "token-u9"),
        (lambda *args, **kwargs: f"token-{len(args)}{len(kwargs)}", "token-00"),
        (Shop(), "token-of-object"),
        (functools.partial(lambda user: f"token-{user}", "u7"), "token-u7"),
        (functools.partial(lambda user: f"token-{user}", user="u7"), "token-u7"),
        (dict, {}),
    ],
)
def test_functions_that_do_not(function: Any, value: Any) -> None:
    assert CallableTokenSource(function).fetch(REQUEST) == value


@pytest.mark.parametrize("function", [lambda a, b: "", lambda a, *, b: "", None, "https://back.end", 7])
def test_others_are_refused(function: Any) -> None:
    with pytest.raises(ConfigurationError):
        CallableTokenSource(function)


def test_an_asynchronous_function_is_refused() -> None:
    async def fetch() -> str:
        return "x"

    with pytest.raises(ConfigurationError, match="asynchronous"):
        CallableTokenSource(fetch)
    with pytest.raises(TokenSourceError, match="coroutine"):
        CallableTokenSource(lambda: fetch()).fetch(REQUEST)


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"timeout": "1"}, {"background": None}])
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        CallableTokenSource(plain, **settings)


def test_a_time_limit_needs_a_thread_that_can_be_left() -> None:
    assert not CallableTokenSource(plain).own_thread
    assert CallableTokenSource(plain, timeout=5).own_thread
    assert not CallableTokenSource(plain, timeout=5, background=False).own_thread
    assert CallableTokenSource(plain, timeout=5).timeout == 5


def test_it_is_known_by_its_name() -> None:
    source = CallableTokenSource(plain)
    assert "tests.sources.test_function.plain" in source.fingerprint
    assert source.fingerprint == CallableTokenSource(plain).fingerprint
    assert source.fingerprint != CallableTokenSource(Shop().token).fingerprint
    assert repr(source) == "<CallableTokenSource tests.sources.test_function.plain>"
    assert source.contains_callables


def test_it_travels_by_its_name() -> None:
    twin = pickle.loads(pickle.dumps(CallableTokenSource(plain, background=False, timeout=3)))
    assert (twin.fetch(REQUEST), twin.background, twin.timeout) == ("token-of-plain", False, 3)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(CallableTokenSource(lambda: "x"))
    source = CallableTokenSource(lambda: "x")
    assert copy.deepcopy(source) is source
