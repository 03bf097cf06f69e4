"""Storms on a token provider: how often it is asked, and how long the slowest caller waits.

    python -m benchmarks.storms [--only ours] [--all]

One provider on this machine, in a process of its own, that takes 0.2 s for an answer. Each library meets each storm in a new
process, which has a minute and is then killed with its children. Counts are exact; seconds are those of this machine. A library
that is not installed is left out.

Exit status: 1 if ours missed what is promised in one of the storms: how often the provider is asked, what callers get, and a generous
limit on how long the slowest of them waits. With ``--all`` what is left out counts as missed, too: a build that lacks a Redis has not
shown what it should.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rivals import OURS, RIVALS, Contestant, Holder, Ours

DELAY = 0.2  # seconds the provider takes
LIMIT = 2.0  # seconds for the slowest caller of ours: ten times what one fetch takes, for a machine that is busy
_LIMIT_OF_PROCESSES = 4.0  # with 32 of them: 1.3 s were seen on two cores that had four times as much to do
PATIENCE = 60.0  # seconds for one library in one storm
_FORK_PATIENCE = 5.0  # seconds for a forked child, which has 0.2 s of work
_ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Outcome:
    """What came of a storm.

    Attributes:
        fetches: How often the provider was asked.
        slowest: Seconds the slowest caller waited.
        note: What happened besides.
    """

    fetches: int
    slowest: float
    note: str = ""


@dataclass(frozen=True)
class Provider:
    """The provider's process, as a storm sees it."""

    url: str

    def set(self, *, status: int = 200, life: float = 3600.0) -> None:
        """Say what it answers from now on, and have it count anew."""
        urllib.request.urlopen(f"{self.url}/set?delay={DELAY}&status={status}&life={life}").close()

    @property
    def fetches(self) -> int:
        """How often it was asked since."""
        with urllib.request.urlopen(f"{self.url}/count") as answer:
            return int(json.load(answer))


# ---- the storms ----------------------------------------------------------------------------------------


def at_once(count: int, work: Callable[[int], object]) -> tuple[list[Any], float]:
    """Run ``work(number)`` in so many threads at once; give what came out, and the seconds of the slowest."""
    barrier = threading.Barrier(count)
    results: list[Any] = [None] * count
    seconds = [0.0] * count

    def run(number: int) -> None:
        barrier.wait()
        began = time.perf_counter()
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error
        seconds[number] = time.perf_counter() - began

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, max(seconds)


def _failures(results: list[Any]) -> str:
    failed = [result for result in results if isinstance(result, Exception)]
    return f"{len(failed)} failed: {type(failed[0]).__name__}" if failed else ""


def cold(contestant: Contestant, provider: Provider, *, threads: int) -> Outcome:
    """Threads that all need the first token."""
    holder = contestant.make(provider.url)
    results, slowest = at_once(threads, lambda _: _checked(holder.get()))
    return Outcome(provider.fetches, slowest, _failures(results))


def provider_down(contestant: Contestant, provider: Provider, *, threads: int = 32) -> Outcome:
    """The provider fails. Ours is to try once, as ``retry=0`` has it: otherwise it repeats such a failure, once for all."""
    provider.set(status=503)
    holder = Ours(provider.url, repeats=False) if contestant is OURS else contestant.make(provider.url)
    results, slowest = at_once(threads, lambda _: holder.get())
    told = sum(isinstance(result, Exception) for result in results)
    return Outcome(provider.fetches, slowest, f"{told} of {threads} were told" + (f"; {contestant.note}" if contestant.note else ""))


