"""Reading decoded JSON into a wire value, when the strict and fast way has refused it.

A paid answer must not be lost to a stray field: null reads as missing, and so does a value of an unexpected type, but
for the fields a class lists in ``required``. Those raise, with their place.
"""

from __future__ import annotations

import types
from functools import cache
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from animus.models.answer import ShapeError, Wire, mend

W = TypeVar("W", bound=Wire)

_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class _Field(NamedTuple):
    name: str
    key: str
    kind: Any  # the type without None
    nested: type[Wire] | None  # the wire type of the value, or of the items of a list
    is_list: bool
    required: bool  # must have its type
    needed: bool  # must be there


def read(cls: type[W], value: object, *, mended: bool = True, at: str = "$") -> W:
    """Give ``value`` (decoded JSON) as a ``cls``.

    Args:
        cls: A wire class; ``required`` in it names the fields that must have their types.
        value: What ``json`` gives.
        mended: Mend strings with surrogate halves (see :func:`animus.models.answer.mend`).
        at: The place of ``value``, for the error.

    Raises:
        ShapeError: ``value`` is no object, or one of the required fields has the wrong type.
    """
    if not isinstance(value, dict):
        raise _unlike(at, value, "an object")
    given: dict[str, Any] = {}
    for field in _fields_of(cls):
        item = value.get(field.key)
        place = f"{at}.{field.key}"
        if item is None:
            if field.needed:
                raise ShapeError(f"{place} is {'null' if field.key in value else 'missing'}")
            continue
        try:
            given[field.name] = _value(field, item, mended, place)
        except ShapeError:
            if field.required:
                raise
    return cls(**given)


def _value(field: _Field, item: Any, mended: bool, at: str) -> Any:
    if field.nested is not None and not field.is_list:
        return read(field.nested, item, mended=mended, at=at)
    if field.nested is not None:
        if not isinstance(item, list):
            raise _unlike(at, item, "an array")
        return [read(field.nested, each, mended=mended, at=f"{at}[{number}]") for number, each in enumerate(item)]
    if field.kind is int and isinstance(item, float) and item.is_integer():
        item = int(item)
    try:
        found = msgspec.convert(item, field.kind)
    except msgspec.ValidationError:
        raise _unlike(at, item, _name_of(field.kind)) from None
    return _mended(found) if mended else found


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend(value)
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return value


def _unlike(at: str, value: object, wanted: str) -> ShapeError:
    place = at if at != "$" else "it"
    return ShapeError(f"{place} is {_KINDS.get(type(value), 'something')}, not {wanted}")


def _name_of(kind: Any) -> str:
    return _KINDS.get(get_origin(kind) or kind, "of its type")


@cache
def _fields_of(cls: type[Wire]) -> tuple[_Field, ...]:
    required: frozenset[str] = getattr(cls, "required", frozenset())
    return tuple(_field_of(field, field.name in required) for field in msgspec.structs.fields(cls) if not field.name.startswith("_"))


def _field_of(field: msgspec.structs.FieldInfo, required: bool) -> _Field:
    kind = field.type
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [each for each in get_args(kind) if each is not type(None)]
        kind = kinds[0] if len(kinds) == 1 else kind
    is_list = get_origin(kind) is list
    item = get_args(kind)[0] if is_list else kind
    nested = item if isinstance(item, type) and issubclass(item, Wire) else None
    return _Field(field.name, field.encode_name, kind, nested, is_list, required, field.required)
