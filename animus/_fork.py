"""Reset after fork.

A child inherits locks that some other thread of the parent held, and sockets that the parent still uses. Every
object of the package that has either registers here; the child gives each of them new ones before it runs anything
else. Hosts that fork in C, past Python's hooks (uWSGI), are caught by :func:`check_pid`, which costs one getpid: whoever asks for a
:class:`Lock` does it, enters a section, makes a request, or closes something.

Some things a child must not see half done. They are done ``with forks_wait:``, and no other thread forks meanwhile:

* A part of the package that not everybody needs is imported when it is first used. A child that is forked in the middle has half a
  module, and a lock on it that nobody will ever open.
* A file that locks are held on is opened and noted. A copy that a child does not know of would keep the lock of a parent that is killed.
* A program is started. The parent waits for the end of a pipe that a child must not keep.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol, overload

from animus._weak import members


class Resettable(Protocol):
    """An object that has locks, threads or sockets."""

    def _reset_after_fork(self) -> None:
        """Replace locks, forget threads and sockets; runs in the child, with one thread."""


_registered: weakref.WeakSet[Resettable] = weakref.WeakSet()
_lock = threading.RLock()
_pid = os.getpid()
_resetting = False
# the threads of a process that was forked in C may all come at once: one of them does the reset, the others wait for it
_turns: dict[int, threading.RLock] = {}
# seconds, more than any import takes; should one hang, the fork goes on as it would have without this
_LONGEST_WAIT = 10.0
# seconds between the first hook of a fork and the last, if none of them waits for a lock
_LONGEST_FORK = 1.0


class Lock:
    """The lock of an object, declared in its class. Who asks for it gets that of this process, and finds all else reset, too.

    It is reentrant: a signal handler or the garbage collector may come by in the very thread that holds it.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._kept = f"_kept{name}"  # not in __dict__ under its own name: to reach into that makes all attributes of the object slower

    @overload
    def __get__(self, thing: None, owner: type) -> Lock: ...
    @overload
    def __get__(self, thing: object, owner: type | None = None) -> threading.RLock: ...
    def __get__(self, thing: object | None, owner: type | None = None) -> threading.RLock | Lock:
        if thing is None:
            return self
        if os.getpid() != _pid:
            check_pid()
        lock: threading.RLock = getattr(thing, self._kept)
        return lock

    def __set__(self, thing: object, lock: threading.RLock) -> None:
        setattr(thing, self._kept, lock)


class Sections:
    """What no fork of another thread falls into. They keep nobody from anything else: any number of threads may be inside.

    Each may be within another, and may fork itself. A fork waits until all others are outside, and those that come meanwhile wait for
    the fork; both a limited time, since either may hold a lock of somebody's that the other waits for.

    Threads: any; the lock guards who is inside and who forks. Fork: the child begins with the sections that it was forked in.
    """

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}  # thread: how many deep
        self._start_anew()

    def _start_anew(self) -> None:
        me = threading.get_ident()
        self._inside = {me: self._inside[me]} if me in self._inside else {}
        self._forking: set[int] = set()
        self._waiting = 0
        # reentrant, so that a signal handler may come in between
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def __enter__(self) -> None:
        check_pid()
        me = threading.get_ident()
        with self._lock:
            if self._forking and me not in self._inside:
                self._let_fork(me)
            self._inside[me] = self._inside.get(me, 0) + 1

    def __exit__(self, *exc_info: object) -> None:
        check_pid()
        me = threading.get_ident()
        with self._lock:
            depth = self._inside.pop(me, 0)
            if depth > 1:
                self._inside[me] = depth - 1
            elif self._waiting:
                self._changed.notify_all()

    def _let_fork(self, me: int) -> None:
        if not self._changed.wait_for(lambda: self._forking <= {me}, _LONGEST_FORK):
            self._forking.clear()

    def fork_begins(self) -> None:
        """Wait until no other thread is inside; from now on none comes in."""
        check_pid()
        me = threading.get_ident()
        with self._lock:
            self._waiting += 1
            try:
                if not self._changed.wait_for(lambda: self._inside.keys() <= {me}, _LONGEST_WAIT):
                    # once is enough: it hangs, or an interrupt kept it from saying that it is outside
                    self._inside = {me: self._inside[me]} if me in self._inside else {}
            finally:
                self._waiting -= 1
            self._forking.add(me)

    def fork_is_over(self) -> None:
        """Let the others in again; in the parent."""
        with self._lock:
            self._forking.discard(threading.get_ident())
            self._changed.notify_all()


forks_wait = Sections()


def register(thing: Resettable) -> None:
    """Have ``thing._reset_after_fork()`` called in every child process."""
    check_pid()
    with _lock:
        _registered.add(thing)


def registered() -> list[Resettable]:
    """Give all living registered objects."""
    with _lock:
        return members(_registered)


def check_pid() -> None:
    """Do the reset if this process was forked without Python's hooks."""
    pid = os.getpid()
    if pid == _pid:
        return
    with _turns.setdefault(pid, threading.RLock()):
        if pid != _pid and not _resetting:  # who resets may ask for a lock
            _reset()


def _reset() -> None:
    global _lock, _pid, _resetting
    _resetting = True
    _lock = threading.RLock()
    forks_wait._start_anew()
    failed: Exception | None = None
    for thing in members(_registered):
        try:
            thing._reset_after_fork()
        except Exception as error:  # the others need theirs all the same
            failed = failed or error
    _resetting = False
    _pid = os.getpid()  # last: who sees it goes on
    if failed is not None:
        raise failed


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=forks_wait.fork_begins, after_in_parent=forks_wait.fork_is_over, after_in_child=_reset)
