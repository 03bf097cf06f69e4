"""Errors: one tree, one line of text, and all of them travel."""

from __future__ import annotations

import copy
import inspect
import multiprocessing
import pickle
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import requests

from animus import errors
from animus.errors import AnimusError, ApiError, AuthenticationError, UnauthorizedError, class_for_status

CLASSES = [cls for _, cls in sorted(vars(errors).items()) if isinstance(cls, type) and issubclass(cls, AnimusError)]

_VALUES: dict[str, Any] = {
    "hint": "do this",
    "attempts": 3,
    "partial": {"text": "so far"},
    "reason": "expired",
    "status": 418,
    "source": "the source",
    "retry_after": 1.5,
    "error_data": {"detail": [{"loc": ["a"], "msg": "ü"}]},
    "body": "text\ud800",
    "request_id": "r-1",
    "sent": False,
    "limit": "idle",
    "code": 7,
    "type": "bad",
    "job": {"id": "j-1"},
    "results": [1, ValueError("x")],
    "failures": (("the first", errors.TokenSourceError("no", reason="expired")),),
}


def _arguments(cls: type) -> Iterator[str]:
    """Give the names of all keyword arguments that a class takes, those of its bases too."""
    for base in cls.__mro__:
        if "__init__" in vars(base) and issubclass(base, AnimusError):
            parameters = inspect.signature(base.__init__).parameters.values()
            yield from (p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):  # it hands nothing on that it does not know
                return


def _made(cls: type[AnimusError]) -> AnimusError:
    """Make an error with all it can have."""
    names = dict.fromkeys(_arguments(cls))
    error = cls("what went wrong", **{name: _VALUES[name] for name in names if name != "response"})
    if issubclass(cls, ApiError):
        error.response = requests.Response()  # type: ignore[attr-defined]
    error.__cause__ = OSError("behind it")
    return error


def _raise(error: AnimusError) -> None:
    raise error


def _assert_same(one: AnimusError, other: AnimusError) -> None:
    assert type(one) is type(other)
    assert (str(one), repr(one), one.args) == (str(other), repr(other), other.args)
    mine, theirs = dict(vars(one)), dict(vars(other))
    for state in (mine, theirs):
        state.pop("response", None)
        state.update({name: repr(state[name]) for name in ("results", "failures") if name in state})  # exceptions equal themselves alone
    assert mine == theirs


def test_the_tree_is_complete() -> None:
    assert len(CLASSES) >= 25
    assert errors.__doc__ is not None
    for cls in CLASSES:
        assert cls.__doc__
        assert cls.__name__ in errors.__doc__


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_has_all_it_is_given(cls: type[AnimusError]) -> None:
    error = _made(cls)
    for name in _arguments(cls):
        if name != "response":
            assert getattr(error, name) == _VALUES[name]


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_class_travels_with_all_it_has(cls: type[AnimusError], protocol: int) -> None:
    error = _made(cls)
    _assert_same(pickle.loads(pickle.dumps(error, protocol)), error)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_can_be_copied(cls: type[AnimusError]) -> None:
    error = _made(cls)
    _assert_same(copy.copy(error), error)
    _assert_same(copy.deepcopy(error), error)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_can_be_made_of_nothing(cls: type[AnimusError]) -> None:
    error = cls()
    assert cls.__name__ in str(error)
    _assert_same(pickle.loads(pickle.dumps(error)), error)


def test_all_come_through_a_pool_of_processes() -> None:
    made = [_made(cls) for cls in CLASSES]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for error, future in [(error, pool.submit(_raise, error)) for error in made]:
            raised = future.exception(timeout=60)
            assert isinstance(raised, AnimusError)
            _assert_same(raised, error)


def test_a_live_response_stays_behind() -> None:
    error = pickle.loads(pickle.dumps(_made(ApiError)))
    assert error.response is None


@pytest.mark.parametrize("cls", CLASSES)
def test_the_text_is_one_line_with_a_hint(cls: type[AnimusError]) -> None:
    error = cls("several\n  lines", hint="Do this")
    assert str(error).startswith("several lines")
    assert str(error).endswith(". Do this")
    assert "\n" not in str(error)


def test_details_are_in_the_text() -> None:
    assert str(ApiError("no", status=500, request_id="r-1", attempts=3)) == "no (status 500, request r-1, after 3 attempts)"
    assert str(ApiError("no", status=500, attempts=1)) == "no (status 500)"
    assert str(errors.ApiTimeoutError("slow", limit="idle", sent=False, attempts=2)) == (
        "slow (limit: idle, the request was not sent, after 2 attempts)"
    )
    assert str(errors.TokenSourceError("no", reason="expired", status=200, source="URL")) == "no (reason: expired, status 200, source: URL)"
    assert str(UnauthorizedError("no", reason="same_token")) == "no (reason: same_token, status 401)"


def test_a_401_is_both() -> None:
    error = UnauthorizedError("no", error_data={"a": 1}, attempts=2)
    assert isinstance(error, AuthenticationError)
    assert isinstance(error, ApiError)
    assert (error.status, error.reason, error.error_data) == (401, "refused_by_api", {"a": 1})


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (302, "ApiError"),
        (400, "BadRequestError"),
        (401, "UnauthorizedError"),
        (402, "PaymentRequiredError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (409, "ConflictError"),
        (418, "ApiError"),
        (422, "BadRequestError"),
        (429, "RateLimitError"),
        (500, "ServerError"),
        (599, "ServerError"),
    ],
)
def test_a_status_has_its_class(status: int, name: str) -> None:
    assert class_for_status(status).__name__ == name
