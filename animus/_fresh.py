"""Copies of JSON-like values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fresh(value: Any) -> Any:
    """Give ``value`` in dicts and lists of its own, whatever mappings and sequences the caller had.

    ``copy.deepcopy`` refuses some of them (``MappingProxyType``), and JSON encoders others.

    >>> fresh({"a": (1, {"b": []})})
    {'a': [1, {'b': []}]}
    """
    if isinstance(value, Mapping):
        return {key: fresh(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fresh(item) for item in value]
    return value
