"""A client that was made before a fork works in every child, whatever its parent was doing, and however it forked."""

from __future__ import annotations

import ast
import contextlib
import copy
import gc
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import animus
from animus import (
    AnimusClient,
    AuthenticationError,
    Conversation,
    FileTokenStore,
    MemoryTokenStore,
    StoredToken,
    StreamInterruptedError,
    UrlTokenSource,
    _chance,
    _fork,
)
from animus.conversation.chat import _cut_at_exit
from animus.conversation.exchange import Exchange
from tests.forking import Child, fork_in_c, plain_fork, together
from tests.refresh.sources import Caller
from tests.servers import CHUNKED_HEAD, LAST_CHUNK, Answer, HttpServer, Peer, Received, chunked
from tests.tokens.minting import mint
from tests.wired import CHAT, user

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORKS = [pytest.param(plain_fork, id="os.fork"), pytest.param(fork_in_c, id="fork in C")]
Fork = Callable[[], int]


# ---- every lock is known -------------------------------------------------------------------------------

_PRIMITIVES = {"Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier", "Thread", "Timer"}

# classes with a primitive of their own that do not register, and why a forked child is safe all the same
_SAFE = {
    "animus._fork.Sections": "a child's reset begins with them",
    "animus.emulator.emulator.Emulator": "EmulatorState, its base, resets the event",
    "animus.emulator.state.EmulatorState": "Emulator, which is one, registers",
    "animus.refresh.flight.Flight": "SingleFlight, which registers, lets go of it",
    "animus.refresh.flight._Errand": "SingleFlight, which registers, lets go of it",
    "animus.sources.apart._Call": "belongs to one call of one thread, which is not there in a child",
    "animus.http.watchdog.Guard": "a child does not touch its lock: it looks at the pid first",
    "animus.transport.call.Cancellation": "Exchange, which registers, resets it; OpenWaits, which registers, lets go of it",
    "animus.stores.lease.Lease": "a child does not touch its event: it looks at the pid first",
    "animus.testing.suites.checks.InThread": "belongs to one test, whose children do not use it",
    "animus.tools.work.Crew": "belongs to one call of one thread, and its threads end with it",
}


