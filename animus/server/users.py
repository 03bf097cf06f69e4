"""What is known of a user that an application's own code gave: whether it is anybody, and a text that tells one from another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from animus._secret import scrub

_KEYS = ("id", "sub")
_ATTRIBUTES = ("pk", "id")  # Django, SQLAlchemy and others
_LONGEST_SHOWN = 200


def is_nobody(user: Any) -> bool:
    """Tell whether nobody is signed in: None and all that is false, and the anonymous users of Django and Flask-Login."""
    if not user:
        return True
    signed_in = getattr(user, "is_authenticated", True)
    return not (signed_in() if callable(signed_in) else signed_in)


def user_id(user: Any) -> str | None:
    """Give what tells this user from others, or None if that cannot be seen.

    It is the user if that is a text or whole number, its ``id`` or ``sub`` if it is a mapping, what its ``get_id()`` gives, else
    its ``pk`` or ``id``.

    >>> user_id("ada"), user_id(7), user_id({"sub": "u-1"}), user_id(True)
    ('ada', '7', 'u-1', None)
    """
    for candidate in _candidates(user):
        if isinstance(candidate, (str, int)) and not isinstance(candidate, bool) and str(candidate).strip():
            return str(candidate)
    return None


def shown(user: Any) -> str | None:
    """Give the user's id for people to read: short, and never a token that somebody uses as one."""
    found = user_id(user)
    return None if found is None else scrub(found)[:_LONGEST_SHOWN]


def _candidates(user: Any) -> list[Any]:
    if isinstance(user, (str, int)):
        return [user]
    if isinstance(user, Mapping):
        return [user.get(key) for key in _KEYS]
    get_id = getattr(user, "get_id", None)
    ids = [get_id()] if callable(get_id) else []
    # UUIDs and the like are as good as their text
    return [str(value) for value in (*ids, *(getattr(user, name, None) for name in _ATTRIBUTES)) if value is not None]
