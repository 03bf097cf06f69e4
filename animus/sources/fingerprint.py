"""Text that tells one source from another, without what it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_DIGITS = 32  # 128 bits


def fingerprint(kind: str, shown: str, *parts: Any) -> str:
    """Give ``kind:shown#hash``: equal for equal ``parts``, in every process; ``parts`` cannot be read from it."""
    text = json.dumps([kind, shown, *map(_mark, parts)], sort_keys=True)
    return f"{kind}:{shown}#{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def name_of(function: Any) -> str:
    """Give the full name of a function, or of the class of an object that can be called."""
    named = function if hasattr(function, "__qualname__") else getattr(function, "func", None) or type(function)
    return f"{getattr(named, '__module__', '?')}.{getattr(named, '__qualname__', type(named).__qualname__)}"


def _mark(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return value.hex()
    if callable(value):
        return ["function", name_of(value)]
    if isinstance(value, Mapping):
        return {str(key): _mark(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mark(item) for item in value]
    return ["object", name_of(type(value))]
