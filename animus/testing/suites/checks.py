"""What the suites share: looking for secrets, waiting, and promises that are said when they are broken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from animus._cause import describe
from animus._clock import SYSTEM_CLOCK

R = TypeVar("R")

PATIENCE = 20.0  # seconds after which a test gives up
PROMPT = 2.0  # seconds for what should be back at once: far more than it needs, since the machine may be busy


def close_it(thing: object) -> None:
    """Close what can be closed."""
    close = getattr(thing, "close", None)
    if callable(close):
        close()


def assert_hidden(text: str, secrets: tuple[str, ...]) -> None:
    """Fail if one of the secrets is in ``text``, without showing it."""
    for number, secret in enumerate(secrets):
        place = text.find(secret)
        assert place < 0, f"secret {number} is shown behind {_without(text[max(0, place - 60) : place], secrets)!r}: keep it out"


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def promised(promise: str, call: Callable[[], R]) -> R:
    """Give what ``call`` gives; fail with the promise if it raises."""
    try:
        return call()
    except AssertionError:
        raise  # it says what is wrong
    except Exception as error:
        raise AssertionError(f"{promise}; it raised {describe(error)}") from error


def wait_until(holds: Callable[[], bool], promise: str) -> None:
    """Look again and again; fail with the promise if it never holds."""
    end = SYSTEM_CLOCK.monotonic() + PATIENCE
    while not holds():
        assert SYSTEM_CLOCK.monotonic() < end, f"{promise}; {PATIENCE:g} s have not been enough"
        pause(0.002)


def pause(seconds: float) -> None:
    """Let others do something."""
    SYSTEM_CLOCK.wait(threading.Event(), seconds)


class InThread:
    """Has ``call`` done in a thread of its own, which may be left behind."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._given: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._given = self._call()
        except BaseException as error:
            self._error = error

    def finish(self, within: float, late: str) -> Any:
        """Give what it gave, or raise what it raised; fail with the text ``late`` if it is not over within so many seconds."""
        self._thread.join(within)
        assert not self._thread.is_alive(), late
        if self._error is not None:
            raise self._error
        return self._given


def in_thread(call: Callable[[], R], promise: str) -> R:
    """Give what ``call`` gives in another thread."""
    given: R = InThread(lambda: promised(promise, call)).finish(PATIENCE, f"{promise}; it is stuck for more than {PATIENCE:g} s")
    return given


def all_at_once(calls: Sequence[Callable[[], Any]], promise: str) -> None:
    """Run each call in a thread of its own; fail with the promise if one of them raises, or is stuck."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        barrier.wait(PATIENCE)
        promised(promise, call)

    threads = [InThread(lambda call=call: run(call)) for call in calls]  # type: ignore[misc]
    for thread in threads:
        thread.finish(PATIENCE, f"{promise}; a thread is stuck for more than {PATIENCE:g} s")
