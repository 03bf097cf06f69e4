"""What the suites share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from animus._clock import SYSTEM_CLOCK

PATIENCE = 20.0  # seconds after which a test gives up


def close_it(thing: object) -> None:
    """Close what can be closed."""
    close = getattr(thing, "close", None)
    if callable(close):
        close()


def assert_hidden(text: str, secrets: tuple[str, ...]) -> None:
    """Fail if one of the secrets is in ``text``, without showing it."""
    for number, secret in enumerate(secrets):
        place = text.find(secret)
        assert place < 0, f"secret {number} is shown behind {text[max(0, place - 60) : place]!r}"


def wait_until(holds: Callable[[], bool]) -> None:
    """Look again and again; fail if it never holds."""
    end = SYSTEM_CLOCK.monotonic() + PATIENCE
    while not holds():
        assert SYSTEM_CLOCK.monotonic() < end, f"it does not come about in {PATIENCE:g} s"
        SYSTEM_CLOCK.wait(threading.Event(), 0.002)


def in_thread(call: Callable[[], Any]) -> Any:
    """Give what ``call`` gives in another thread."""
    outcome: list[Any] = []
    all_at_once([lambda: outcome.append(call())])
    return outcome[0]


def all_at_once(calls: list[Callable[[], Any]]) -> None:
    """Run each call in a thread of its own; raise what one of them raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        try:
            barrier.wait(PATIENCE)
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), f"a thread is stuck for more than {PATIENCE:g} s"
    for error in errors:
        raise error
