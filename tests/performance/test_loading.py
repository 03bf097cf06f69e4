"""What a process has loaded after its first call: each in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import animus
from benchmarks.starting import FORBIDDEN
from tests.performance.profiled import answered
from tests.servers import HttpServer

Serve = Callable[..., HttpServer]
_PARENT = str(Path(animus.__file__).parent.parent)
_CALL = """
from animus import AnimusClient
with AnimusClient(lambda: {token!r}, api_base_url={base!r}, chat={{"model": "m", "system_message": "s"}}) as client:
    assert client.chat.completions([{{"role": "user", "content": "Hello!"}}]).text
    with client.chat.completions([{{"role": "user", "content": "Hello!"}}], stream=True) as stream:
        assert stream.final().text
"""
_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.c2lnbmF0dXJl"


def _loaded_by(statements: str) -> set[str]:
    code = f"{statements}\nimport sys; print(*(name for name in {FORBIDDEN!r} if name in sys.modules))"
    # -S: a .pth file of the machine may load anything; our own parent and site-packages are named instead
    path = os.pathsep.join([_PARENT, *(p for p in sys.path if p.endswith("-packages"))])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_loads_nothing_that_only_some_need() -> None:
    assert _loaded_by("import animus.client") == set()


def test_a_successful_call_and_stream_load_no_more(serve: Serve) -> None:
    assert _loaded_by(_CALL.format(token="opaque", base=f"{serve(answered).url}/20/v3")) == set()


def test_a_jwt_loads_its_reader_alone(serve: Serve) -> None:
    assert _loaded_by(_CALL.format(token=_JWT, base=f"{serve(answered).url}/20/v3")) <= {"jose", "cryptography"}
