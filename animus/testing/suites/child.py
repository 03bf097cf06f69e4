"""A forked process that a test talks to."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn

import pytest

from animus._cause import describe
from animus.testing.suites.checks import PATIENCE

needs_fork: pytest.MarkDecorator = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


class Child:
    """Does ``work(child)`` in a forked process, which is killed when the block is left.

    The child says something with :meth:`say` and waits with :meth:`wait`; the parent listens with :meth:`heard` and has it go on
    with :meth:`tell`.
    """

    def __init__(self, work: Callable[[Child], object]) -> None:
        listening, saying = os.pipe()
        waiting, telling = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: forking with threads is what hosts do
            self._pid = os.fork()
        if self._pid == 0:
            os.close(listening)
            os.close(telling)  # else it would wait for ever for a parent that is gone
            self._in, self._out = waiting, saying
            self._be_child(work)
        os.close(saying)
        os.close(waiting)
        self._in, self._out = listening, telling
        self._reaped = False

    def _be_child(self, work: Callable[[Child], object]) -> NoReturn:
        try:
            work(self)
        except BaseException as error:
            with contextlib.suppress(OSError):
                self._write({"raised": describe(error)})
        finally:
            os._exit(0)

    def say(self, text: str) -> None:
        """In the child: let the parent know."""
        self._write({"said": text})

    def wait(self) -> None:
        """In the child: wait until the parent tells, or is gone."""
        os.read(self._in, 1)

    def _write(self, message: dict[str, str]) -> None:
        os.write(self._out, json.dumps(message).encode() + b"\n")

    def heard(self, text: str, promise: str) -> None:
        """Wait until the child says ``text``; fail with the promise if it raises, ends or hangs."""
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, f"{promise}; it hangs for more than {PATIENCE:g} s"
            letter = os.read(self._in, 1)
            assert letter, f"{promise}; its process ended without a word"
            line += letter
        message = json.loads(line)
        assert "raised" not in message, f"{promise}; it raised {message['raised']}"
        assert message["said"] == text, f"{promise}; it says {message['said']!r}"

    def tell(self) -> None:
        """Have the child go on from where it waits."""
        os.write(self._out, b"!")

    def stop(self) -> None:
        """Let it stand still, as a machine without memory or a laptop with its lid shut does."""
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, and be sure that it is gone."""
        if not self._reaped:
            self._reaped = True
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()
        os.close(self._in)
        os.close(self._out)
