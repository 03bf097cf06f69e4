"""Causes of errors, without what they would show."""

from __future__ import annotations

import traceback

import requests

from animus._cause import ConcealedError, describe, safe_cause
from tests.tokens.minting import SIGNATURE, mint


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def test_a_harmless_exception_stays_itself() -> None:
    error = raised(ValueError("no such user"), OSError("refused"))
    assert safe_cause(error, ["topsecret"]) is error


def test_an_exception_that_shows_a_token_is_replaced_by_its_type_and_the_rest_of_its_text() -> None:
    error = safe_cause(raised(RuntimeError(f"bad token {mint(1)}")))
    assert isinstance(error, ConcealedError)
    assert str(error).startswith("RuntimeError: bad token ")
    assert SIGNATURE not in "".join(traceback.format_exception(error))


def test_a_secret_anywhere_behind_it_is_found() -> None:
    wrapped = requests.ConnectionError(OSError("Max retries exceeded with url: /token?key=topsecret"))
    for error in (raised(ValueError("x"), OSError("topsecret")), raised(wrapped), raised(ValueError("a", {"k": "topsecret"}))):
        assert isinstance(safe_cause(error, ["topsecret"]), ConcealedError)


def test_a_ring_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert safe_cause(one) is one


def test_requests_with_headers_are_taken_off() -> None:
    request = requests.Request("GET", "http://127.0.0.1/", headers={"apikey": "topsecret"}).prepare()
    inner = requests.ConnectionError("refused", request=request)
    error = safe_cause(raised(ValueError("outer"), inner), drop_requests=True)
    assert error.__cause__ is inner
    assert inner.request is None


def test_a_description_is_one_short_line() -> None:
    assert describe(ValueError("a\n  b")) == "ValueError: a b"
    assert describe(ValueError()) == "ValueError"
    assert len(describe(ValueError("x" * 5000))) < 400