def _modules() -> Iterator[tuple[str, ast.Module]]:
    root = Path(inspect.getfile(animus)).parent
    for path in sorted(root.rglob("*.py")):
        name = ".".join(("animus", *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def _makes_primitives(node: ast.AST) -> bool:
    return any(
        isinstance(call, ast.Call)
        and ((isinstance(call.func, ast.Attribute) and call.func.attr in _PRIMITIVES and ast.unparse(call.func.value) == "threading")
             or ast.unparse(call.func) in ("queue.Queue", "queue.SimpleQueue", "ThreadPoolExecutor"))
        for call in ast.walk(node)
    )  # fmt: skip


def _attributes(tree: ast.AST) -> Iterator[ast.AST]:
    """Give what a class keeps in ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value is not None and any(isinstance(t, (ast.Attribute, ast.Tuple)) for t in targets):
                yield node.value


def test_every_class_with_a_lock_is_reset_in_a_forked_child() -> None:
    found: set[str] = set()
    for module, tree in _modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef) or not any(_makes_primitives(value) for value in _attributes(node)):
                continue
            name = f"{module}.{node.name}"
            found.add(name)
            text = ast.unparse(node)
            registers = "_fork.register(self)" in text and "def _reset_after_fork" in text
            assert registers or name in _SAFE, f"{name} has a lock or a thread that a forked child would inherit: register it with _fork"
    assert set(_SAFE) <= found, "an exception that is none any more"
    assert len(found) > 25


# rooms that nobody has in a process that forks, or that make threads of their own
_APART = ("animus.cli", "animus.doctor", "animus.emulator", "animus.main", "animus.testing")
# rooms that no call of a client goes through
_ELSEWHERE = (*_APART, "animus.server")


def test_who_takes_a_lock_has_looked_at_the_pid() -> None:
    # after a fork in C, the lock that a method begins with may be held by a thread that is not there
    found = set()
    for module, tree in _modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef) or module.startswith(_APART) or f"{module}.{node.name}" in _SAFE:
                continue
            kept = {ast.unparse(value) for value in _attributes(node)} & {"threading.Lock()", "threading.RLock()"}
            if kept:
                found.add(node.name)
                assert "_lock = _fork.Lock()" in ast.unparse(node), f"{module}.{node.name} does not declare its lock"
                assert kept == {"threading.RLock()"}, f"{module}.{node.name}: a signal handler may come by where it is held"
    assert len(found) > 8


def test_no_module_has_a_lock_but_the_one_that_resets_them() -> None:
    for module, tree in _modules():
        for node in tree.body:
            if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.If)) and _makes_primitives(node):
                assert module == "animus._fork"


# they are there by the time anything of ours runs
_ALWAYS_LOADED = {"importlib", "email.parser", "pwd"}
_OURSELVES = {("animus", "animus")}  # the forks that wait
_SELDOM = {"difflib"}  # for the text of an error about a name


def _late_imports(node: ast.AST, *, late: bool = False) -> Iterator[str]:
    """Give what functions import for themselves and a fork does not wait for."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and any(ast.unparse(item) == "_fork.forks_wait" for item in child.items):
            continue
        if late and isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child.module or "" if isinstance(child, ast.ImportFrom) else child.names[0].name
        if late and isinstance(child, ast.Call) and ast.unparse(child.func).endswith(("import_module", "__import__")):
            yield ast.unparse(child.args[0])
        yield from _late_imports(child, late=late or isinstance(child, ast.FunctionDef))


def test_a_fork_waits_for_every_late_import_of_a_call() -> None:
    # the lock of a module that is being imported is not reset by Python: a child that needs the module would wait for it for ever
    found = {(name, imported) for name, tree in _modules() if not name.startswith(_ELSEWHERE) for imported in _late_imports(tree)}
    assert {each for each in found if each[1] not in _ALWAYS_LOADED | _SELDOM} - _OURSELVES == set()


def test_nothing_uses_a_cached_property() -> None:
    # until Python 3.12 each has a lock for all objects of its class
    assert [module for module, tree in _modules() if "cached_property" in ast.unparse(tree)] == []


# ---- every lock is free --------------------------------------------------------------------------------

_LOCKS = (type(threading.Lock()), type(threading.RLock()))
_NOT_ENTERED = (type, types.ModuleType, types.FrameType, types.CodeType, str, bytes, int, float, Exception)


def _locks_of(root: object) -> dict[int, tuple[str, Any]]:
    """Give all locks that can be reached from an object, with the way there."""
    found: dict[int, tuple[str, Any]] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(type(root).__name__, root)]
    while waiting:
        way, thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, _NOT_ENTERED):
            continue
        seen.add(id(thing))
        if isinstance(thing, _LOCKS):
            found[id(thing)] = (way, thing)
            continue
        if isinstance(thing, types.FunctionType):
            waiting += [(f"{way}.{thing.__name__}", cell.cell_contents) for cell in thing.__closure__ or () if _is_full(cell)]
            continue
        if isinstance(thing, dict):
            waiting += [(f"{way}[{key!r}]" if isinstance(key, str) else way, value) for key, value in list(thing.items())]
            waiting += [(way, key) for key in list(thing)]
        waiting += [(f"{way}.{type(thing).__name__}", other) for other in gc.get_referents(thing)]
        keep = getattr(thing, "__dict__", None)
        if isinstance(keep, dict):
            waiting += [(f"{way}.{name}", value) for name, value in list(keep.items())]
    return found


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _held_in_another_thread(locks: list[Any], *, inside: bool = False) -> Callable[[], None]:
    """Hold all of them, and be inside a section if a fork does not wait for that; give what lets go of them."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with _fork.forks_wait if inside else contextlib.nullcontext():
            taken = [lock for lock in locks if lock.acquire(blocking=False)]
            held.set()
            done.wait(60)
        for lock in taken:
            lock.release()

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert held.wait(20)

    def let_go() -> None:
        done.set()
        thread.join()

    return let_go


@pytest.mark.parametrize("fork", FORKS)
def test_a_child_finds_every_lock_free(tmp_path: Path, fork: Fork) -> None:
    with platform_and_client() as (_, client), client.chat.completions([user("Hello")], stream=True) as stream:
        exchange = Exchange(client.chat._room, client.chat._plan("Hello", {}))
        views = [client.for_identity("ada"), client.with_options(retry=0), client.conversation()]
        things = [client, *views, stream, exchange, MemoryTokenStore(), FileTokenStore(tmp_path)]
        before = _locks_of(things)
        manager = client._manager
        known = [client.chat._lock, client.chat.history._lock, client._events._lock, client.session.cookies._cookies_lock]
        known += [manager._lock, manager._flights._lock, client.session._watchdog._lock, client.session._budget._lock, exchange._lock]
        assert {id(lock) for lock in known} <= set(before), "the walk does not find what is there"
        let_go = _held_in_another_thread([lock for _, lock in before.values()])

        def work() -> list[str]:
            assert _use(client) == _SAID
            exchange.cut(everything=True)
            locks = [(way, lock) for way, lock in _locks_of(things).values() if not way.endswith("Guard")]  # those are not touched
            return [way for way, lock in locks if not _is_free(lock)]

        try:
            assert Child(work, fork).result() == []
        finally:
            let_go()
        assert "".join(stream.text) == "one two"


def _other_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _enters() -> bool:
    with _fork.forks_wait:
        return True


def _sections() -> list[int]:
    """Give how deep each thread is inside, and how many fork."""
    return [*_fork.forks_wait._inside.values(), len(_fork.forks_wait._forking)]


def test_a_child_that_was_forked_in_c_can_import_what_it_has_not_yet() -> None:
    let_go = _held_in_another_thread([_fork.forks_wait._lock], inside=True)
    try:
        assert Child(_enters, fork_in_c).result() is True
    finally:
        let_go()


def test_a_fork_waits_until_a_module_is_whole() -> None:
    state, begun = {"imported": False}, threading.Event()

    def load() -> None:
        with _fork.forks_wait:
            with _fork.forks_wait:
                begun.set()
            threading.Event().wait(0.05)
            state["imported"] = True

    thread = _other_thread(load)
    assert begun.wait(20)
    try:
        assert Child(lambda: [state["imported"], *_sections()], plain_fork).result() == [True, 0]
    finally:
        thread.join()
    assert _sections() == [0]


def test_a_fork_in_the_middle_of_an_import_of_its_own_thread_goes_on() -> None:
    with _fork.forks_wait, _fork.forks_wait:
        assert Child(_sections, plain_fork).result() == [2, 0]
        assert Child(lambda: Child(_enters, plain_fork).result(), plain_fork).result() is True
    assert _sections() == [0]


def test_two_threads_may_import_at_once() -> None:
    """One may hold a lock of somebody's that the other waits for, such as logging's."""
    with _fork.forks_wait:
        thread = _other_thread(_enters)
        thread.join(20)
        assert not thread.is_alive()


def test_a_fork_does_not_wait_for_ever_and_not_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fork, "_LONGEST_WAIT", 0.01)
    let_go = _held_in_another_thread([], inside=True)
    try:
        assert Child(_sections, plain_fork).result() == [0]
        monkeypatch.setattr(_fork, "_LONGEST_WAIT", 1000.0)
        assert Child(_enters, plain_fork).result() is True
    finally:
        let_go()
    assert _sections() == [0]


def test_nobody_begins_an_import_in_the_middle_of_a_fork() -> None:
    _fork.forks_wait.fork_begins()
    try:
        assert _enters(), "a hook of somebody's, in the thread that forks"
        thread = _other_thread(_enters)
        thread.join(0.05)
        assert thread.is_alive()
        assert _sections() == [1]
    finally:
        _fork.forks_wait.fork_is_over()
    thread.join(20)
    assert not thread.is_alive()
    assert _sections() == [0]


def test_a_fork_that_waits_for_a_lock_holds_nobody_off_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logging holds its own at a fork: who holds that one, and makes a client meanwhile, would wait for the fork that waits for it."""
    monkeypatch.setattr(_fork, "_LONGEST_FORK", 0.01)
    _fork.forks_wait.fork_begins()
    thread = _other_thread(_enters)
    thread.join(20)
    assert not thread.is_alive()
    _fork.forks_wait.fork_is_over()
    assert _sections() == [0]


