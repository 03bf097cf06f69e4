"""Tokens and sources for tests."""

from __future__ import annotations

import itertools
import threading

from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource
from animus.sources.static import StaticTokenSource

CANARY = "canary-3f9b7c1d5e2a8064"  # nothing may ever show it


class Tokens:
    """A source's function: ``token-1``, ``token-2`` and so on, counted."""

    def __init__(self, prefix: str = "token") -> None:
        self.prefix = prefix
        self.count = 0
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.count = next(self._numbers)
            return f"{self.prefix}-{self.count}"

    def manager(self) -> TokenManager:
        return TokenManager(CallableTokenSource(self))


def fixed(token: str = CANARY) -> TokenManager:
    """Give a manager that only knows this one token."""
    return TokenManager(StaticTokenSource(token))
