"""Causes of errors, without what they would show."""

from __future__ import annotations

import pickle
import subprocess
import sys
import traceback
from pathlib import PurePath
from typing import Any

import pytest
import requests

from animus._cause import ConcealedError, describe, safe_cause, without_secrets
from animus._secret import REDACTED, Secret
from animus.errors import AnimusError, ConfigurationError, TokenSourceError
from tests.tokens.minting import SIGNATURE, mint

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

TOKEN = mint(1)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


def noted(error: BaseException, *notes: str) -> BaseException:
    """Give the exception with notes; Python 3.10 has no ``add_note``."""
    vars(error)["__notes__"] = list(notes)
    return error


def with_attribute(error: BaseException, value: object) -> BaseException:
    error.detail = value  # type: ignore[attr-defined]
    return error


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


@pytest.mark.parametrize(
    "error",
    [
        noted(ValueError("x"), "harmless", f"it was {TOKEN}"),
        raised(ValueError("x"), noted(OSError("y"), TOKEN)),
        ExceptionGroup("x", [ValueError("y"), raised(ValueError("z"), OSError(TOKEN))]),
        ExceptionGroup("x", [ExceptionGroup("y", [noted(ValueError("z"), TOKEN)])]),  # type: ignore[list-item]
        with_attribute(ValueError("x"), {"a": [("b", TOKEN)]}),
        with_attribute(ValueError("x"), ["a", raised(OSError("y"), KeyError(TOKEN))]),
        subprocess.CalledProcessError(1, ["login"], output=TOKEN.encode()),
        AnimusError("x", partial={"token": TOKEN}),
        TokenSourceError("x", failures=(("a", TokenSourceError(TOKEN)),)),
    ],
    ids=repr,
)
def test_a_secret_it_holds_elsewhere_than_in_its_text_is_found(error: BaseException) -> None:
    for each in (error, raised(RuntimeError("outer"), error)):
        safe = safe_cause(each)
        assert isinstance(safe, ConcealedError)
        assert SIGNATURE not in "".join(traceback.format_exception(safe)) + repr(vars(safe))


def test_notes_stay() -> None:
    error = noted(ValueError("x"), "run corp-login")
    assert safe_cause(error) is error
    safe = safe_cause(noted(ValueError("x"), "run corp-login", f"it was {TOKEN}"))
    assert vars(safe)["__notes__"] == ["run corp-login", f"it was {REDACTED}"]


def test_a_ring_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert safe_cause(one) is one
    ring: list[object] = [one]
    ring.append(ring)
    assert safe_cause(with_attribute(two, ring)) is two


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


# ---- what cannot be looked at --------------------------------------------------------------------------


def _no(*_: Any) -> Any:
    raise RuntimeError("not to be looked at")


class Broken(dict[str, Any]):
    """A container that does not give what is in it."""

    items = values = _no


class WithoutText(ValueError):
    __str__ = _no


class WithoutRepr(ValueError):
    __repr__ = _no


class WithoutMembers(ValueError):
    exceptions = property(_no)


class WithoutAttributes(ValueError):
    __dict__ = property(_no)  # type: ignore[assignment]


class WithoutRequest(ValueError):
    request = property(lambda self: "a request")


@pytest.mark.parametrize(
    "error",
    [
        WithoutText("x"),
        WithoutRepr("x"),
        WithoutMembers("x"),
        WithoutAttributes("x"),
        WithoutRequest("x"),
        with_attribute(ValueError("x"), Broken(a=1)),
        with_attribute(ValueError("x"), [WithoutText("x")]),
        raised(ValueError("x"), WithoutText("y")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_be_looked_at_may_show_anything(error: BaseException) -> None:
    safe = safe_cause(error, drop_requests=True)
    assert isinstance(safe, ConcealedError)
    assert str(safe) in (f"{type(error).__name__}: x", "WithoutText")
    assert describe(error) == str(safe)


def test_notes_that_cannot_be_looked_at_are_left_out() -> None:
    error = noted(ValueError(TOKEN))
    vars(error)["__notes__"] = Broken(a=1)
    assert "__notes__" not in vars(safe_cause(error))


# ---- errors of ours that others raised -----------------------------------------------------------------


class VaultError(TokenSourceError):
    """A plugin's own, which does more than it must."""

    def __init__(self, path: str, **details: Any) -> None:
        super().__init__(f"the vault has nothing at {path}", reason="not_available", hint=f"Look at {path}")
        self.path = path
        vars(self).update(details)

    def __str__(self) -> str:
        return f"{self.path}: {super().__str__()}"


def test_an_error_of_ours_loses_its_secrets_wherever_it_holds_them() -> None:
    inner = TokenSourceError(f"inner {TOKEN}")
    error = TokenSourceError(f"no good: {TOKEN}", reason="timeout", source=f"vault {TOKEN}", hint=f"see {TOKEN}", status=503)
    error.retry_after, error.failures = 1.5, (("a", inner),)
    error = raised(noted(with_attribute(error, [TOKEN, "plain"]), TOKEN, "run corp-login"), KeyError(TOKEN))  # type: ignore[assignment]
    assert without_secrets(error) is error
    assert (error.message, error.args) == (f"no good: {REDACTED}", (f"no good: {REDACTED}",))
    assert (error.reason, error.source, error.status, error.retry_after) == ("timeout", f"vault {REDACTED}", 503, 1.5)
    assert (error.hint, error.failures) == (f"see {REDACTED}", (("a", inner),))
    assert vars(error)["__notes__"] == [REDACTED, "run corp-login"]
    assert isinstance(error.__cause__, ConcealedError)
    assert inner.args == (f"inner {REDACTED}",)
    shown = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(pickle.dumps(error))
    assert SIGNATURE not in shown


def test_it_stays_of_its_class_and_keeps_plain_data() -> None:
    error = without_secrets(VaultError(f"a/{TOKEN}", lease=3600, tags={"a": ("b", None)}, found=Secret("opaque"), place=PurePath("x")))
    assert type(error) is VaultError
    assert str(error).startswith(f"a/{REDACTED}: the vault has nothing at a/{REDACTED} (reason: not_available). Look at a/")
    assert (vars(error)["lease"], vars(error)["tags"]) == (3600, {"a": ("b", None)})
    assert (vars(error)["found"], vars(error)["place"]) == (REDACTED, None)  # nobody knows what an object holds
    assert pickle.loads(pickle.dumps(error)).path == f"a/{REDACTED}"


def test_errors_that_hold_each_other_end() -> None:
    one, two = TokenSourceError(TOKEN), TokenSourceError(TOKEN)
    one.failures, two.failures = (("two", two),), (("one", one),)
    ring: list[object] = []
    ring.append(ring)
    with_attribute(one, ring)
    without_secrets(one)
    assert SIGNATURE not in f"{one.message}{two.message}{one.args}{two.args}"
    assert one.failures[0][1].failures[0][1] is one


class VaultErrorWithoutText(TokenSourceError):
    __str__ = _no


class VaultErrorWithoutMessage(ConfigurationError):
    message = property(_no, lambda self, text: None)  # type: ignore[assignment]


def test_one_that_cannot_be_looked_at_is_replaced_by_a_plain_one() -> None:
    for error, kind in ((VaultErrorWithoutText(TOKEN), TokenSourceError), (VaultErrorWithoutMessage(TOKEN), ConfigurationError)):
        plain = without_secrets(error)
        assert type(plain) is kind
        assert plain.message == type(error).__name__