def test_a_public_name_is_loaded_before_a_fork() -> None:
    """Its module may be half there otherwise, with a lock that nobody will ever open."""
    program = """
import os, sys, threading, time
import animus

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "animus.conversation.history" and not begun.is_set():
            begun.set()
            time.sleep(0.2)

begun = threading.Event()
sys.meta_path.insert(0, Slow())
animus.AnimusClient
thread = threading.Thread(target=lambda: animus.ChatHistory)
thread.start()
begun.wait(20)
pid = os.fork()
animus.ChatHistory
if pid == 0:
    os._exit(0)
thread.join()
sys.exit(os.waitpid(pid, 0)[1])
"""
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", program], timeout=30, check=False).returncode == 0


def _is_free(lock: Any) -> bool:
    if not lock.acquire(blocking=False):
        return False
    lock.release()
    return True


# ---- whatever the parent was doing ---------------------------------------------------------------------

_HEAD = '{"id": "x", "object": "%s", "created": 1, "model": "m", "choices": [{"index": 0, "%s": {"role": "assistant", "content": "%s"}%s}]}'
_STOP = ', "finish_reason": "stop"'


def _whole(text: str) -> Answer:
    return Answer(headers={"Content-Type": "application/json"}, body=(_HEAD % ("chat.completion", "message", text, _STOP)).encode())


