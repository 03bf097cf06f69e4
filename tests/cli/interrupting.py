"""Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from typing import Any


def interrupt(process: subprocess.Popen[Any]) -> None:
    """Press Ctrl-C; again if it was not heard: CPython misses a signal between its last look for one and a system call that blocks."""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
            return
