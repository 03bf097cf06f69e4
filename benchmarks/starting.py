"""Rows 13 to 15: what an import costs, what it does not load, and how long a new process takes to its first answer.

Each is measured in interpreters of their own, that a worker starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.measure import Client, Group, Round, Row, of, ratio
from benchmarks.worker import Place, Sample

FORBIDDEN = ("tenacity", "jose", "cryptography", "click", "rich", "asyncio", "flask", "werkzeug", "jinja2")

_IMPORT = """
import json, sys, time
began, cpu = time.perf_counter(), time.process_time()
{statement}
wall, cpu = time.perf_counter() - began, time.process_time() - cpu
try:
    pages = int(open("/proc/self/statm").read().split()[1])
except OSError:
    pages = 0
loaded = sum(name in sys.modules for name in {forbidden})
print(json.dumps({{"cpu": cpu * 1e3, "wall": wall * 1e3, "mb": pages * {page} / 1e6, "modules": len(sys.modules), "forbidden": loaded}}))
"""
_FIRST_CALL = {
    "animus": """
from animus import AnimusClient
from benchmarks import wire
with AnimusClient(lambda: wire.{token}, api_base_url="{base}", chat={{"model": wire.MODEL, "system_message": wire.SYSTEM}}) as client:
    assert client.chat.completions(wire.MESSAGES[1:]).text
""",
    "requests": """
import requests
from benchmarks import wire
with requests.Session() as session:
    session.headers["Authorization"] = "Bearer " + wire.TOKEN
    assert session.post("{base}/chat/completions", json=wire.PAYLOAD).json()["choices"]
""",
    "openai": """
import openai
from benchmarks import wire
with openai.OpenAI(api_key=wire.TOKEN, base_url="{base}") as client:
    assert client.chat.completions.create(model=wire.MODEL, messages=wire.MESSAGES).choices
""",
    "anthropic": """
import anthropic
from benchmarks import wire
with anthropic.Anthropic(auth_token=wire.TOKEN, base_url="{base}") as client:
    assert client.messages.create(model=wire.MODEL, messages=wire.MESSAGES[1:], max_tokens=400).content
""",
}


def _told(code: str) -> Mapping[str, float]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _median_of(samples: list[Mapping[str, float]]) -> Mapping[str, float]:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def imported(place: Place) -> Sample:
    """Milliseconds and megabytes of a statement in a new interpreter."""
    code = _IMPORT.format(statement=place.options["statement"], forbidden=FORBIDDEN, page=os.sysconf("SC_PAGE_SIZE"))
    return lambda count: _median_of([_told(code) for _ in range(count)])


def _first_call(place: Place) -> str:
    """Give a program that makes one call."""
    who = place.options["who"]
    kind = "anthropic" if who == "anthropic" else "plain"
    return _FIRST_CALL[who].format(base=f"{place.http}/{kind}/v3", token=place.options.get("token", "TOKEN"))


def called(place: Place) -> Sample:
    """What the first call leaves unloaded; its token is not a JWT, which jose would have to read."""
    code = _IMPORT.format(statement=_first_call(place), forbidden=FORBIDDEN, page=os.sysconf("SC_PAGE_SIZE"))
    return lambda count: _median_of([_told(code) for _ in range(count)])


def process(place: Place) -> Sample:
    """Milliseconds of a whole process, its start and end included: CPU as the system counts it, and wall time."""
    code = _first_call(place)

    def once() -> Mapping[str, float]:
        began = time.perf_counter()
        started = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
        _, status, used = os.wait4(started, 0)
        if status:
            raise RuntimeError("the first call failed")
        return {"cpu": (used.ru_utime + used.ru_stime) * 1e3, "wall": (time.perf_counter() - began) * 1e3}

    return lambda count: _median_of([once() for _ in range(count)])


def _import(statement: str, needs: str | None = None, name: str = "") -> Client:
    return Client(name or statement, "imported", needs, {"statement": statement})


def _above_bare(client: str, other: str) -> Any:
    def value(found: Round) -> float:
        bare = found["pass"]["mb"]
        return (found[client]["mb"] - bare) / (found[other]["mb"] - bare)

    return value


_OURS, _REQUESTS = "import animus.client", "import requests"
_FIRST = [
    Client("animus", "process", options={"who": "animus"}),
    Client("requests", "process", options={"who": "requests"}),
    Client("requests, twin", "process", options={"who": "requests"}),
    Client("openai", "process", "openai", {"who": "openai"}),
    Client("anthropic", "process", "anthropic", {"who": "anthropic"}),
]

GROUPS = [
    Group(
        "import",
        __name__,
        [
            _import("pass"),
            _import("import animus"),
            _import(_OURS),
            _import(_REQUESTS),
            _import(_REQUESTS, name="import requests, twin"),
            _import("import httpx", "httpx"),
            _import("import google.auth.transport.requests", "google.auth"),
            _import("import openai", "openai"),
            _import("import anthropic", "anthropic"),
        ],
        [
            Row("13a", "import animus.client / import requests", ratio(_OURS, _REQUESTS), 1.35, 1.20),
            Row("13b", "import animus.client / import openai", ratio(_OURS, "import openai"), 0.33, 0.25, peer=True),
            Row("13c", "import animus", of("import animus", "wall"), 20, 5, unit="ms"),
            Row("14a", "modules loaded by the import that only some need", of(_OURS, "forbidden"), 0, 0, exact=True),
            Row("15a", "memory after the import / openai", _above_bare(_OURS, "import openai"), 0.65, 0.55, peer=True),
        ],
        3,
        9,
        (_REQUESTS, "import requests, twin", "cpu"),
        ("cpu", _REQUESTS),
        "ms of CPU",
    ),
    Group(
        "first call of a process",
        __name__,
        _FIRST,
        [Row("15b", "CPU of a process to its first answer / openai", ratio("animus", "openai"), 0.35, 0.25, peer=True)],
        2,
        9,
        ("requests", "requests, twin", "cpu"),
        ("cpu", "requests"),
        "ms of CPU",
    ),
    Group(
        "modules after a call",
        __name__,
        [Client("animus", "called", options={"who": "animus", "token": "OPAQUE_TOKEN"})],
        [Row("14b", "modules loaded by a successful call that only some need", of("animus", "forbidden"), 0, 0, exact=True)],
        1,
        1,
    ),
]
