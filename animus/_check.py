"""Checks of what users give, each with an error that names the field, what came, and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Unset:
    """The type of :data:`UNSET`: "not given", where None means something."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __reduce__(self) -> str:
        return "UNSET"


_MOST_SECONDS = 1e9
UNSET: Final = Unset()
Made = TypeVar("Made", bound="DataclassInstance")


def refuse(field: str, value: object, allowed: str, hint: str | None = None) -> ConfigurationError:
    """Give the error for a value that is not allowed. A text value is shown by its type only: it may be a secret."""
    shown = f"{value!r}" if isinstance(value, (int, float, bool)) or value is None else f"a {type(value).__name__}"
    if isinstance(value, str) and not value.strip():
        shown = "a blank string" if value else "an empty string"
    return ConfigurationError(f"{field} must be {allowed}, not {shown}", hint=hint)


def text(field: str, value: object) -> str:
    """Check for a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise refuse(field, value, "a non-blank string")
    return value


def number(field: str, value: object, low: float | None = None, high: float | None = None, *, above: float | None = None) -> float:
    """Check for a finite number between ``low`` and ``high`` (both allowed), or greater than ``above``."""
    bounds = []
    if low is not None and high is not None:
        bounds.append(f" from {low:g} to {high:g}")
    elif low is not None:
        bounds.append(f" of at least {low:g}")
    if above is not None:
        bounds.append(f" above {above:g}")
    allowed = "a number" + "".join(bounds)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise refuse(field, value, allowed)
    if (low is not None and value < low) or (high is not None and value > high) or (above is not None and value <= above):
        raise refuse(field, value, allowed)
    return value


def integer(field: str, value: object, low: int | None = None, high: int | None = None) -> int:
    """Check for a whole number between ``low`` and ``high``."""
    number(field, value, low, high)
    if not isinstance(value, int):
        raise refuse(field, value, "a whole number" + (f" of at least {low}" if low is not None else ""))
    return value


def boolean(field: str, value: object) -> bool:
    """Check for True or False."""
    if not isinstance(value, bool):
        raise refuse(field, value, "True or False")
    return value


def seconds(field: str, value: object, *, zero: bool = True) -> float:
    """Check for a duration in seconds, of 31 years at most: sockets and locks of some systems take no more."""
    checked = number(field, value, 0) if zero else number(field, value, above=0)
    if checked > _MOST_SECONDS:
        raise refuse(field, value, f"{_MOST_SECONDS:.0f} seconds at most")
    return checked


def known_keys(where: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
    """Refuse unknown keys of a configuration mapping; a JavaScript spelling gets its own name told."""
    known = tuple(known)
    for key in given:
        if key in known:
            continue
        near = _near(snake_case(str(key)), known, 0.75)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
        raise ConfigurationError(f"{where} has no setting {str(key)!r}", hint=hint if not near else f"{hint} Known are: {', '.join(known)}")


def made_of(default: Made, value: object, where: str) -> Made | None:
    """Give the frozen settings that ``value`` means: None (``default``), one of the same class, or a mapping of single ones.

    Gives None for anything else, which its class may have a meaning for.

    Raises:
        ConfigurationError: an unknown setting in the mapping, or a value that is not allowed.
    """
    if value is None:
        return default
    if isinstance(value, type(default)):
        return value
    if not isinstance(value, Mapping):
        return None
    changes: Mapping[str, Any] = value
    known_keys(where, changes, (field.name for field in fields(default)))
    return replace(default, **changes)


def near_miss(name: str, known: Iterable[str]) -> str:
    """Give a hint for a name that is none of ``known``: the near one, and all there are.

    >>> near_miss("valt", ["exec", "vault"])
    "Did you mean 'vault'? There are: exec, vault"
    """
    known = tuple(known)
    near = _near(name, known, 0.7)
    return (f"Did you mean {near[0]!r}? " if near else "") + f"There are: {', '.join(known) or 'none'}"


def _near(name: str, known: Iterable[str], likeness: float) -> list[str]:
    """Give the one of ``known`` that is most like ``name``, if one is like it at all."""
    import difflib  # for who mistypes

    return difflib.get_close_matches(name, tuple(known), 1, likeness)


def unexpected_keyword(where: str, name: str, known: Iterable[str]) -> TypeError:
    """Give the error for a keyword that a call does not know; it names the near one, or where further fields go."""
    near = _near(snake_case(name), tuple(known), 0.75)
    hint = f"did you mean {near[0]!r}?" if near else "further fields of the API go in extra_body={…}"
    return TypeError(f"{where} got an unexpected keyword argument {name!r}; {hint}")


def snake_case(name: str) -> str:
    """Give the Python spelling of a JavaScript name.

    >>> snake_case("maxSequentialFollowUps")
    'max_sequential_follow_ups'
    """
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
