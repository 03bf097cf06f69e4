"""The command in a terminal of its own: what is typed reaches it as from a keyboard, Ctrl-C as a signal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

import animus

_PARENT = str(Path(animus.__file__).parent.parent)
# the terminal becomes the child's own, so that its Ctrl-C is for the child
_CODE = "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from animus.cli.main import main; sys.exit(main())"
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\]8;[^\x1b]*\x1b\\)")

CTRL_C, CTRL_D = "\x03", "\x04"


class PseudoTerminal:
    """Runs ``animus`` with arguments; used in a ``with`` block."""

    def __init__(self, *arguments: str, seconds: float = 20.0) -> None:
        self._seconds = seconds
        self._ours, theirs = os.openpty()
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")},
            "PYTHONPATH": _PARENT,
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "INPUTRC": os.devnull,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CODE, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""
        self._bytes = b""
        self._looked = 0

    def type(self, keys: str) -> None:
        """Type keys; a line ends with the return key."""
        os.write(self._ours, keys.replace("\n", "\r").encode())

    def interrupt(self, text: str | None) -> str:
        """Press Ctrl-C; wait for a text, or for the end; give what came up to it.

        CPython does not notice a signal that comes between its last look for one and a system call that waits for keys or for
        the network, which nobody is quick enough for but a test. So this waits until the process sleeps; where that cannot be seen,
        Ctrl-C is pressed again.
        """
        for seconds in (self._seconds / 4, self._seconds):
            self._wait_until_asleep()
            self.type(CTRL_C)
            try:
                if text is not None:
                    return self.expect(text, seconds)
                self.expect_end(seconds)
                return ""
            except (AssertionError, subprocess.TimeoutExpired):
                if seconds == self._seconds:
                    raise
        raise AssertionError("not reached")

    def _wait_until_asleep(self) -> None:
        state = Path(f"/proc/{self.process.pid}/stat")
        end = time.monotonic() + self._seconds
        while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "S" and time.monotonic() < end:
            time.sleep(0.001)

    def expect(self, text: str, seconds: float | None = None) -> str:
        """Wait until a text is on the screen, after what was expected before; give what came up to its end, without escapes."""
        end = time.monotonic() + (seconds or self._seconds)
        while True:
            shown = _ESCAPE.sub("", self.raw)
            place = shown.find(text, self._looked)
            if place >= 0:
                before, self._looked = self._looked, place + len(text)
                return shown[before : self._looked]
            if not self._read(end):
                raise AssertionError(f"{text!r} did not come; the screen: {shown[self._looked :]!r}")

    def expect_end(self, seconds: float | None = None) -> int:
        """Wait until it ends; give its exit code."""
        end = time.monotonic() + (seconds or self._seconds)
        while self._read(end):
            pass
        return self.process.wait(max(end - time.monotonic(), 1))

    def _read(self, end: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(end - time.monotonic(), 0))
        if not ready:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux says so when nobody is left on the other side
            return False
        self._bytes += piece
        self.raw = self._bytes.decode(errors="ignore")
        return bool(piece)

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
