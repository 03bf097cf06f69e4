"""Chance that differs from process to process."""

from __future__ import annotations

import random

from animus import _fork


class Chance(random.Random):
    """A generator of its own, seeded anew in a forked child: workers must not all pause for the same random times.

    Threads: any. Pickling: as a new one.
    """

    def __init__(self) -> None:
        super().__init__()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self.seed()

    def __reduce__(self) -> tuple[type[Chance], tuple[()]]:
        return Chance, ()