def _frame(text: str) -> bytes:
    return f"data: {_HEAD % ('chat.completion.chunk', 'delta', text, '')}\n\n".encode()


class Platform(HttpServer):
    """Token provider and API. It holds the first request of one kind (``token``, ``call`` or ``stream``) until the test says so."""

    def __init__(self, holds: str = "") -> None:
        self.holds = holds
        self.came, self.go_on = threading.Event(), threading.Event()
        super().__init__()

    def count(self, kind: str) -> int:
        return sum(self._kind(request) == kind for request in self.requests)

    @staticmethod
    def _kind(request: Received) -> str:
        if request.path == "/token":
            return "token"
        return "stream" if b'"stream":true' in request.body.replace(b" ", b"") else "call"

    def _keep_alive(self, peer: Peer) -> None:
        while True:
            request = peer.request()
            with self._lock:
                self.requests.append(request)
                kind = self._kind(request)
                held = kind == self.holds and self.count(kind) == 1
            if kind == "stream":
                peer.send(CHUNKED_HEAD + chunked(_frame("one ")))
            if held:
                self.came.set()
                assert self.go_on.wait(60)
            if kind == "stream":
                peer.send(chunked(_frame("two"), b"data: [DONE]\n\n") + LAST_CHUNK)
            elif kind == "token":
                peer.answer(Answer(body=json.dumps({"accessToken": mint(4102444800)}).encode()))
            else:
                peer.answer(_whole("said"))


@contextlib.contextmanager
def platform_and_client(holds: str = "") -> Iterator[tuple[Platform, AnimusClient]]:
    with Platform(holds) as platform:
        source = UrlTokenSource(f"{platform.url}/token", timeout=30.0)
        chat = {**CHAT, "history_size": 10}
        with AnimusClient(source, api_base_url=f"{platform.url}/v3", chat=chat, timeouts={"deadline": 60.0}) as client:
            try:
                yield platform, client
            finally:
                platform.go_on.set()


def _use(client: AnimusClient) -> list[str]:
    """Use all there is; give what was said."""
    said = [client.chat.completions([user("Hello")]).text, client.chat.send("Hello", pace=False).text]
    with client.chat.completions([user("Hello")], stream=True) as stream:
        said.append("".join(stream.text))
    said.append(client.chat.submit("Hello", pace=False).result(30).text)
    said.append(client.conversation().send("Hello", pace=False).text)
    said.append(client.for_identity("ada").chat.send("Hello", pace=False).text)
    assert client.session.post("/chat/completions", json={}).status_code == 200
    client.clear_auth_token()
    said.append(client.with_options(retry=0).chat.send("Hello", pace=False).text)
    client.chat.set_chat_history([{"role": "user", "content": "more"}])
    client.chat.clear_chat_history()
    client.close()
    return said


_SAID = ["said", "one two", "one two", "one two", "one two", "one two", "one two"]


def _stream(client: AnimusClient) -> str:
    with client.chat.completions([user("Hello")], stream=True) as stream:
        return "".join(stream.text)


