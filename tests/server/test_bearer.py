"""Users by a secret of their own."""

from __future__ import annotations

import hmac
import pickle
from types import SimpleNamespace
from typing import Any

import pytest

from animus.errors import ConfigurationError
from animus.server import BearerUsers

ADA, BOB = "the first secret of all", "another secret of another"
USERS = BearerUsers({"ada": ADA, "bob": BOB})


def test_each_secret_is_its_users() -> None:
    assert USERS({"HTTP_AUTHORIZATION": f"Bearer {ADA}"}) == "ada"
    assert USERS(SimpleNamespace(headers={"authorization": f"bearer   {BOB} "})) == "bob"


@pytest.mark.parametrize(
    "value", [None, "", "Bearer", "Bearer ", ADA, f"Basic {ADA}", f"Bearer {ADA[:-1]}", f"Bearer {ADA}, x", "Bearer é"]
)
def test_anything_else_is_nobodys(value: str | None) -> None:
    assert USERS({} if value is None else {"HTTP_AUTHORIZATION": value}) is None


def test_a_mapping_that_is_a_request_is_asked_for_its_headers() -> None:
    class Request(dict[str, Any]):  # Starlette's is a mapping
        headers = {"authorization": f"Bearer {ADA}"}

    assert USERS(Request()) == "ada"


@pytest.mark.parametrize("secret", [ADA, BOB, "x" * 5, "no such secret at all " * 1000])
def test_all_secrets_are_compared_whichever_it_is_and_at_one_length(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    USERS({"HTTP_AUTHORIZATION": f"Bearer {secret}"})
    assert compared == [(32, 32), (32, 32)]


def test_a_function_is_asked_each_time() -> None:
    current = {"ada": ADA}
    users = BearerUsers(lambda: current)
    assert users({"HTTP_AUTHORIZATION": f"Bearer {BOB}"}) is None
    current["bob"] = BOB
    assert users({"HTTP_AUTHORIZATION": f"Bearer {BOB}"}) == "bob"


@pytest.mark.parametrize("users", [None, "ada", [ADA], {"ada": "short"}, {"ada": None}, {"ada": f" {ADA}"}, {"ada": "é" * 20}])
def test_impossible_users_are_refused(users: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        BearerUsers(users)
    assert ADA not in str(caught.value)


def test_it_shows_no_secret() -> None:
    assert ADA not in repr(USERS) + str(vars(USERS))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(USERS)
