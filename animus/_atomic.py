"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, overwrite: bool = True) -> None:
    """Write ``content`` to ``path``: a reader, or a crash at any moment, sees the old file or the new one.

    Args:
        overwrite: False refuses if the file is there, also if it comes to be there meanwhile.

    Raises:
        FileExistsError: it is there, and ``overwrite`` is False.
        OSError: the folder is not there, the disk is full, …; the old file is as it was.
    """
    if not overwrite and path.exists():
        raise _taken(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            _keep_mode(path, temporary)
            os.replace(temporary, path)
        else:
            _name_new(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _keep_mode(path: Path, temporary: str) -> None:
    """Give the new file the rights of the old one, or those any new file would have (mkstemp gives 0600)."""
    try:
        mode = path.stat().st_mode & 0o777
    except FileNotFoundError:
        mode = 0o666 & ~_umask()
    os.chmod(temporary, mode)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _name_new(temporary: str, path: Path) -> None:
    """Give a file its name only if nobody took it: a hard link fails where a rename would replace."""
    os.chmod(temporary, 0o666 & ~_umask())
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _taken(path) from None
    except OSError:  # a file system without hard links
        os.rename(temporary, path)
        return
    os.unlink(temporary)


def _taken(path: Path) -> FileExistsError:
    return FileExistsError(f"{path} is there already; pass overwrite=True to replace it")