_ACTS: dict[str, Callable[[AnimusClient], str]] = {
    "token": lambda client: client.chat.completions([user("Hello")]).text,
    "call": lambda client: client.chat.completions([user("Hello")]).text,
    "stream": _stream,
}


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("doing", ["token", "call", "stream"])
def test_while_the_parent_waits_for_a(doing: str, fork: Fork) -> None:
    with platform_and_client(doing) as (platform, client):
        callers = [Caller(lambda: _ACTS[doing](client)) for _ in range(3)]
        assert platform.came.wait(20)
        assert Child(lambda: _use(client), fork).result() == _SAID
        platform.go_on.set()
        assert {caller.finish() for caller in callers} == {"one two" if doing == "stream" else "said"}


@pytest.mark.parametrize("fork", FORKS)
def test_while_an_exchange_of_the_parent_runs_in_its_thread(fork: Fork) -> None:
    with platform_and_client("stream") as (platform, client):
        future = client.chat.submit("Hello", pace=False)
        assert platform.came.wait(20)
        assert Child(lambda: _use(client), fork).result() == _SAID
        platform.go_on.set()
        assert future.result(30).text == "one two"


@pytest.mark.parametrize("fork", FORKS)
def test_a_stream_stays_its_parents(fork: Fork) -> None:
    with platform_and_client("stream") as (platform, client), client.chat.completions([user("Hello")], stream=True) as stream:
        pieces = iter(stream.text)
        assert next(pieces) == "one "

        def work() -> list[str]:
            with pytest.raises(StreamInterruptedError, match="belongs to the process that began it"):
                next(pieces)
            stream.close()
            return _use(client)

        assert Child(work, fork).result() == _SAID
        platform.go_on.set()
        assert list(pieces) == ["two"]


def test_a_child_that_leaves_the_loop_over_a_stream_leaves_the_parent_its_connection() -> None:
    with platform_and_client() as (_, client):
        events = []
        for event in client.chat.stream("Hello", pace=False):
            events.append(event.name)
            if event.name == "message_tokens" and events.count("message_tokens") == 1:
                pid = plain_fork()
                if pid == 0:
                    break
        else:
            _, status = os.waitpid(pid, 0)
            assert status == 0
            assert events.count("message_tokens") == 2
            return
        os._exit(0)


def test_a_child_and_its_parent_do_not_share_a_connection() -> None:
    with platform_and_client() as (platform, client):
        _use_once(client)
        before = platform.connections
        assert together(4, lambda: _use_once(client)) == ["said"] * 4
        assert platform.connections >= before + 4
        _use_once(client)
        assert platform.count("token") == 1, "the children have the valid token of their parent"


def _use_once(client: AnimusClient) -> str:
    return client.chat.completions([user("Hello")]).text


def test_all_threads_of_a_child_that_was_forked_in_c_may_come_at_once() -> None:
    with platform_and_client() as (platform, client):
        let_go = _held_in_another_thread([lock for _, lock in _locks_of(client).values()])

        def work() -> list[str]:
            barrier = threading.Barrier(16)

            def ask() -> str:
                barrier.wait()
                return _use_once(client)

            return [caller.finish() for caller in [Caller(ask) for _ in range(16)]]

        try:
            assert Child(work, fork_in_c).result() == ["said"] * 16
        finally:
            let_go()
        assert platform.count("token") == 1


# ---- each thing by itself ------------------------------------------------------------------------------


def _length(text: str) -> int:
    """Count."""
    return len(text)


def _end_of(chat: Conversation) -> list[str]:
    heard: list[str] = []
    chat.on("exchange_cancelled", lambda event: heard.append(event.name))
    _cut_at_exit()
    return heard


def _without_details(client: AnimusClient) -> None:
    with pytest.raises(AuthenticationError, match="LiveKit"):
        client.get_livekit_details()


