"""Weak sets that change while they are read."""

from __future__ import annotations

import weakref
from typing import TypeVar

T = TypeVar("T")


def members(things: weakref.WeakSet[T]) -> list[T]:
    """Give what is in a weak set, although another thread, or a finalizer, may add to it meanwhile."""
    while True:
        try:
            return list(things)
        except RuntimeError:  # changed size
            continue
