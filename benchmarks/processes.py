"""Server and workers as processes: pinned to their cores, in an environment of four variables."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.worker import Place

_ROOT = Path(__file__).parent.parent


class WorkerDied(Exception):
    """A worker ended; the text is the last thing it said."""


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def pin(process: int, core: int) -> None:
    """Keep a process on the first core (0) or the last (-1), where there are several and the system can."""
    cores = _cores()
    if len(cores) > 1:
        os.sched_setaffinity(process, {cores[core]})


def _environment(home: str, further: int = 0) -> dict[str, str]:
    """Give what ``env -i`` would leave, and some that matter to nobody: their number alone costs plain requests time."""
    kept = {"PATH": os.defpath, "HOME": home, "PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "0"}
    return {**kept, **{f"SOME_SERVICE_{number}_PORT": f"tcp://10.0.0.{number}:80" for number in range(further)}}


class Worker:
    """One client in a process of its own."""

    def __init__(self, name: str, module: str, maker: str, place: Place, *, home: str, variables: int) -> None:
        self.name = name
        text = json.dumps({"http": place.http, "https": place.https, "bundle": place.bundle, "options": dict(place.options)})
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", module, maker, text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=_ROOT,
            env=_environment(home, variables),
        )
        pin(self._process.pid, 0)

    def ready(self) -> None:
        """Wait until the client is made.

        Raises:
            WorkerDied: it could not be.
        """
        self._answer()

    def sample(self, count: int) -> Mapping[str, float]:
        """Have it measured once.

        Raises:
            WorkerDied: it ended instead.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{count}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # said below
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines()
            raise WorkerDied(said[-1] if said else "it said nothing")
        answer: dict[str, float] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


@contextmanager
def loopback() -> Iterator[tuple[Place, str]]:
    """Serve; give where, and an empty home for the workers."""
    from benchmarks.certificates import write_certificates  # cryptography, which a worker must not find loaded

    with tempfile.TemporaryDirectory() as folder:
        certificate, key, bundle = write_certificates(Path(folder))
        home = Path(folder, "home")
        home.mkdir()
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.server", "--certificate", str(certificate), "--key", str(key)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=_environment(str(home)),
        )
        try:
            pin(server.pid, -1)
            assert server.stdout is not None
            ports = json.loads(server.stdout.readline())
            yield Place(f"http://127.0.0.1:{ports['http']}", f"https://127.0.0.1:{ports['https']}", str(bundle)), str(home)
        finally:
            server.kill()
            server.communicate()


def lacks(module: str | None) -> str | None:
    """Give the reason why a client that needs ``module`` is left out, or None."""
    if module is None:
        return None
    top = module.partition(".")[0]
    return None if importlib.util.find_spec(top) is not None else f"{top} is not installed"


def machine() -> dict[str, Any]:
    """Tell on what this runs."""
    names = (
        *("requests", "urllib3", "msgspec", "tenacity", "blinker", "python-jose"),
        *("httpx", "openai", "anthropic", "google-auth", "httpx-sse", "sseclient-py", "requests-sse", "uvloop"),
    )
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {"python": sys.version.split()[0], "system": sys.platform, "cores": len(_cores()) or os.cpu_count(), "versions": found}