_STORE = MemoryTokenStore()
_THINGS: dict[str, Callable[[AnimusClient], object]] = {
    "a store": lambda client: _STORE.save("key", StoredToken("token")),
    "a new client": lambda client: AnimusClient(client.token_source, api_base_url=client.api_base_url, chat=CHAT).close(),
    "on": lambda client: client.on("message_complete", print).cancel(),
    "once": lambda client: client.once("message_complete", print).cancel(),
    "off": lambda client: client.off("message_complete"),
    "chat.on": lambda client: client.chat.on("message_complete", print).cancel(),
    "conversation": lambda client: client.conversation(history=[user("Hello")]),
    "completions": lambda client: client.chat.completions([user("Hello")]).text,
    "a stream": _stream,
    "send": lambda client: client.chat.send("Hello", pace=False),
    "stream": lambda client: list(client.chat.stream("Hello", pace=False)),
    "submit": lambda client: client.chat.submit("Hello", pace=False).result(10),
    "run_tools": lambda client: client.chat.run_tools([user("Hello")], [_length]),
    "media": lambda client: client.media.completions([user("Hello")], model="vivian-vision"),
    "for_identity": lambda client: client.for_identity("ada").chat.send("Hello", pace=False),
    "with_options": lambda client: client.with_options(retry=0).chat,
    "clear_auth_token": lambda client: client.clear_auth_token(),
    "get_livekit_details": _without_details,
    "update_chat_config": lambda client: client.update_chat_config({"temperature": 0.5}),
    "cancel_pending_turns": lambda client: client.chat.cancel_pending_turns(),
    "get_chat_history": lambda client: client.chat.get_chat_history(),
    "set_chat_history": lambda client: client.chat.set_chat_history([user("Hello")]),
    "update_history_message": lambda client: client.chat.update_history_message(0, {"content": "Hello!"}),
    "delete_history_message": lambda client: client.chat.delete_history_message(0),
    "clear_chat_history": lambda client: client.chat.clear_chat_history(),
    "a pickled history": lambda client: pickle.dumps(client.chat.history),
    "a pickled client": lambda client: pickle.loads(pickle.dumps(client)).close(),
    "a copied client": lambda client: copy.copy(client).close(),
    "session": lambda client: client.session.post("/chat/completions", json={}).raise_for_status(),
    "close": lambda client: client.close(),
    "session.close": lambda client: client.session.close(),
    "token_source.close": lambda client: client.token_source.close(),
    "the manager's close": lambda client: client._manager.close(),
    "the interpreter's exit": lambda client: _end_of(client.chat) == [] or pytest.fail("it cut an exchange of its parent's"),
}


@pytest.mark.parametrize("thing", _THINGS)
def test_a_child_that_was_forked_in_c_begins_with(thing: str) -> None:
    """Another thread of the parent's holds every lock, and imports; the watchdog has a thread; an exchange is under way."""
    with platform_and_client("stream") as (platform, client):
        future = client.chat.submit("Hello", pace=False)
        assert platform.came.wait(20)
        client.chat.completions([user("Hello")])
        locks = [lock for _, lock in _locks_of([client, _STORE, _fork.forks_wait]).values()]
        let_go = _held_in_another_thread([*locks, _fork._lock], inside=True)
        try:
            Child(lambda: _THINGS[thing](client) and None, fork_in_c).result()
        finally:
            let_go()
        platform.go_on.set()
        assert future.result(30).text == "one two"


# ---- the reset itself ----------------------------------------------------------------------------------


class Registered:
    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.resets = 0
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self.resets += 1
        if self.fails:
            raise RuntimeError("cannot")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_cannot_be_reset_does_not_keep_the_others_from_it() -> None:
    things = [Registered(fails=number % 3 == 0) for number in range(30)]

    def work() -> list[int]:
        with pytest.raises(RuntimeError, match="cannot"):
            _fork.check_pid()
        _fork.check_pid()
        return [thing.resets for thing in things]

    assert Child(work, fork_in_c).result() == [1] * 30
    assert {thing.resets for thing in things} == {0}


class Asking:
    """Asks for its lock while it is reset."""

    _lock = _fork.Lock()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        with self._lock:
            self._lock = threading.RLock()


@pytest.mark.parametrize("fork", FORKS)
def test_a_reset_may_ask_for_a_lock(fork: Fork) -> None:
    thing = Asking()
    assert Child(lambda: _is_free(thing._lock), fork).result() is True


def test_children_do_not_pause_for_the_same_random_times() -> None:
    chance = _chance.Chance()
    numbers = together(8, chance.random)
    assert len({*numbers, chance.random()}) == 9
