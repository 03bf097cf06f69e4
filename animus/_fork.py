"""Reset after fork.

A child inherits locks that some other thread of the parent held, and sockets that the parent still uses. Every
object of the package that has either registers here; the child gives each of them new ones before it runs anything
else. Hosts that fork in C, past Python's hooks (uWSGI), are caught by :func:`check_pid`, which costs one getpid; each
request begins with it.

Some things a child must not see half done. They are done ``with forks_wait:``, and no thread forks meanwhile:

* A part of the package that not everybody needs is imported when it is first used. A child that is forked in the middle has half a
  module, and a lock on it that nobody will ever open.
* A file that locks are held on is opened and noted. A copy that a child does not know of would keep the lock of a parent that is killed.
* A program is started. The parent waits for the end of a pipe that a child must not keep.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol


class Resettable(Protocol):
    """An object that has locks, threads or sockets."""

    def _reset_after_fork(self) -> None:
        """Replace locks, forget threads and sockets; runs in the child, with one thread."""


_registered: weakref.WeakSet[Resettable] = weakref.WeakSet()
_lock = threading.Lock()
_pid = os.getpid()
# the threads of a process that was forked in C may all come at once: one of them does the reset, the others wait for it
_turns: dict[int, threading.RLock] = {}


forks_wait = threading.RLock()
# seconds, more than any import takes; should one hang, the fork goes on as it would have without this
_LONGEST_WAIT = 10.0


def register(thing: Resettable) -> None:
    """Have ``thing._reset_after_fork()`` called in every child process."""
    check_pid()
    with _lock:
        _registered.add(thing)


def registered() -> list[Resettable]:
    """Give all living registered objects."""
    with _lock:
        return list(_registered)


def check_pid() -> None:
    """Do the reset if this process was forked without Python's hooks."""
    pid = os.getpid()
    if pid == _pid:
        return
    with _turns.setdefault(pid, threading.RLock()):
        if pid != _pid:
            _reset()


def _reset() -> None:
    global _lock, _pid, forks_wait
    _lock = threading.Lock()
    forks_wait = threading.RLock()
    failed: Exception | None = None
    for thing in list(_registered):
        try:
            thing._reset_after_fork()
        except Exception as error:  # the others need theirs all the same
            failed = failed or error
    _pid = os.getpid()  # last: who sees it goes on
    if failed is not None:
        raise failed


def _fork_begins() -> None:
    forks_wait.acquire(timeout=_LONGEST_WAIT)


def _fork_is_over() -> None:
    with contextlib.suppress(RuntimeError):  # another thread has it: the wait was given up
        forks_wait.release()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_fork_begins, after_in_parent=_fork_is_over, after_in_child=_reset)
