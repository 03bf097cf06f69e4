"""A lock in Redis: a key that ends by itself soon after its holder has died."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable
from typing import Any, Protocol

from animus._clock import Clock
from animus.stores.polling import poll

logger: logging.Logger = logging.getLogger(__name__)

LEASE = 3.0  # seconds a lock outlives a holder that was killed
_RENEWALS = 3  # in that time
_FAILED_RENEWALS = 4 * _RENEWALS  # in that time, as long as they fail
# the holder's mark is looked at where the key is: between looking and deleting here, it could have become somebody else's.
# A list or whatever else is there is somebody else's (pcall: get does not end the script)
_RELEASE = "if redis.pcall('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"
_RENEW = "if redis.pcall('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end return 0"


class Run(Protocol):
    """Runs something with the Redis client."""

    def __call__(self, act: Callable[[Any], Any], *, anyway: bool = False) -> Any:
        """Give what ``act`` gives; ``anyway``: even if the client has failed a moment ago."""


class Lease:
    """Holds one lock: ``SET NX PX`` with a mark of its own, renewed by a daemon thread for as long as it is held.

    A fetch may take longer than the lease; a holder that is killed, or stands still, loses it after :data:`LEASE` seconds. The
    renewals count real time: so does Redis. A renewal that fails is tried again soon, until Redis says that the lock is somebody
    else's: one that was busy or unreachable for a moment has kept it.

    Threads: one holds it. Fork: a child lets go of nothing; the lock is its parent's.

    Args:
        run: Runs a function with the Redis client.
        name: The key of the lock.
    """

    def __init__(self, run: Run, name: str) -> None:
        self._run = run
        self._name = name
        self._mark = secrets.token_hex(16)
        self._pid = os.getpid()
        self._left = threading.Event()

    def take(self, timeout: float, clock: Clock) -> None:
        """Take it as soon as it is free.

        Raises:
            TimeoutError: it was not, within ``timeout`` seconds.
        """
        try:
            poll(self._taken, timeout, clock)
        except TimeoutError:
            # an answer that got lost has the client ask a second time: then the key is there, and ours
            if not self._still_ours():
                raise

    def keep(self) -> None:
        """Begin to renew it."""
        thread = threading.Thread(target=self._renew, name="animus-lease", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads, or the interpreter shuts down
            logger.debug("the lock of a token will not be renewed: %s", error)

    def leave(self) -> None:
        """Let go of it, if it still is ours."""
        if os.getpid() != self._pid:
            return
        self._left.set()
        self._run(lambda redis: redis.eval(_RELEASE, 1, self._name, self._mark))

    def _taken(self) -> bool:
        return bool(self._run(lambda redis: redis.set(self._name, self._mark, nx=True, px=_lease())))

    def _renew(self) -> None:
        renewals = _RENEWALS
        while not self._left.wait(LEASE / renewals):
            try:
                if not self._still_ours(anyway=True):
                    return
                renewals = _RENEWALS
            except Exception as error:
                logger.debug("the lock of a token could not be renewed: %s", type(error).__name__)
                renewals = _FAILED_RENEWALS

    def _still_ours(self, *, anyway: bool = False) -> bool:
        """Tell whether it is; then it is so for the whole time again."""
        return bool(self._run(lambda redis: redis.eval(_RENEW, 1, self._name, self._mark, _lease()), anyway=anyway))


def _lease() -> int:
    return int(LEASE * 1000)
