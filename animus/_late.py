"""Parts of an object that are made, and imported, when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

T = TypeVar("T")


class Late(Generic[T]):
    """An attribute that is made when it is first asked for. From then on it is an ordinary one of its object, and costs as much.

    Threads: any. If two ask at once, both make one, and one of the two is kept: that is cheaper than a lock, which a forked child
    would have to be given anew.

    Args:
        make: Makes it for an object. What it makes must be without effect if nobody uses it.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, thing: None, owner: type) -> Late[T]: ...
    @overload
    def __get__(self, thing: object, owner: type | None = None) -> T: ...
    def __get__(self, thing: object | None, owner: type | None = None) -> Late[T] | T:
        if thing is None:
            return self
        made: T = thing.__dict__.setdefault(self._name, self._make(thing))
        return made

    if TYPE_CHECKING:  # there is none, which is why an object's own attribute comes first

        def __set__(self, thing: object, value: T) -> None: ...
