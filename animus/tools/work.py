"""Functions at work: in the calling thread or in threads of their own, their outcomes handed back one by one."""

from __future__ import annotations

import contextvars
import inspect
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a function gave: a value, or what it raised."""

    value: Any = None
    error: BaseException | None = None


class Crew(Generic[K]):
    """Runs functions, and gives their outcomes in the order in which they come.

    One thread uses it. A worker is a daemon thread that ends with its function; nothing waits for one whose outcome nobody
    asks for.

    Args:
        threads: How many functions may run at once; 0: each runs in :meth:`start` itself.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._outcomes: queue.SimpleQueue[tuple[K, Outcome]] = queue.SimpleQueue()
        self._workers: dict[K, threading.Thread | None] = {}

    @property
    def has_room(self) -> bool:
        """Whether a further function may start."""
        return len(self._workers) < max(self._threads, 1)

    @property
    def is_busy(self) -> bool:
        """Whether there are outcomes to come."""
        return bool(self._workers)

    def start(self, key: K, function: Callable[[], Any]) -> None:
        """Run a function; its outcome will have that key."""
        self._workers[key] = None
        if self._threads:
            context = contextvars.copy_context()
            worker = threading.Thread(
                target=lambda: self._outcomes.put((key, context.run(_attempt, function))), name=f"animus-tool-{key}", daemon=True
            )
            try:
                worker.start()
            except RuntimeError:  # no thread to be had: run it here
                pass
            else:
                self._workers[key] = worker
                return
        self._outcomes.put((key, _attempt(function)))

    def next_outcome(self) -> tuple[K, Outcome]:
        """Give the next outcome, waiting for it."""
        key, outcome = self._outcomes.get()
        worker = self._workers.pop(key)
        if worker is not None:
            worker.join()  # it has nothing left to do
        return key, outcome


def _attempt(function: Callable[[], Any]) -> Outcome:
    try:
        value = function()
    except BaseException as error:  # KeyboardInterrupt and SystemExit too: the thread that runs the loop raises them
        return Outcome(error=error)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        return Outcome(error=TypeError("the function is async, and this package is synchronous"))
    return Outcome(value)
