"""What travels to other processes: by pickle, and by fork."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from animus import _fork
from animus.errors import NotFoundError
from animus.http.timeouts import Timeouts
from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.forking import Child
from tests.servers import CHUNKED_HEAD, LAST_CHUNK, Answer, HttpServer, Peer, RawServer, chunked
from tests.transport.tokens import CANARY, Tokens, fixed

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]


def give_token() -> str:
    """A source that can be pickled."""
    return CANARY


def seen_hook(response: requests.Response, **kwargs: Any) -> None:
    """A hook that can be pickled."""
    response.headers["X-Hook"] = "1"


def from_a_vault(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An auth that can be pickled: it reads its secret when it is needed."""
    return request


# ---- pickle ----------------------------------------------------------------------------------------------


def test_configuration_travels_and_tokens_do_not(serve: Serve, session_for: SessionFor) -> None:
    server, other = serve(), serve()
    session = session_for(
        server,
        TokenManager(CallableTokenSource(give_token)),
        extra_origins=(other.url,),
        timeouts=Timeouts(read=7),
        retry=RetryPolicy(repeats=5),
    )
    session.headers["X-A"] = "1"
    session.proxies["https"] = "http://127.0.0.1:9"
    session.verify = "bundle.pem"
    session.hooks["response"].append(seen_hook)
    session.mount("mount://", HTTPAdapter(pool_maxsize=3))
    session.get("/a")
    pickled = pickle.dumps(session)
    assert CANARY.encode() not in pickled
    with pickle.loads(pickled) as travelled:
        assert (travelled.base_url, travelled.timeouts, travelled.retry) == (session.base_url, Timeouts(read=7), RetryPolicy(repeats=5))
        assert (travelled.headers, travelled.proxies, travelled.verify) == (session.headers, session.proxies, "bundle.pem")
        assert list(travelled.adapters) == list(session.adapters)
        assert travelled.auth.manager is travelled._manager
        travelled.verify = True
        assert travelled.get("/b").headers["X-Hook"] == "1"
        assert travelled.get(f"{other.url}/c").ok
    for request in (server.requests[-1], other.requests[-1]):
        assert request.header("Authorization") == f"Bearer {CANARY}"
        assert request.header("X-A") == "1"


def test_cookies_are_not_kept_there_either(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda request: Answer(headers={"Set-Cookie": "sid=1"}))
    session = session_for(server)
    session.get("/a")
    with pickle.loads(pickle.dumps(session)) as travelled:
        travelled.cookies.set("mine", "2")
        for _ in range(2):
            travelled.get("/a")
    assert [request.header("Cookie") for request in server.requests] == [None, *["mine=2"] * 2]


def _assign(name: str, value: Any) -> Callable[[AnimusSession], None]:
    return lambda session: setattr(session, name, value)


_SECRETS: dict[str, Callable[[AnimusSession], None]] = {
    "headers['Authorization']": lambda session: session.headers.update({"Authorization": f"Basic {CANARY}"}),
    "headers['X-Api-Key']": lambda session: session.headers.update({"X-Api-Key": CANARY}),
    "headers['Cookie']": lambda session: session.headers.update({"Cookie": CANARY}),
    "headers['X-Who']": lambda session: session.headers.update({"X-Who": f"Bearer {CANARY}"}),
    "cookies['flavour']": lambda session: session.cookies.set("flavour", CANARY) and None,
    "params['api_key']": _assign("params", {"api_key": CANARY}),
    "params['token']": _assign("params", [("a", "1"), ("token", CANARY)]),
    "params['password']": _assign("params", f"a=1&password={CANARY}"),
    "proxies['https']": lambda session: session.proxies.update({"https": f"http://ada:{CANARY}@127.0.0.1:9"}),
    "base_url": _assign("base_url", f"https://ada:{CANARY}@127.0.0.1:9/v3"),
    "auth": _assign("auth", requests.auth.HTTPBasicAuth("ada", CANARY)),
    "pickled: auth": _assign("auth", ("ada", CANARY)),
}


@pytest.mark.parametrize("what", _SECRETS)
def test_a_session_with_a_secret_does_not_travel(session_for: SessionFor, what: str) -> None:
    session = session_for("http://127.0.0.1:9")
    _SECRETS[what](session)
    with pytest.raises(TypeError, match="function of a module") as raised:
        pickle.dumps(session)
    assert what in str(raised.value)
    assert CANARY not in str(raised.value)
    for copied in (copy.copy(session), copy.deepcopy(session)):  # nothing leaves the process
        assert (copied.headers, copied.params, copied.proxies, copied.base_url) == (
            session.headers, session.params, session.proxies, session.base_url
        )  # fmt: skip
        copied.close()


def test_settings_that_are_no_secrets_travel(session_for: SessionFor) -> None:
    session = session_for("http://127.0.0.1:9")
    session.headers.update({"X-Team": "blue", "Accept-Language": "en"})
    session.params = {"trace": "1"}
    session.auth = from_a_vault
    travelled = pickle.loads(pickle.dumps(session))
    assert (travelled.headers, travelled.params, travelled.auth) == (session.headers, session.params, from_a_vault)
    travelled.close()


def test_receivers_do_not_travel(serve: Serve, session_for: SessionFor) -> None:
    session = session_for(serve())
    session.emitter.on("request_start", lambda event: pytest.fail("called"))
    with pickle.loads(pickle.dumps(session)) as travelled:
        assert travelled.get("/a").ok
        assert travelled.emitter.sender is travelled


