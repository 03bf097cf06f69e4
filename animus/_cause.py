"""Errors that others raised, and causes of ours, without what they would show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from animus._secret import REDACTED, Secret, scrub
from animus.errors import AnimusError

_LONGEST = 300
_DEEPEST = 6  # containers in each other; errors come from anybody, and containers can be rings

Ours = TypeVar("Ours", bound=AnimusError)


class ConcealedError(Exception):
    """Stands in for an exception that showed a secret, or cannot be looked at: its type, and its text without that."""


def safe_cause(error: BaseException, secrets: Iterable[str] = (), *, drop_requests: bool = False) -> BaseException:
    """Give ``error``, or a stand-in if it shows a secret, or an exception behind it does: in its text, its notes or its attributes.

    One that cannot be looked at, since code of its class raises, may show anything.

    Args:
        secrets: What must not be shown, beyond all that looks like a token.
        drop_requests: Take the ``request`` and ``response`` off exceptions of requests: they hold headers.
    """
    secrets = tuple(secrets)
    try:
        chain = list(_chain(error))
        if any(_shows(link, secrets) for link in chain):
            return _stand_in(error, secrets)
        if drop_requests:
            _drop_requests(chain)
    except Exception:  # of a class with code of its own
        return _stand_in(error, secrets)
    return error


def describe(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """Give type and text of ``error`` in one line, without secrets; the type alone if asking for its text raises."""
    try:
        said = str(error)
    except Exception:
        said = ""
    text = " ".join(scrub(said, secrets).split())[:_LONGEST]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_secrets(error: Ours, secrets: Iterable[str] = ()) -> Ours:
    """Take the secrets out of an error of ours that somebody else raised: out of its text, notes, attributes, and what is behind it.

    It stays the same object, of whatever class. Attributes that are no plain data (text, numbers, containers of them, exceptions) become
    None, since what they hold cannot be seen, but would be pickled. One that cannot be looked at, since code of its class raises, is
    replaced by a plain one of the class of ours that it is of.
    """
    secrets = tuple(secrets)
    try:
        _clean(error, secrets, set())
        _ = str(error), repr(error)  # whoever catches it will ask for them
    except Exception:
        ours: type[Ours] = next(kind for kind in type(error).__mro__ if kind.__module__ == AnimusError.__module__)
        return ours(describe(error, secrets))
    return error


def _clean(error: AnimusError, secrets: tuple[str, ...], seen: set[int]) -> None:
    seen.add(id(error))
    error.message = scrub(str(error.message), secrets)
    for name, value in list(vars(error).items()):
        vars(error)[name] = _plain(value, secrets, seen)  # not setattr: a class may have its own
    error.args = _plain(error.args, secrets, seen)
    if error.__cause__ is not None:
        error.__cause__ = safe_cause(error.__cause__, secrets)
    if error.__context__ is not None:
        error.__context__ = safe_cause(error.__context__, secrets)


def _plain(value: Any, secrets: tuple[str, ...], seen: set[int], depth: int = _DEEPEST) -> Any:
    """Give ``value`` as plain data without secrets; None in the place of what is none."""
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return REDACTED if isinstance(value, Secret) else scrub(value, secrets)
    if isinstance(value, AnimusError):
        if id(value) not in seen:
            _clean(value, secrets, seen)
        return value
    if isinstance(value, BaseException):
        return safe_cause(value, secrets)
    if depth and isinstance(value, Mapping):
        return {_plain(key, secrets, seen, depth - 1): _plain(item, secrets, seen, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, (list, tuple)):
        items = [_plain(item, secrets, seen, depth - 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return None


def _stand_in(error: BaseException, secrets: tuple[str, ...]) -> ConcealedError:
    stand_in = ConcealedError(describe(error, secrets))
    with contextlib.suppress(Exception):  # they may be anything
        notes = _plain(vars(error).get("__notes__"), secrets, set())  # since Python 3.11, and in every version with exceptiongroup
        if notes:
            vars(stand_in)["__notes__"] = notes
    return stand_in


def _drop_requests(chain: Iterable[BaseException]) -> None:
    for link in chain:
        for name in ("request", "response"):
            if getattr(link, name, None) is not None:
                setattr(link, name, None)


def _shows(error: BaseException, secrets: tuple[str, ...]) -> bool:
    return any(scrub(text, secrets) != text for text in _texts(error))


def _texts(error: BaseException) -> Iterator[str]:
    """Give all text that ``error`` holds by itself."""
    yield str(error)
    yield repr(error)
    for leaf in _leaves((error.args, vars(error))):
        if isinstance(leaf, str):
            yield leaf
        elif isinstance(leaf, (bytes, bytearray)):  # such as what a program printed, in CalledProcessError
            yield leaf.decode("latin-1")


def _leaves(value: object, depth: int = _DEEPEST) -> Iterator[object]:
    """Give what ``value`` is made of: what is in it, if it is a container, or itself."""
    if isinstance(value, Mapping):
        inside: Iterable[object] = (*value, *value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        inside = value
    else:
        yield value
        return
    if depth:
        for item in inside:
            yield from _leaves(item, depth - 1)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give ``error`` and all exceptions reachable from it: causes, contexts, members of groups, and those it holds, as urllib3's do."""
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        link = waiting.pop()
        if id(link) in seen:  # chains can be rings (jd/tenacity#658)
            continue
        seen.add(id(link))
        yield link
        members = getattr(link, "exceptions", None)  # of an ExceptionGroup, which Python 3.10 has not
        behind = _leaves((link.__cause__, link.__context__, members, link.args, vars(link)))
        waiting.extend(other for other in behind if isinstance(other, BaseException))
