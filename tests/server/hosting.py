"""Real servers for WSGI applications: waitress in this process, waitress and gunicorn in processes of their own."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import waitress
from waitress import wasyncore

_ROOT = Path(__file__).parent.parent.parent


class SwiftClock:
    """A real clock that runs faster: what waits some seconds waits some hundredths."""

    def __init__(self, factor: float = 20.0) -> None:
        self._factor = factor
        self._start = time.time(), time.monotonic()

    def time(self) -> float:
        return self._start[0] + (time.monotonic() - self._start[1]) * self._factor

    def monotonic(self) -> float:
        return self._start[1] + (time.monotonic() - self._start[1]) * self._factor

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        return event.wait(None if timeout is None else max(timeout, 0.0) / self._factor)


@contextlib.contextmanager
def waitress_serving(application: Any, *, threads: int = 8, **adjustments: Any) -> Iterator[str]:
    """Serve until the block is left; gives the origin."""
    sockets: dict[int, Any] = {}
    server = waitress.create_server(
        application, host="127.0.0.1", port=0, threads=threads, map=sockets, connection_limit=1000, backlog=512, **adjustments
    )
    loop = threading.Thread(target=server.run, name="waitress", daemon=True)
    loop.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        with contextlib.suppress(OSError):  # a loop that is awake runs it, and closes the trigger, before it is pulled
            server.trigger.pull_trigger(lambda: wasyncore.close_all(sockets))
        loop.join(10)
        server.task_dispatcher.shutdown()


@contextlib.contextmanager
def gunicorn_serving(application: str, environment: Mapping[str, str], *options: str, workers: int = 2, threads: int = 8) -> Iterator[str]:
    """Serve ``module:name`` in processes of their own until the block is left; gives the origin."""
    given = ["--bind=127.0.0.1:0", f"--workers={workers}", f"--threads={threads}", "--graceful-timeout=2", *options, application]
    command = [sys.executable, "-m", "gunicorn", *given]
    with contextlib.ExitStack() as stack:
        runtime = stack.enter_context(tempfile.TemporaryDirectory(prefix="gunicorn-"))  # its control socket is in $HOME otherwise
        variables = {**os.environ, "PYTHONPATH": str(_ROOT), "XDG_RUNTIME_DIR": runtime, **environment}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = stack.enter_context(subprocess.Popen(command, env=variables, **pipes))
        try:
            yield _origin(process, workers)
        finally:
            _end(process)


@contextlib.contextmanager
def waitress_process(factory: str, environment: Mapping[str, str], folder: Path, *, threads: int = 8) -> Iterator[str]:
    """Serve what ``module:function`` makes in a process of its own, in ``folder``, until the block is left; gives the origin."""
    command = [sys.executable, "-m", "waitress", "--listen=127.0.0.1:0", f"--threads={threads}", "--call", factory]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), str(folder)]), **environment}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=folder, env=variables, **pipes) as process:
        assert process.stdout is not None
        try:
            found = re.search(r"Serving on (http://127\.0\.0\.1:\d+)", process.stdout.readline())
            assert found is not None
            yield found[1]
        finally:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Stop a server, and have what it said shown with a test that fails."""
    process.terminate()
    try:
        said, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
    sys.stdout.write(said)


def _origin(process: subprocess.Popen[str], workers: int) -> str:
    """Wait for the first words of all workers."""
    origin, seen = "", []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        found = re.search(r"Listening at: (http://127\.0\.0\.1:\d+)", line)
        origin = found[1] if found else origin
        if sum("Booting worker" in line for line in seen) == workers:
            return origin
    raise AssertionError(f"gunicorn ended: {''.join(seen)}")
