"""An environment variable as a function."""

from __future__ import annotations

import os


class EnvironmentVariable:
    """A function that reads an environment variable when it is called: a key that can be pickled, and replaced while we run."""

    __slots__ = ("variable",)

    def __init__(self, variable: str) -> None:
        self.variable: str = variable

    def __call__(self) -> str:
        return os.environ.get(self.variable, "").strip()

    def __repr__(self) -> str:
        return f"EnvironmentVariable({self.variable!r})"
