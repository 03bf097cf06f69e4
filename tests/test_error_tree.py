"""The tree of exceptions is the one that is drawn at the head of the module."""

from __future__ import annotations

import inspect
import re

from animus import errors
from animus.errors import AnimusError

_LINE = re.compile(r"^[ │├└─]*(?P<name>[A-Z]\w+Error)(?: \((?P<further>\w+)\))?(?:  .*)?$")
_INDENT = 4


def drawn() -> dict[str, set[str]]:
    """Give the drawing as name -> names of the bases."""
    bases: dict[str, set[str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = _LINE.match(line)
        if match is not None:
            del path[(match.start("name") - _INDENT + 1) // 4 :]  # each level is four wide, of which a branch takes three
            bases[match["name"]] = {*path[-1:], *({match["further"]} - {None})}
            path.append(match["name"])
    return bases


def test_the_drawing_is_the_tree() -> None:
    classes = {n: c for n, c in vars(errors).items() if inspect.isclass(c) and issubclass(c, AnimusError)}
    actual = {name: {base.__name__ for base in cls.__bases__} - {"Exception"} for name, cls in classes.items()}
    assert drawn() == actual
