"""Running a program of somebody else's, within limits of time and output.

``subprocess.communicate`` waits until the output pipes end. That can be long after the program has: a daemon it started may
hold them, and so may a child of this process that some other thread forked in the moment between making the pipes and
closing our copy of them. Here the end of the program is what counts.

Time is real time, not an injected clock: so is that of the program.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from animus import _fork

logger: logging.Logger = logging.getLogger(__name__)

_PIECE = 65536
_LOOK = 0.05  # seconds after which the program is looked at, should somebody else hold its pipes
_REAPING = 2.0  # seconds a killed program gets to be gone
_KEPT_ERRORS = 8192  # bytes of stderr, the last ones

Cut = Literal["timeout", "too_large"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended; ``repr`` shows nothing that it wrote.

    Attributes:
        code: Its exit code, negative for a signal.
        output: What it wrote to stdout.
        errors: The last 8 KiB of what it wrote to stderr, without a line that was cut.
        cut: Which limit ended it, or None.
    """

    code: int
    output: bytes = field(repr=False)
    errors: bytes = field(repr=False)
    cut: Cut | None = None


class _Kept:
    """Bytes of one pipe: all, or the last ``most``."""

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._shortened = False
        self.data = b""

    def add(self, piece: bytes) -> None:
        self.data += piece
        if self._most is not None and len(self.data) > self._most:
            self.data = self.data[-self._most :]
            self._shortened = True

    def whole_lines(self) -> bytes:
        """Give the data without what may have lost its beginning: half a secret is not known as one, nor is one without its name.

        That is the first line; of a single line it is as many words as ``Authorization: Bearer …`` has.
        """
        if not self._shortened:
            return self.data
        further_lines = self.data.partition(b"\n")[2]
        return further_lines if further_lines.strip() else b"".join(self.data.split(None, 3)[3:])


def run(arguments: Sequence[str], *, environment: Mapping[str, str] | None, folder: str | None, timeout: float, max_bytes: int) -> Outcome:
    """Run a program to its end, without a shell and without input.

    It gets a process group of its own, which is killed when a limit is reached or the caller is interrupted.

    Args:
        arguments: The program and its arguments.
        environment: All its environment variables; None: ours.
        folder: Where it runs; None: here.
        timeout: Most seconds.
        max_bytes: Most bytes of stdout.

    Raises:
        OSError: it could not be started.
    """
    ends_at = time.monotonic() + timeout
    # Popen waits for the end of a pipe that a child of this process, forked by another thread just then, would keep open
    with _fork.forks_wait:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=folder,
            start_new_session=True,  # the group to kill; without preexec_fn, which is not safe where there are threads
            bufsize=0,
        )
    # no "with": leaving it would wait for a program that cannot be killed
    try:
        return _followed(process, ends_at, max_bytes) if os.name == "posix" else _awaited(process, ends_at, max_bytes)
    finally:
        _kill(process)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _followed(process: subprocess.Popen[bytes], ends_at: float, max_bytes: int) -> Outcome:
    """Read both pipes until the program has ended, whoever else holds them."""
    output, errors = _Kept(), _Kept(_KEPT_ERRORS)
    cut: Cut | None = None
    with selectors.DefaultSelector() as selector:
        for pipe, kept in ((process.stdout, output), (process.stderr, errors)):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, kept)
        while selector.get_map() and cut is None:
            left = ends_at - time.monotonic()
            ended = process.poll() is not None  # asked before reading: what it wrote is in the pipes by then
            ready = selector.select(0 if ended else max(0.0, min(left, _LOOK)))
            for key, _ in ready:
                _read(selector, key.fileobj, key.data)
            if len(output.data) > max_bytes:
                cut = "too_large"
            elif ended and not ready:
                break
            elif left <= 0:
                cut = "timeout"
    if cut is None and not _ends(process, ends_at - time.monotonic()):
        cut = "timeout"
    _kill(process)
    return Outcome(_code(process), output.data[: max_bytes + 1], errors.whole_lines(), cut)


def _read(selector: selectors.BaseSelector, pipe: Any, kept: _Kept) -> None:
    try:
        piece = os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:  # somebody else who holds it was quicker
        return
    if piece:
        kept.add(piece)
    else:
        selector.unregister(pipe)


def _awaited(process: subprocess.Popen[bytes], ends_at: float, max_bytes: int) -> Outcome:
    """The same where pipes cannot be waited for (Windows), with Python's own threads; the size is known only afterwards."""
    cut: Cut | None = None
    output, errors = b"", b""
    try:
        output, errors = process.communicate(timeout=max(0.0, ends_at - time.monotonic()))
    except subprocess.TimeoutExpired:
        cut = "timeout"
    _kill(process)
    kept = _Kept(_KEPT_ERRORS)
    kept.add(errors)
    if len(output) > max_bytes:
        cut = "too_large"
    return Outcome(_code(process), output[: max_bytes + 1], kept.whole_lines(), cut)


def _ends(process: subprocess.Popen[bytes], within: float) -> bool:
    try:
        process.wait(max(0.0, within))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the program's group if the program has not ended. Afterwards its number may be somebody else's."""
    if process.poll() is not None:
        return
    try:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        process.kill()
    if not _ends(process, _REAPING):
        logger.debug("process %d was killed, but is not gone", process.pid)


def _code(process: subprocess.Popen[bytes]) -> int:
    return -signal.SIGTERM if process.returncode is None else process.returncode

