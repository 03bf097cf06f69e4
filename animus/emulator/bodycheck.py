"""Reading a JSON body the way FastAPI does: all that is wrong is found, and answered as a 422 with a ``detail`` list."""

from __future__ import annotations

import json
import math
from typing import Any

from animus.emulator.problem import Problem

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "Input should be a valid string"),
    "bool": ((bool,), "Input should be a valid boolean"),
    "int": ((int,), "Input should be a valid integer"),
    "float": ((int, float), "Input should be a valid number"),
    "list": ((list,), "Input should be a valid list"),
    "dict": ((dict,), "Input should be a valid dictionary"),
}


class BodyCheck:
    """Collects what is wrong with a body; :meth:`finish` raises it."""

    def __init__(self, raw: bytes) -> None:
        """Decode ``raw``.

        Raises:
            Problem: it is no JSON object.
        """
        self.errors: list[dict[str, Any]] = []
        try:
            value = json.loads(raw)
        except ValueError as error:
            place = getattr(error, "pos", 0)
            raise _invalid(_entry("json_invalid", [place], "JSON decode error")) from None
        if not isinstance(value, dict):
            raise _invalid(_entry("dict_type", [], _KINDS["dict"][1]))
        self.body: dict[str, Any] = value

    def wrong(self, kind: str, place: list[Any], text: str) -> None:
        """Note an error at ``place``, a list of keys and indexes."""
        self.errors.append(_entry(kind, place, text))

    def take(self, key: str, kind: str, *, required: bool = False, low: float | None = None, high: float | None = None) -> Any:
        """Give ``body[key]``, or None if it is missing, null or wrong."""
        return self.of(self.body, key, kind, [key], required=required, low=low, high=high)

    def of(
        self,
        owner: dict[str, Any],
        key: str,
        kind: str,
        place: list[Any],
        *,
        required: bool = False,
        low: float | None = None,
        high: float | None = None,
    ) -> Any:
        """Give ``owner[key]``, whose place in the body is ``place``."""
        value = owner.get(key)
        if value is None:
            if required:
                self.wrong("missing", place, "Field required")
            return None
        types, text = _KINDS[kind]
        if not isinstance(value, types) or (isinstance(value, bool) and kind != "bool"):
            self.wrong(f"{kind}_type", place, text)
            return None
        return self._in_range(value, place, low, high) if isinstance(value, (int, float)) else value

    def _in_range(self, value: float, place: list[Any], low: float | None, high: float | None) -> float | None:
        if isinstance(value, float) and not math.isfinite(value):
            self.wrong("finite_number", place, "Input should be a finite number")
        elif low is not None and value < low:
            self.wrong("greater_than_equal", place, f"Input should be greater than or equal to {low:g}")
        elif high is not None and value > high:
            self.wrong("less_than_equal", place, f"Input should be less than or equal to {high:g}")
        else:
            return value
        return None

    def finish(self) -> None:
        """End the check.

        Raises:
            Problem: something was wrong.
        """
        if self.errors:
            raise Problem(422, "Unprocessable Entity", errors=self.errors)


def _entry(kind: str, place: list[Any], text: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *place], "msg": text}


def _invalid(entry: dict[str, Any]) -> Problem:
    return Problem(422, "Unprocessable Entity", errors=[entry])
