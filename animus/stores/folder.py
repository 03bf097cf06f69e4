"""A folder of small files that nobody but their owner can read."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_NO_LINK: int = getattr(os, "O_NOFOLLOW", 0)  # Windows has none of these
_DIRECTORY: int = getattr(os, "O_DIRECTORY", 0)
_NO_WAIT: int = getattr(os, "O_NONBLOCK", 0)  # a named pipe must not hold us
_BINARY: int = getattr(os, "O_BINARY", 0)
_HAS_OWNERS = hasattr(os, "geteuid")
_BY_DESCRIPTOR = _HAS_OWNERS and {os.open, os.unlink, os.rename, os.stat, os.chmod} <= os.supports_dir_fd
_LINK_ERRORS = frozenset((errno.ELOOP, errno.EMLINK))  # FreeBSD says the latter
_NO_FILE_ERRORS = frozenset((errno.EISDIR, errno.ENXIO, errno.EOPNOTSUPP))  # a folder; a socket, on Linux and on the BSDs
_OTHERS = 0o077

LARGEST = 1 << 20  # bytes; nothing that belongs here is a tenth of it
_DEBRIS_AFTER = 3600.0  # seconds after which a half-written file is nobody's work in progress
_UNUSED_AFTER = 31 * 86400.0  # seconds after which a file that nobody has written anew is thrown away
_HALF = re.compile(r"\.(.+)\.[0-9a-f]{16}\.tmp")  # what is being written


class PrivateFolder:
    """Reads, writes and deletes files of one folder, which it makes with rights 0700; the files get 0600.

    All is done relative to the opened folder, whose owner and rights were looked at: nobody can put another one in its
    place in between. Links are not followed, neither to the folder nor in it. On Windows, where the user's own folders are
    private by inheritance, neither is looked at.

    What goes wrong is an ``OSError`` that names the folder alone, so that one condition has one text.

    Threads, processes: any, at once. Fork: there is nothing open between two calls.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        """Give what is in a file, or None if there is none.

        Raises:
            PermissionError: others can read it or the folder, or it belongs to somebody else; nothing of it was used.
            OSError: it cannot be read.
        """
        with contextlib.suppress(FileNotFoundError), self._opened() as folder:
            descriptor = self._open(name, os.O_RDONLY | _NO_WAIT, folder)
            try:
                return self._content(descriptor)
            finally:
                os.close(descriptor)
        return None

    def write(self, name: str, content: bytes) -> None:
        """Put ``content`` in the place of what a file has: whoever reads it, or a crash, sees the old or the new.

        Raises:
            PermissionError: others can read the folder, or it belongs to somebody else; nothing was written.
            OSError: the disk is full, ``content`` is larger than what is read, …; the old file is as it was.
        """
        if len(content) > LARGEST:
            raise OSError(f"what is larger than {LARGEST} bytes is not kept in {self.path}: nobody would read it")
        half = f".{name}.{secrets.token_hex(8)}.tmp"
        with self._opened(make=True) as folder:
            descriptor = self._open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder)
            try:
                try:
                    _write_all(descriptor, content)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.replace(self._at(half, folder), self._at(name, folder), src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(self._at(half, folder), dir_fd=folder)
                raise

    def delete(self, name: str) -> None:
        """Take a file away, also out of a folder that others can read; none there is fine.

        Raises:
            PermissionError: the folder belongs to somebody else.
            OSError: it cannot be taken away.
        """
        with contextlib.suppress(FileNotFoundError), self._opened(private=False) as folder:
            os.unlink(self._at(name, folder), dir_fd=folder)

    def open_to_lock(self, name: str) -> int:
        """Give a descriptor of an empty file that locks can be held on; the caller closes it.

        A file that others can read, or we cannot, as after a backup was restored, is made private: there is nothing in it to be seen.

        Raises:
            OSError: as for :meth:`write`.
        """
        with self._opened(make=True) as folder:
            with contextlib.suppress(PermissionError):
                return self._opened_to_lock(name, folder)
            # not deleted: somebody may hold a lock on it
            self._check(os.stat(self._at(name, folder), dir_fd=folder, follow_symlinks=False), private=False)
            os.chmod(self._at(name, folder), 0o600, dir_fd=folder)
            return self._opened_to_lock(name, folder)

    def sweep(self, newest: str, ours: Callable[[str], bool]) -> int:
        """Delete what a killed process has left half-written, and what was neither written nor locked for a month; give how many files.

        Args:
            newest: The name of a file that was written just now. Its time is the one of the file system, which is all that counts.
            ours: Tells whether a file of that name, half-written or whole, may be deleted.

        Raises:
            OSError: the folder cannot be listed.
        """
        swept = 0
        with self._opened() as folder:
            now = self._changed(newest, folder)
            for name in os.listdir(self.path if folder is None else folder):
                half = _HALF.fullmatch(name)
                if not ours(half[1] if half else name):
                    continue
                with contextlib.suppress(OSError):  # somebody else was quicker
                    if now - self._changed(name, folder) > (_DEBRIS_AFTER if half else _UNUSED_AFTER):
                        os.unlink(self._at(name, folder), dir_fd=folder)
                        swept += 1
        return swept

    # ---- inside ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _opened(self, *, make: bool = False, private: bool = True) -> Iterator[int | None]:
        """Open and check the folder."""
        descriptor: int | None = None
        try:
            if make:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _BY_DESCRIPTOR:
                descriptor = os.open(self.path, os.O_RDONLY | _DIRECTORY | _NO_LINK)
                self._check(os.fstat(descriptor), folder=True, private=private)
            yield descriptor
        except OSError as error:
            if error.errno is None:  # one of ours
                raise
            raise self._named(error) from error
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _named(self, error: OSError) -> OSError:
        if error.errno in _LINK_ERRORS:
            return PermissionError(f"there is a link in {self.path}, and links are not followed")
        if error.errno in _NO_FILE_ERRORS:
            return PermissionError(f"a file in {self.path} is no ordinary file")
        if error.errno == errno.ENOTDIR or isinstance(error, FileExistsError):
            return PermissionError(f"{self.path} is no folder, or a link to one, and links are not followed")
        return OSError(error.errno, error.strerror, str(self.path))

    def _changed(self, name: str, folder: int | None) -> float:
        return os.stat(self._at(name, folder), dir_fd=folder, follow_symlinks=False).st_mtime

    def _at(self, name: str, folder: int | None) -> str:
        return name if folder is not None else str(self.path / name)

    def _open(self, name: str, flags: int, folder: int | None) -> int:
        return os.open(self._at(name, folder), flags | _NO_LINK | _BINARY, 0o600, dir_fd=folder)

    def _opened_to_lock(self, name: str, folder: int | None) -> int:
        descriptor = self._open(name, os.O_RDWR | os.O_CREAT | _NO_WAIT, folder)
        try:
            self._check(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _content(self, descriptor: int) -> bytes:
        self._check(os.fstat(descriptor))
        pieces = []
        size = 0
        while piece := os.read(descriptor, LARGEST):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                break  # no file of ours: what was read will make no sense
        return b"".join(pieces)

    def _check(self, found: os.stat_result, *, folder: bool = False, private: bool = True) -> None:
        what = str(self.path) if folder else f"a file in {self.path}"
        if not folder and not stat.S_ISREG(found.st_mode):
            raise PermissionError(f"{what} is no ordinary file")
        if not _HAS_OWNERS:
            return
        if found.st_uid != os.geteuid():
            raise PermissionError(f"{what} belongs to another user")
        if private and found.st_mode & _OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            raise PermissionError(f"{what} is open to others (mode {mode:04o}); it should be {'0700' if folder else '0600'}")


def _write_all(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]