def staggered_refusals(contestant: Contestant, provider: Provider, *, threads: int = 32) -> Outcome:
    """One token is refused by the API; the 401s arrive 10 ms apart."""
    holder = contestant.make(provider.url)
    token = holder.get()
    provider.set()
    waits = [0.0] * threads

    def refused(number: int) -> object:
        time.sleep(number * 0.01)
        began = time.perf_counter()
        try:
            renewed = _checked(holder.refused(token))
            if renewed == token:
                raise ValueError("the token that was refused")
            return renewed
        finally:
            waits[number] = time.perf_counter() - began

    results, _ = at_once(threads, refused)
    if all(isinstance(result, NotImplementedError) for result in results):
        return Outcome(0, 0.0, f"no renewal: {results[0]}")
    return Outcome(provider.fetches, max(waits), _failures(results))


def renewal_window(contestant: Contestant, provider: Provider, *, threads: int = 32) -> Outcome:
    """Threads that use a token all the time while it is renewed."""
    provider.set(life=contestant.life)
    holder = contestant.make(provider.url)
    first = holder.get()
    time.sleep(contestant.wait)
    provider.set()
    end = time.perf_counter() + 2 * DELAY

    def use(_: int) -> float:
        slowest = 0.0
        while (began := time.perf_counter()) < end:
            _checked(holder.get())
            slowest = max(slowest, time.perf_counter() - began)
            time.sleep(0.005)
        return slowest

    results, _ = at_once(threads, use)
    waits = [result for result in results if isinstance(result, float)]
    waited = sum(wait > DELAY / 2 for wait in waits)
    note = _failures(results) or ("nobody waited" if not waited else f"{waited} of {threads} waited")
    fetches = provider.fetches
    if _checked(holder.get()) == first:
        note = "it was not renewed"  # however often the provider was asked
    return Outcome(fetches, max(waits, default=0.0), note)


def processes(
    contestant: Contestant, provider: Provider, *, count: int = 32, store: Callable[[], Any] | None = None, fails: bool = False
) -> Outcome:
    """Processes that all need the first token, each with a holder of its own; if it ``fails``, ours tries once."""
    provider.set(status=503 if fails else 200)
    gate_reading, gate_writing = os.pipe()
    make = partial(contestant.make, provider.url) if store is None else lambda: Ours(provider.url, store(), repeats=not fails)
    make()  # what it imports is loaded here, and not by 32 children at once
    children = [_child(make, gate_reading, gate_writing) for _ in range(count)]
    os.close(gate_writing)
    os.close(gate_reading)
    outcomes = []
    for pid, reading in children:
        with os.fdopen(reading, "rb") as pipe:
            outcomes.append(json.loads(pipe.read() or b'{"error": "it died", "seconds": 0}'))
        os.waitpid(pid, 0)
    failed = [outcome["error"] for outcome in outcomes if outcome["error"]]
    if fails:
        notes = [f"{len(failed)} of {count} were told", contestant.note]
    else:
        tokens = {outcome["token"] for outcome in outcomes if not outcome["error"]}
        notes = [f"{len(failed)} failed: {failed[0]}" if failed else "", f"{len(tokens)} tokens" if store and len(tokens) > 1 else ""]
    notes.append("" if store else "knows no store")
    return Outcome(provider.fetches, max(outcome["seconds"] for outcome in outcomes), "; ".join(filter(None, notes)))


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads is what is measured
        return os.fork()


