"""What is known of an application's users."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from animus.server.users import is_nobody, shown, user_id
from tests.tokens.minting import SIGNATURE, mint


class Falsy(SimpleNamespace):
    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize(
    "user",
    [None, False, "", 0, {}, (), Falsy(id=1), SimpleNamespace(is_authenticated=False), SimpleNamespace(is_authenticated=lambda: False)],
)
def test_these_are_nobody(user: Any) -> None:
    assert is_nobody(user)


@pytest.mark.parametrize("user", ["ada", 7, {"id": 1}, object(), SimpleNamespace(is_authenticated=True)])
def test_these_are_somebody(user: Any) -> None:
    assert not is_nobody(user)


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("ada", "ada"),
        (7, "7"),
        ({"id": 7, "sub": "x"}, "7"),
        ({"sub": "x"}, "x"),
        ({"name": "x"}, None),
        (SimpleNamespace(get_id=lambda: "f-1", pk=2), "f-1"),
        (SimpleNamespace(pk=UUID(int=5), id=3), str(UUID(int=5))),
        (SimpleNamespace(id=3), "3"),
        (SimpleNamespace(id=None), None),
        (True, None),
        ("  ", None),
        (object(), None),
    ],
)
def test_what_tells_a_user_from_others(user: Any, name: str | None) -> None:
    assert user_id(user) == name


def test_a_token_used_as_a_users_name_is_not_shown() -> None:
    assert SIGNATURE not in str(shown(mint(4102444800)))
    assert len(str(shown("x" * 1000))) == 200
    assert shown(object()) is None
