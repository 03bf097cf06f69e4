"""Real child processes by ``fork``, and what came of them."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

PATIENCE = 30.0


def plain_fork() -> int:
    """Fork with Python's hooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: forking with threads is what is tested
        return os.fork()


def fork_in_c() -> int:
    """Fork past Python's hooks, as uWSGI does: the interpreter does not notice. ``PyDLL`` keeps the GIL, which the child needs.

    The interpreter's own lock survives this only if no other thread is waiting for it. So the others get time to settle.
    """
    for _ in range(20):
        time.sleep(0.001)
    return int(ctypes.PyDLL(None).fork())


class Child:
    """A process that does ``work`` and gives back what that returns, as JSON."""

    def __init__(self, work: Callable[[], Any], fork: Callable[[], int] = plain_fork, *, gate: Gate | None = None) -> None:
        self._reading, writing = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            os.close(self._reading)
            _be_child(work, writing, gate)
        os.close(writing)
        self._ended = False

    def kill(self, number: int = signal.SIGKILL) -> None:
        os.kill(self.pid, number)

    def result(self) -> Any:
        """Wait for the end and give the outcome; fail if the child failed, or takes too long."""
        text = b""
        end = time.monotonic() + PATIENCE
        while True:
            ready, _, _ = select.select([self._reading], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self.kill()
                self.wait()
                raise AssertionError("the child hangs")
            piece = os.read(self._reading, 65536)
            if not piece:
                break
            text += piece
        status = self.wait()
        outcome = json.loads(text) if text else {"error": f"it ended with status {status}"}
        assert "error" not in outcome, outcome["error"]
        return outcome["value"]

    def wait(self) -> int:
        """Reap it; give its exit code, negative for a signal."""
        os.close(self._reading)
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


class Signal:
    """Something that one process tells others."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def set(self) -> None:
        os.write(self._writing, b"!")

    def wait(self) -> None:
        ready, _, _ = select.select([self._reading], [], [], PATIENCE)
        assert ready, "it was not told"
        os.read(self._reading, 1)

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


class Gate:
    """Holds children until all are there."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def pass_through(self) -> None:
        os.close(self.writing)
        os.read(self.reading, 1)  # gives the end of the pipe when nobody has it open for writing

    def open(self) -> None:
        os.close(self.writing)
        os.close(self.reading)


def together(count: int, work: Callable[[], Any], fork: Callable[[], int] = plain_fork) -> list[Any]:
    """Have so many children do ``work`` at the same time; give what each returned."""
    gate = Gate()
    children = [Child(work, fork, gate=gate) for _ in range(count)]
    gate.open()
    return [child.result() for child in children]


def _be_child(work: Callable[[], Any], writing: int, gate: Gate | None) -> NoReturn:
    try:
        if gate is not None:
            gate.pass_through()
        outcome = {"value": work()}
    except BaseException:
        outcome = {"error": traceback.format_exc()}
    try:
        os.write(writing, json.dumps(outcome).encode())
    finally:
        os._exit(0)