def _child(make: Callable[[], Holder], gate_reading: int, gate_writing: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    pid = _fork()
    if pid:
        os.close(writing)
        return pid, reading
    began = time.perf_counter()
    outcome: dict[str, Any] = {"error": None}
    try:
        holder = make()
        os.close(gate_writing)
        os.read(gate_reading, 1)  # ends when all children are there
        began = time.perf_counter()
        outcome["token"] = _checked(holder.get())
    except Exception as error:
        outcome["error"] = type(error).__name__
    try:
        os.write(writing, json.dumps({**outcome, "seconds": time.perf_counter() - began}).encode())
    finally:
        os._exit(0)


def _checked(token: object) -> str:
    """Give what is a token of the provider: who is quick because it has none is not quick."""
    if not isinstance(token, str) or token.count(".") != 2 or not token.startswith("ey"):
        raise ValueError("no token of the provider")
    return token


def fork_during_fetch(contestant: Contestant, provider: Provider) -> Outcome:
    """A process forks while one of its threads fetches; the child needs a token, too, and the parent's thread still gets its own."""
    holder = contestant.make(provider.url)
    results: list[Any] = []
    fetching = threading.Thread(target=lambda: results.extend(at_once(1, lambda _: _checked(holder.get()))[0]))
    fetching.start()
    while not provider.fetches:
        time.sleep(DELAY / 20)
    began = time.perf_counter()
    pid = _fork()
    if pid == 0:
        status = 1
        with contextlib.suppress(Exception):
            _checked(holder.get())
            status = 0
        os._exit(status)
    during = fetching.is_alive()
    status = _awaited(pid)
    fetching.join()
    seconds = time.perf_counter() - began  # until both are through
    if not during:
        return Outcome(provider.fetches, seconds, "the fetch was over before the fork")
    notes = [{0: "the child works", 1: "the child fails"}.get(status, "the child hangs"), _failures(results) and "the parent fails"]
    return Outcome(provider.fetches, seconds, "; ".join(filter(None, notes)))


def _awaited(pid: int) -> int:
    end = time.monotonic() + _FORK_PATIENCE
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -signal.SIGKILL


# ---- the table -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Storm:
    """A storm.

    Attributes:
        run: Lets it loose on one library.
        promised: Whether an outcome of ours is what we promise, beside how long it took.
        limit: Most seconds for the slowest caller of ours.
        ours_only: The others have nothing that could be put into it.
        lacking: What is not here, so that it cannot be; None: nothing.
    """

    name: str
    run: Callable[[Contestant, Provider], Outcome]
    promised: Callable[[Outcome], bool] = lambda outcome: outcome.fetches == 1 and not outcome.note
    limit: float = LIMIT
    ours_only: bool = False
    lacking: str | None = None

    def judge(self, outcome: Outcome) -> str:
        """Say what an outcome of ours misses; nothing if it is what we promise."""
        if not self.promised(outcome):
            return "MISSED"
        return "" if outcome.slowest <= self.limit else f"MISSED: slower than {self.limit:g} s"


def _in_files(contestant: Contestant, provider: Provider, *, fails: bool = False) -> Outcome:
    """Ours on a store of files; the others, which have none, as they are."""
    if contestant is not OURS:
        return processes(contestant, provider, fails=fails)
    from animus import FileTokenStore

    with tempfile.TemporaryDirectory() as folder:
        return processes(contestant, provider, store=partial(FileTokenStore, Path(folder) / "tokens"), fails=fails)


def _in_redis(contestant: Contestant, provider: Provider, *, fails: bool = False) -> Outcome:
    import redis  # noqa: F401  # a store does that when it is first used: 32 children at once

    from animus import RedisTokenStore

    with redis_server() as url:
        return processes(contestant, provider, store=partial(RedisTokenStore, url), fails=fails)


@contextlib.contextmanager
def redis_server() -> Iterator[str]:
    """Run a Redis for a while; it ends with us, who hold the other end of its guard's input."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        guard = ["/bin/sh", "-c", '"$@" >/dev/null 2>&1 & read -r _; kill -9 $!; wait', "sh", *command]
        with subprocess.Popen(guard, stdin=subprocess.PIPE) as process:
            end = time.monotonic() + 10
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0"
            process.communicate(b"\n")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


_FORKS = None if hasattr(os, "fork") else "this system does not fork"
_FILES = _FORKS or (None if _is_installed("filelock") else "the package filelock is not installed")
REDIS = _FORKS or (None if _is_installed("redis") else "the package redis is not installed")
REDIS = REDIS or (None if shutil.which("redis-server") else "there is no redis-server on PATH")


def _all_told(outcome: Outcome) -> bool:
    return outcome.fetches == 1 and outcome.note == "32 of 32 were told"


def _nobody_waited(outcome: Outcome) -> bool:
    return outcome.fetches == 1 and outcome.note == "nobody waited"


def _both_work(outcome: Outcome) -> bool:
    return outcome.fetches == 2 and outcome.note == "the child works"  # one fetch for each of the two


STORMS = (
    Storm("32 cold threads", partial(cold, threads=32)),
    Storm("1,000 cold threads", partial(cold, threads=1000)),
    Storm("32 processes, files", _in_files, limit=_LIMIT_OF_PROCESSES, lacking=_FILES),
    Storm("32 processes, Redis", _in_redis, limit=_LIMIT_OF_PROCESSES, ours_only=True, lacking=REDIS),
    Storm("provider down, 32 threads", provider_down, _all_told),
    Storm("down, 32 processes, files", partial(_in_files, fails=True), _all_told, _LIMIT_OF_PROCESSES, lacking=_FILES),
    Storm("down, 32 processes, Redis", partial(_in_redis, fails=True), _all_told, _LIMIT_OF_PROCESSES, ours_only=True, lacking=REDIS),
    Storm("32 staggered 401s", staggered_refusals),
    Storm("renewal window, 32 threads", renewal_window, _nobody_waited, limit=DELAY / 2),
    Storm("fork during fetch", fork_during_fetch, _both_work, lacking=_FORKS),
)


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider for a while."""
    command = [sys.executable, "-m", "benchmarks.storm_provider"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Provider(f"http://127.0.0.1:{int(process.stdout.readline())}")
        process.communicate("")


def apart(contestant: Contestant, storm: Storm, target: Provider) -> Outcome:
    """Let a storm loose on a library in a process of its own."""
    target.set()
    command = [sys.executable, "-m", "benchmarks.storms", "--one", contestant.name, storm.name, target.url]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=_ROOT, text=True, start_new_session=True, **pipes) as process:
        try:
            said, complaints = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            _end_all(process)
            return Outcome(target.fetches, PATIENCE, "it hangs")
    if process.returncode:
        return Outcome(target.fetches, 0.0, "it failed: " + (complaints.strip().splitlines() or ["without a word"])[-1][:100])
    return Outcome(**json.loads(said.splitlines()[-1]))


def _end_all(process: subprocess.Popen[str]) -> None:
    """Kill a process and its children, whose fetches would count for the next one."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _one(name: str, storm: str, url: str) -> None:
    contestant = next(each for each in (OURS, *RIVALS) if each.name == name)
    outcome = next(each for each in STORMS if each.name == storm).run(contestant, Provider(url))
    print(json.dumps(asdict(outcome)))


def main() -> int:
    """Let all storms loose and print a table; give the exit status."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--only", choices=["ours"], help="without the other libraries")
    options.add_argument("--all", action="store_true", help="what is left out, for want of a package or a Redis, is a miss: for builds")
    options.add_argument("--one", nargs=3, metavar=("WHO", "STORM", "URL"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        _one(*given.one)
        return 0
    present = [OURS, *(rival for rival in RIVALS if given.only is None and _is_installed(rival.needs))]
    missed = 0
    print(f"{'storm':28} {'who':12} {'fetches':>8} {'slowest s':>10}  outcome")
    with provider() as target:
        for storm in STORMS:
            if storm.lacking is not None:
                print(f"{storm.name:28} skipped: {storm.lacking}{'  MISSED' if given.all else ''}")
                missed += given.all
                continue
            for contestant in present[:1] if storm.ours_only else present:
                outcome = apart(contestant, storm, target)
                verdict = storm.judge(outcome) if contestant is OURS else ""
                missed += bool(verdict)
                note = "  ".join(filter(None, (outcome.note, verdict)))
                print(f"{storm.name:28} {contestant.name:12} {outcome.fetches:8} {outcome.slowest:10.3f}  {note}".rstrip(), flush=True)
    for rival in RIVALS:
        if given.only is None and rival not in present:
            print(f"{rival.name} is not installed and was left out{'  MISSED' if given.all else ''}")
            missed += given.all
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