def test_a_literal_token_does_not_travel(session_for: SessionFor) -> None:
    with pytest.raises(TypeError, match="EnvironmentTokenSource"):
        pickle.dumps(session_for("http://127.0.0.1:9", fixed()))


def _status(session: AnimusSession) -> int:
    with session:
        try:
            call_api(session, "GET", "/missing")
        except NotFoundError as error:
            raise error
        return session.get("/a").status_code


def test_sessions_and_errors_through_a_pool_of_processes(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda request: Answer(404, {"X-Request-Id": "r-1"}, b'{"message": "not here"}'))
    session = session_for(server, TokenManager(CallableTokenSource(give_token)))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(NotFoundError) as raised:
        pool.submit(_status, session).result(timeout=60)
    assert (raised.value.status, raised.value.request_id, raised.value.response) == (404, "r-1", None)
    assert "not here" in str(raised.value)


# ---- fork ------------------------------------------------------------------------------------------------

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def _in_child(work: Callable[[], Any]) -> None:
    """Do ``work`` in a forked child; fail if it fails or hangs there."""
    Child(lambda: work() and None).result()


@needs_fork
def test_a_child_uses_no_socket_of_its_parent(serve: Serve, session_for: SessionFor) -> None:
    server, tokens = serve(), Tokens()
    session = session_for(server, tokens.manager())
    session.get("/before")
    _in_child(lambda: (session.get("/child"), call_api(session, "GET", "/child", stream=True).body_stream().close()))
    session.get("/after")
    assert [(request.path, request.connection) for request in server.requests][:2] == [("/v3/before", 0), ("/v3/child", 1)]
    assert (server.requests[-1].path, server.requests[-1].connection) == ("/v3/after", 0)
    assert {request.header("Authorization") for request in server.requests} == {"Bearer token-1"}


@needs_fork
def test_a_fork_in_the_middle_of_a_stream(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    """The child may close what it inherited, and make calls; the parent's stream goes on."""
    forked = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + chunked(b"data: 1\n\n"))
        if peer.number == 0:
            assert forked.wait(20)
        peer.send(chunked(b"data: 2\n\n") + LAST_CHUNK)
        peer.hold()

    server = serve_raw(script)
    session = session_for(server)
    body = call_api(session, "POST", "/chat/completions", body=b"{}", stream=True).body_stream()
    pieces = iter(body)
    assert next(pieces) == b"data: 1\n\n"

    def in_child() -> None:
        body.close()
        inner = call_api(session, "POST", "/chat/completions", body=b"{}", stream=True, timeouts=Timeouts(idle=5)).body_stream()
        assert b"".join(inner) == b"data: 1\n\ndata: 2\n\n"
        session.close()

    _in_child(in_child)
    forked.set()
    assert list(pieces) == [b"data: 2\n\n"]
    assert server.connections == 2


@needs_fork
def test_a_fork_while_all_threads_are_busy(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    """Some hold connections, one waits for a repetition, the watchdog sleeps: the child inherits all their locks."""
    arrived = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        while True:
            request = peer.request()
            if request.path.endswith("/slow"):
                arrived.release()
                peer.hold()
                return
            peer.answer(Answer(503 if request.path.endswith("/busy") else 200))

    server = serve_raw(script)
    clock = ManualClock(auto_advance=False)
    session = session_for(server, clock=clock)

    def call(path: str) -> None:
        try:
            call_api(session, "GET", path, timeouts=Timeouts(deadline=30))
        except Exception:  # the session is closed under it
            pass

    threads = [threading.Thread(target=call, args=(path,), daemon=True) for path in ("/slow", "/slow", "/busy")]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert arrived.acquire(timeout=10)
    clock.wait_until_blocked()
    _in_child(lambda: (call_api(session, "GET", "/a", timeouts=Timeouts(deadline=20)), session.close()))
    session.close()
    server.drop_connections()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_a_host_that_forks_past_python_is_found_out(
    serve: Serve, session_for: SessionFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uWSGI forks in C: the first request of the child notices another process id."""
    server = serve()
    session = session_for(server)
    session.get("/parent")
    mine = weakref.WeakSet([session._watchdog, session._budget, *session.adapters.values()])
    monkeypatch.setattr(_fork, "_registered", mine)  # this process goes on being the parent of all else
    monkeypatch.setattr(_fork, "_pid", -1)
    session.get("/child")
    assert [request.connection for request in server.requests] == [0, 1]
    assert _fork._pid == os.getpid()


def test_everything_with_a_lock_is_registered(serve: Serve, session_for: SessionFor) -> None:
    session = session_for(serve(), Tokens().manager())
    call_api(session, "GET", "/a", stream=True).body_stream().close()
    registered = {id(thing) for thing in _fork.registered()}
    parts = [session._watchdog, session._budget, session._pauses, *session.adapters.values(), session._manager, session.emitter]
    assert all(id(part) in registered for part in parts)
    lock = type(threading.Lock())
    gc.collect()
    holders = [
        thing
        for thing in gc.get_objects()
        if str(type(thing).__module__).startswith(("animus.transport", "animus.http"))
        and any(isinstance(value, (lock, threading.Event)) for value in _values_of(thing))
    ]
    not_for_long = {"Guard", "Cancellation", "BodyStream"}  # parts of one call; the watchdog resets its guards
    assert {type(thing).__name__ for thing in holders if id(thing) not in registered} <= not_for_long


def _values_of(thing: Any) -> list[Any]:
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    return [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in slots)]
