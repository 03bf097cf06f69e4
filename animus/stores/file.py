"""Tokens in files, for all processes of one user on one machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from animus import _check, _fork, _strict_json
from animus._clock import SYSTEM_CLOCK, Clock
from animus._secret import scrub
from animus.errors import ConfigurationError
from animus.stores.extra import require
from animus.stores.folder import PrivateFolder
from animus.stores.polling import poll
from animus.stores.protocol import StoredToken

logger: logging.Logger = logging.getLogger(__name__)
_PLAIN = re.compile(r"[0-9a-f]{64}")
_OURS = re.compile(r"animus-[0-9a-f]{64}\.(json|lock|failed)")


class FileTokenStore:
    """Keeps each token in a file of its own, with rights 0600, in a folder with rights 0700.

    It needs ``pip install "animus-client[file]"``.

    * All processes of the user that are on the machine share tokens: one of them fetches, the others take over.
    * A file is replaced as a whole. A full disk, or a process killed in the middle of writing, leaves the old one.
    * A folder that others can read, or that belongs to somebody else, is not used; a file of that kind, a link, or a file that is
      damaged is not believed, and replaced by the next token. The client says so once and fetches for itself.
    * The lock is one of the operating system (``flock``): it is free when its holder dies, however that happens.
    * A look at a token costs the same with ten and with ten thousand of them. What was not written for a month is thrown away.
    * A token of more than a mebibyte is not kept.

    Threads, processes: any, at once. Fork: the child holds no lock; that of the parent stays the parent's. Pickling: the place
    travels, from the root on (the default place as "the default place").

    Args:
        folder: Where; default: ``animus/tokens`` in the user's cache folder. It is made when it is first written to.
        clock: For tests.

    Raises:
        ConfigurationError: the packages for it are not installed, ``folder`` is blank, or it is in the home of somebody who has none.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, clock: Clock = SYSTEM_CLOCK) -> None:
        require("filelock", extra="file", store="file")
        self._is_default = folder is None
        self._clock = clock
        self._folder = PrivateFolder(_default_folder() if folder is None else _absolute(folder))
        self._swept = False
        self._descriptors: set[int] = set()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        # closed and not unlocked: an open descriptor here would keep the lock of a parent that gets killed, and unlocking frees it
        for descriptor in self._descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._descriptors = set()

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder.path

    def load(self, key: str) -> StoredToken | None:
        """Give what was saved last under ``key``, or None.

        Raises:
            OSError, ValueError: what is there cannot be read, or must not be believed.
        """
        content = self._folder.read(_name(key, "json"))
        if content is None:
            return None
        stored = StoredToken.from_json(content)
        if stored is None:
            raise ValueError(f"a file in {self.folder} is damaged, or none of ours; it will be replaced")
        return stored

    def save(self, key: str, stored: StoredToken) -> None:
        """Keep ``stored`` under ``key``.

        Raises:
            OSError: it cannot be written, or is too large to be read; what was there still is.
        """
        name = _name(key, "json")
        self._folder.write(name, stored.to_json().encode())
        if not self._swept:
            self._swept = True
            self._sweep(name)

    def delete(self, key: str) -> None:
        """Forget what is under ``key``, a failure too."""
        self._folder.delete(_name(key, "json"))
        self._folder.delete(_name(key, "failed"))

    def load_failure(self, key: str) -> str | None:
        """Give what was saved last under ``key``, or None if its time is over, or not to be made out.

        Raises:
            OSError: what is there cannot be read, or must not be believed.
        """
        content = self._folder.read(_name(key, "failed"))
        if content is None:
            return None
        try:
            since, until, text = _strict_json.loads(content.decode())
            # neither before nor after: the wall clock, the only one that processes share, may have been moved
            return str(text) if since <= self._clock.time() < until else None
        except (ValueError, TypeError):
            return None

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        """Keep ``text`` under ``key`` for so many seconds.

        Raises:
            OSError: it cannot be written.
        """
        now = self._clock.time()
        self._folder.write(_name(key, "failed"), json.dumps([now, now + seconds, text]).encode())

    def _sweep(self, newest: str) -> None:
        """Take out what nobody will ever read; once, since it means a look at all files."""
        try:
            swept = self._folder.sweep(newest, lambda name: _OURS.fullmatch(name) is not None)
            logger.debug("took %d old files out of %s", swept, self.folder)
        except OSError as error:  # the token is safe, and that was what counts
            logger.debug("could not look for old files in %s: %s", self.folder, error)

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Hold the lock of ``key`` among all processes of this machine.

        Raises:
            TimeoutError: it was not free within ``timeout`` seconds.
            OSError: the folder cannot be written to, or must not be.
        """
        _fork.check_pid()  # a child that was forked in C still has what it must close
        descriptor, pid = self._take(_name(key, "lock"), timeout), os.getpid()
        try:
            yield
        finally:
            if os.getpid() == pid:  # in a child that was forked meanwhile it is the parent's
                self._leave(descriptor)

    def _take(self, name: str, timeout: float) -> int:
        with _fork.forks_wait:
            from filelock import lock_descriptor

        opened: list[int] = []

        def attempt() -> bool:
            if not opened:
                with _fork.forks_wait:  # a child must know what to close: none is forked between the two
                    opened.append(self._folder.open_to_lock(name))
                    self._descriptors.add(opened[0])
            if not lock_descriptor(opened[0], blocking=False):
                return False
            if os.fstat(opened[0]).st_nlink:
                _touch(opened[0])
                return True
            self._close(opened.pop())  # thrown away by a sibling in between: a lock on it keeps nobody out
            return False

        try:
            poll(attempt, timeout, self._clock)
        except BaseException:
            for descriptor in opened:
                self._close(descriptor)
            raise
        return opened[0]

    def _leave(self, descriptor: int) -> None:
        with _fork.forks_wait:
            from filelock import unlock_descriptor

        try:
            unlock_descriptor(descriptor)  # closing alone would not do it while a child has the file open, too
        finally:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._descriptors.discard(descriptor)
        os.close(descriptor)

    def __repr__(self) -> str:
        return scrub(f"<FileTokenStore in {self.folder}>")

    def __copy__(self) -> FileTokenStore:
        return self

    def __deepcopy__(self, memo: object) -> FileTokenStore:
        return self

    def __reduce__(self) -> Any:
        return functools.partial(type(self), None if self._is_default else str(self.folder), clock=self._clock), ()


def _touch(descriptor: int) -> None:
    """Have a lock file that is used look so: what is old is thrown away, and a lock on that would keep nobody out."""
    if os.utime in os.supports_fd:  # elsewhere, on Windows, nobody deletes a file that somebody has open
        with contextlib.suppress(OSError):
            os.utime(descriptor)


def _default_folder() -> Path:
    require("platformdirs", extra="file", store="file")
    with _fork.forks_wait:
        from platformdirs import user_cache_path

    try:
        folder = user_cache_path("animus", appauthor=False) / "tokens"
    except RuntimeError:  # of newer versions; older ones give "~/.cache/…" as it stands
        folder = None
    if folder is None or not folder.is_absolute():
        raise _homeless("the user's cache folder, the default place for the files of a token store, is not known")
    return folder


def _absolute(folder: str | os.PathLike[str]) -> Path:
    text = os.path.expanduser(_check.text("folder", os.fspath(folder)))
    if text.startswith("~"):
        raise _homeless("folder begins with a home folder that is not known")
    return Path(os.path.abspath(text))


def _homeless(problem: str) -> ConfigurationError:
    return ConfigurationError(problem, hint='Set HOME, or name a folder from the root on: token_store="file:PATH"')


def _name(key: str, ending: str) -> str:
    """Give a file name for ``key`` that is safe on every file system; our own keys stay readable in it."""
    plain = key if _PLAIN.fullmatch(key) else hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"animus-{plain}.{ending}"
