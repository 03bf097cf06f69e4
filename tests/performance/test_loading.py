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


_NEEDED = """
from animus import AnimusClient
with AnimusClient(lambda: {token!r}, api_base_url={base!r}, chat={{"model": "m", "system_message": "s"}}) as client:
    assert client.chat.completions([{{"role": "user", "content": "Hello!"}}]).text
"""
# what neither an import nor a whole answer to a first question has a use for: rooms, and modules
_LATER = (
    *("animus.tools", "animus.streaming", "animus.webhooks", "animus.batch", "animus.server", "animus.emulator", "animus.cli"),
    *("animus.events", "animus.conversation.exchange", "animus.conversation.plan", "animus.conversation.reply"),
    *("animus.conversation.imaging", "animus.conversation.display", "animus.conversation.turns", "animus.resources.media"),
    *("animus.resources.images", "animus.resources.jobs", "animus.refresh.verifier", "animus.refresh.sharing", "animus.refresh.shelf"),
    *("animus.refresh.sibling", "animus.stores.protocol", "animus._jwk", "animus._key_text", "animus.tokens.verification"),
    *("animus.http.plain", "animus.models.lenient", "animus.models.media", "animus.sources.url", "animus.sources.apikey"),
    *("concurrent.futures", "difflib", "html", "xml"),
)
# and what a client that has asked nothing has no use for besides
_NOT_YET = (
    *("msgspec", "typing_extensions", "animus._jwt", "animus.config", "animus.conversation", "animus.models", "animus.tokens.response"),
)
# as measured, and a few for further versions of Python; openai has 840, requests alone 295
MOST_BY_IMPORT = 80
MOST_BY_CALL = 130


def _loaded_by(statements: str) -> set[str]:
    return _all_loaded_by(statements) & set(FORBIDDEN)


def _all_loaded_by(statements: str) -> set[str]:
    """Give the modules that ``statements`` load in a new interpreter that has requests."""
    code = f"import sys, requests; before = set(sys.modules)\n{statements}\nprint(*set(sys.modules) - before)"
    # -S: a .pth file of the machine may load anything; our own parent and site-packages are named instead
    path = os.pathsep.join([_PARENT, *(p for p in sys.path if p.endswith("-packages"))])
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_import_loads_what_a_client_is_made_of() -> None:
    loaded = _all_loaded_by("import animus.client")
    assert loaded.isdisjoint({*_LATER, *_NOT_YET})
    assert len(loaded) <= MOST_BY_IMPORT


def test_a_first_question_loads_what_it_takes(serve: Serve) -> None:
    loaded = _all_loaded_by(_NEEDED.format(token="opaque", base=f"{serve(answered).url}/20/v3"))
    assert loaded.isdisjoint(_LATER)
    assert len(loaded) <= MOST_BY_CALL


def test_the_import_loads_nothing_that_only_some_need() -> None:
    assert _loaded_by("import animus.client") == set()


def test_a_successful_call_and_stream_load_no_more(serve: Serve) -> None:
    assert _loaded_by(_CALL.format(token="opaque", base=f"{serve(answered).url}/20/v3")) == set()


def test_a_jwt_is_read_without_loading_more(serve: Serve) -> None:
    assert _loaded_by(_CALL.format(token=_JWT, base=f"{serve(answered).url}/20/v3")) == set()
