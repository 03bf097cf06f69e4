"""Types and functions that several tests use: at module level, as tools' types are."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TypedDict

import msgspec


class Unit(enum.Enum):
    CELSIUS = "celsius"
    FAHRENHEIT = "fahrenheit"


@dataclass
class Place:
    city: str
    country: str | None = None
    unit: Unit = Unit.CELSIUS


@dataclass
class Tree:
    label: str
    branches: list[Tree] = field(default_factory=list)


class Range(TypedDict, total=False):
    low: int
    high: int


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Shape(msgspec.Struct):
    """A shape on the sheet."""

    outline: Circle | Square
    labels: list[str] = []


def get_weather(city: str, unit: Unit = Unit.CELSIUS) -> str:
    """Give the weather of a city.

    Args:
        city: Its name.
    """
    return f"{city}: 21 degrees {unit.value}"


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def fail(text: str = "out of order") -> str:
    """Raise an error."""
    raise ValueError(text)


def call(name: str, arguments: str = "{}", call_id: str | None = "call_1") -> dict[str, object]:
    """Give a tool call as the API sends it."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
