"""Sources by name: ``token_source="name:rest"``.

``name`` is looked up among the installed packages, in the entry-point group ``animus.token_sources``. What is found there is called with
``rest`` and gives a source: the class of one, if its only needed argument is a text, or a function. ``exec`` is built in, and made in
the same way. Only the package that is named gets imported, and not before it is named.
"""

from __future__ import annotations

import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from animus import _fork
from animus._cause import describe, safe_cause, without_secrets
from animus._check import near_miss
from animus._secret import Secret
from animus.errors import ConfigurationError
from animus.sources.protocol import TokenSource, is_token_source

GROUP = "animus.token_sources"
BUILT_IN: tuple[EntryPoint, ...] = (EntryPoint("exec", "animus.sources.command:CommandTokenSource", GROUP),)

_NAMED = re.compile(r"([A-Za-z][\w.-]*):(.*)", re.DOTALL)
# what is before the colon is shown if it cannot be part of a token
_SHOWN = re.compile(r"[a-z][a-z_-]{0,29}")


def is_named(text: str) -> bool:
    """Tell whether ``text`` has the form ``name:rest``."""
    return _NAMED.fullmatch(text.strip()) is not None


def source_by_name(text: str) -> TokenSource:
    """Give the source that ``name:rest`` means.

    Raises:
        ConfigurationError: nothing of that name is installed, two packages have it, its package cannot be loaded, or what it
            gives is no source. ``rest`` is never shown.
    """
    match = _NAMED.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError('token_source must be "name:rest"')
    name, rest = match.group(1), Secret(match.group(2))
    point = _entry_point(name)
    return _made(point, _loaded(point), rest)


def _entry_point(name: str) -> EntryPoint:
    installed = [*BUILT_IN, *entry_points(group=GROUP)]
    found: dict[str, EntryPoint] = {point.value: point for point in installed if point.name == name}  # a package may be on the path twice
    if not found:
        shown = repr(name) if _SHOWN.fullmatch(name) else "of that name"
        raise ConfigurationError(
            f"there is no token source {shown} installed",
            hint=f"{near_miss(name, sorted({point.name for point in installed}))}. "
            "For a fixed token write StaticTokenSource(token), for an API key ApiKeyTokenSource(key)",
        )
    points = list(found.values())
    # by identity: on Python 3.10 entry points of two kinds (with the backport's) cannot be compared
    if len(points) == 1 or any(points[0] is own for own in BUILT_IN):
        return points[0]
    packages = " and ".join(sorted(_package(point) for point in points))
    raise ConfigurationError(f"the token source {name!r} is in several packages: {packages}", hint="Uninstall all but one of them")


def _loaded(point: EntryPoint) -> Any:
    try:
        with _fork.forks_wait:
            return point.load()
    except (Exception, SystemExit) as raised:  # a plugin may raise anything while it is imported, and a script among them ends the program
        error = _broken(point, f"cannot be loaded ({point.value}): {describe(raised)}", "Install what it lacks, or another version of it")
        error.__cause__ = safe_cause(raised)
    raise error


def _made(point: EntryPoint, factory: Any, rest: Secret) -> TokenSource:
    if not callable(factory):
        raise _broken(point, f"is no function or class but a {type(factory).__name__}", _AUTHOR)
    try:
        source = factory(str(rest))
    except ConfigurationError as raised:
        error = without_secrets(raised, [rest])
    except (Exception, SystemExit) as raised:
        error = _broken(point, f"gives no source for this text: {describe(raised, [rest])}", "Look up what it wants behind the colon")
        error.__cause__ = safe_cause(raised, [rest])
    else:
        if is_token_source(source):
            return cast(TokenSource, source)
        if isinstance(source, type):
            raise _broken(point, f"gives the class {source.__name__}, not an object of it", _AUTHOR)
        lacking = " and ".join(name for name in ("fetch", "fingerprint") if not hasattr(source, name))
        raise _broken(point, f"gives a {type(source).__name__}, which is no source: it lacks {lacking}", _AUTHOR)
    raise error


_AUTHOR = "Tell its author: an entry point is a function or class that takes the text behind the colon, and gives a TokenSource"


def _broken(point: EntryPoint, what: str, hint: str) -> ConfigurationError:
    return ConfigurationError(f"the token source {point.name!r} of {_package(point)} {what}", hint=hint)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "animus-client"
