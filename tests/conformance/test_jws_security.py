"""What must never happen, case by case: the cases come from a file, and one that nobody handles fails."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import gzip
import json
import logging
import pickle
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from animus import (
    AnimusClient,
    AnimusError,
    ApiConnectionError,
    ApiError,
    ConfigurationError,
    RateLimitError,
    StreamApiError,
    StreamError,
    TokenSourceError,
    UnauthorizedError,
    UrlTokenSource,
)
from animus.testing import ManualClock
from tests.authority import Authority
from tests.conformance.served_vectors import FOLDER
from tests.servers import CHUNKED_HEAD, Answer, HttpServer, Peer, RawServer, Received, chunked, in_turn, unused_port
from tests.tokens.minting import mint
from tests.wired import CHAT

_FILE = json.loads(gzip.decompress((FOLDER / "jws_security.json.gz").read_bytes()))
TOKEN: str = _FILE["token"]
CASES: dict[str, dict[str, Any]] = {case["name"]: case for case in _FILE["cases"]}
NOW = 1795600000.0  # the token of the file ends 15 minutes later

COMPLETION = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}  # fmt: skip
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}
API = "https://api.animus.test/v3"


def said(data: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, {"Content-Type": "application/json", **named}, json.dumps(data).encode())


def frame(data: Any) -> bytes:
    return chunked(f"data: {json.dumps(data)}\n\n".encode())


FINE = said(COMPLETION)


def answering(answer: Answer) -> Callable[[Received], Answer]:
    return lambda request: answer


@dataclass
class World:
    """What a case is played with."""

    case: dict[str, Any]
    serve: Callable[..., HttpServer]
    serve_raw: Callable[..., RawServer]
    name_hosts: Callable[[dict[tuple[str, int], int]], None]
    authority: Authority
    closing: contextlib.ExitStack
    monkeypatch: pytest.MonkeyPatch
    folder: Path
    log: pytest.LogCaptureFixture

    def client(self, source: Any, api: RawServer | str, **options: Any) -> AnimusClient:
        """Give a client whose time is that of the file; it repeats nothing unless told so."""
        options = {"retry": 0, "clock": ManualClock(NOW), "chat": CHAT, **options}
        url = api if isinstance(api, str) else f"{api.url}/v3"
        return self.closing.enter_context(AnimusClient(source, api_base_url=url, **options))

    def provider(self, *answers: Answer) -> HttpServer:
        """Give a token provider that answers in turn; by default always the token of the file."""
        return self.serve(in_turn(*(answers or (said({"accessToken": TOKEN}),))))

    def trusting(self) -> requests.Session:
        session = self.closing.enter_context(requests.Session())
        session.verify = self.authority.bundle
        return session

    def failing(self, call: Callable[[], Any], kind: type[Exception] = AnimusError) -> Exception:
        """Give what ``call`` raises, after looking that it shows nothing."""
        with pytest.raises(kind) as caught:
            call()
        assert_hidden(text_of(caught.value))
        return caught.value


def ask(client: AnimusClient, **options: Any) -> Any:
    return client.chat.completions(messages=[{"role": "user", "content": "Hello, my secret prompt"}], **options)


def bearers(server: HttpServer) -> list[str | None]:
    return [request.header("Authorization") for request in server.requests]


def assert_hidden(text: str) -> None:
    """Nothing of the file's token: not the whole, and no 12 characters of its signature."""
    signature = TOKEN.rpartition(".")[2]
    for secret in (TOKEN, *(signature[start : start + 12] for start in range(len(signature) - 11))):
        assert secret not in text


def text_of(error: BaseException) -> str:
    """Give all the text that an exception leads to: its chain with traceback, its attributes, requests and responses."""
    found = [*traceback.format_exception(error), repr(error)]
    link: BaseException | None
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        waiting += [link.__cause__, link.__context__, *(arg for arg in link.args if isinstance(arg, BaseException))]
        found += [str(link), repr(link), repr(vars(link))]
        response = getattr(link, "response", None)
        for request in (getattr(link, "request", None), getattr(response, "request", None)):
            if request is not None:
                found += [f"{name}: {value}" for name, value in request.headers.items()]
        if response is not None:
            found += [str(dict(response.headers)), response.text]
    return "\n".join(found)


# ---- redirects -----------------------------------------------------------------------------------------


def redirected(world: World) -> None:
    """All cases with a redirect: what the file says about the second request."""
    rules = world.case["redirect"]
    tls = world.authority.server_context()
    api = world.serve(tls=tls)
    places = [("api.animus.test", 8443), ("other.test", 443), ("evil.api.animus.test", 443), ("api.animus.test", 80), ("other.test", 80)]
    elsewhere = {(host, port): world.serve(tls=None if port == 80 else tls) for host, port in places}
    world.name_hosts({("api.animus.test", 443): api.port, **{place: server.port for place, server in elsewhere.items()}})
    first = urlsplit(rules["from"]).path

    def reply(request: Received) -> Answer:
        return Answer(rules["status"], {"Location": rules["to"]}) if request.path == first else FINE

    for server in (api, *elsewhere.values()):
        server.reply = reply
    for headers in ({}, {"X-Api-Key": "key-canary"}):
        session = world.trusting()
        session.headers.update(headers)
        client = world.client(lambda: TOKEN, API, session=session)
        with contextlib.suppress(AnimusError):  # refused with a typed error, or followed
            ask(client)
    behind = [request for server in (api, *elsewhere.values()) for request in server.requests if request.path != first or server is not api]
    assert bearers(api)[0] == f"Bearer {TOKEN}"
    assert len(api.requests) <= 2 * 31, "the number of hops is bounded"
    for request in behind:
        if rules["authorization"] == "never":
            assert request.header("Authorization") is None
            assert request.header("X-Api-Key") is None
        else:
            assert request.header("Authorization") in (None, f"Bearer {TOKEN}")
        if rules["body"] == "never":
            assert b"secret prompt" not in request.raw
            assert request.header("X-Api-Key") is None


# ---- text ----------------------------------------------------------------------------------------------


def log_token_in_provider_url(world: World) -> None:
    fine, broken = world.provider(), world.serve(answering(Answer(500, body=TOKEN.encode())))
    silent = world.serve_raw(lambda peer: peer.hold())
    api = world.serve(answering(FINE))
    ask(world.client(UrlTokenSource(f"{fine.url}/token?key={TOKEN}", clock=ManualClock(NOW)), api))
    assert fine.requests[0].target == f"/token?key={TOKEN}"
    for url in (broken.url, f"http://127.0.0.1:{unused_port()}", silent.url):
        source = UrlTokenSource(f"{url}/token?key={TOKEN}", timeout=0.05, clock=ManualClock(NOW))
        world.failing(lambda source=source: ask(world.client(source, api)), TokenSourceError)  # type: ignore[misc]
        assert_hidden(repr(source) + repr(vars(source)) + source.fingerprint)


def exception_api_error(world: World) -> None:
    echo = {"message": f"bad token {TOKEN}", "detail": TOKEN, "seen": [f"Bearer {TOKEN}"]}
    for status in (401, 403, 500):
        api = world.serve(answering(said(echo, status)))
        for stream in (False, True):
            error = world.failing(lambda api=api, stream=stream: ask(world.client(lambda: TOKEN, api), stream=stream))  # type: ignore[misc]
            assert error.status == status or error.reason == "rejected_token"  # type: ignore[attr-defined]


def exception_token_with_newline(world: World) -> None:
    api = world.serve(answering(FINE))
    trailing = world.provider(said({"accessToken": f"{TOKEN}\n"}))
    ask(world.client(UrlTokenSource(trailing.url, clock=ManualClock(NOW)), api))
    assert bearers(api) == [f"Bearer {TOKEN}"]
    for broken in (f"{TOKEN[:40]}\n{TOKEN[40:]}", f"{TOKEN}\r\nX-Injected: 1", f"{TOKEN}\x00"):
        provider = world.provider(said({"accessToken": broken}))
        error = world.failing(lambda provider=provider: ask(world.client(provider.url, api)), TokenSourceError)  # type: ignore[misc]
        assert error.reason == "bad_jwt"  # type: ignore[attr-defined]
    for broken in (f"{TOKEN} \n x", "opaque\nX-Injected: 1"):  # a function may give any text
        world.failing(lambda broken=broken: ask(world.client(lambda: broken, api)), TokenSourceError)  # type: ignore[misc]
    assert len(api.requests) == 1


def exception_provider_body(world: World) -> None:
    for status in (500, 401, 400, 200):
        provider = world.provider(said({"error": f"no, not {TOKEN}"}, status))
        world.failing(lambda provider=provider: ask(world.client(provider.url, world.serve())), TokenSourceError)  # type: ignore[misc]


def exception_mid_stream(world: World) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + frame(CHUNK) + frame({"error": {"message": f"bad token {TOKEN}"}}))
        peer.hold()

    client = world.client(lambda: TOKEN, world.serve_raw(script))
    world.failing(lambda: list(ask(client, stream=True)), StreamApiError)


def exception_connection_dropped(world: World) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + frame(CHUNK))
        peer.reset()

    client = world.client(lambda: TOKEN, world.serve_raw(script))
    world.failing(lambda: list(ask(client, stream=True)), StreamError)
    gone = world.client(lambda: TOKEN, f"http://127.0.0.1:{unused_port()}/v3")
    world.failing(lambda: ask(gone), ApiConnectionError)


def pickle_and_copy(world: World) -> None:
    api, provider = world.serve(answering(FINE)), world.provider()
    source = UrlTokenSource(provider.url, clock=ManualClock(NOW))
    client = world.client(source, api)
    ask(client)
    assert bearers(api) == [f"Bearer {TOKEN}"]
    twin = world.closing.enter_context(copy.deepcopy(client))
    for thing in (client, client.session, client.token_source, client._manager, client.chat.config):
        assert_hidden(pickle.dumps(thing).decode("latin-1"))
    for thing in (client, twin, source, client._manager):
        assert_hidden(repr(thing) + str(thing) + repr(vars(thing)))
    assert_hidden(json.dumps(dataclasses.asdict(client.chat.config), default=repr))


# ---- environment ---------------------------------------------------------------------------------------


def netrc_for_api_host(world: World) -> None:
    netrc = world.folder / "netrc"
    netrc.write_text("machine api.animus.test login x password y\nmachine 127.0.0.1 login x password y\ndefault login x password y\n")
    world.monkeypatch.setenv("NETRC", str(netrc))
    api = world.serve(answering(FINE), tls=world.authority.server_context())
    provider = world.provider()
    world.name_hosts({("api.animus.test", 443): api.port})
    client = world.client(UrlTokenSource(provider.url, clock=ManualClock(NOW)), API, session=world.trusting())
    ask(client)
    client.session.post("/anything")
    client.session.send(client.session.prepare_request(requests.Request("GET", f"{API}/anything")))
    assert bearers(api) == [f"Bearer {TOKEN}"] * 3
    assert bearers(provider) == [None]


def proxy_env_http_api(world: World) -> None:
    proxy, api = world.serve(), world.serve(answering(FINE))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        world.monkeypatch.setenv(name, proxy.url)
    provider = world.provider()
    ask(world.client(UrlTokenSource(provider.url, clock=ManualClock(NOW)), api))
    assert (proxy.requests, bearers(api), len(provider.requests)) == ([], [f"Bearer {TOKEN}"], 1)


def proxy_env_https_connect(world: World) -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        seen.append(peer.read_until(b"\r\n\r\n"))
        peer.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        peer.start_tls(world.authority.server_context())
        request = peer.request()
        assert request.header("Authorization") == f"Bearer {TOKEN}"
        assert request.header("Proxy-Authorization") is None
        peer.answer(FINE)

    proxy = world.serve_raw(script)
    world.monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:password@"))
    session = world.trusting()
    session.cookies.set("sid", "cookie-canary")
    ask(world.client(lambda: TOKEN, API, session=session))
    [connect] = seen
    lines = connect.decode().split("\r\n")
    assert lines[0].startswith("CONNECT api.animus.test:443 ")
    assert not [line for line in lines if line.lower().startswith(("authorization", "cookie"))]
    assert "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==" in lines
    for secret in (TOKEN, "cookie-canary", "/v3", "prompt"):
        assert secret.encode() not in connect


def plain_http_base_url(world: World) -> None:
    server = world.serve(answering(FINE))
    world.name_hosts({("api.animus.test", 80): server.port})
    for settings in ({"api_base_url": "http://api.animus.test/v3"}, {"api_base_url": API, "rest_base_url": "http://api.animus.test/v2"}):
        with pytest.raises(ConfigurationError, match="allow_insecure_http=True"):
            AnimusClient(lambda: TOKEN, **settings)
    assert server.requests == []
    ask(world.client(lambda: TOKEN, "http://api.animus.test/v3", allow_insecure_http=True))
    assert len(server.requests) == 1


# ---- cookies -------------------------------------------------------------------------------------------


def api_cookie_not_to_provider(world: World) -> None:
    cookie = {"Set_Cookie": "sid=1; Path=/"}
    api = world.serve(in_turn(said({}, 401, **cookie), said(COMPLETION, **cookie)))
    provider = world.provider(said({"accessToken": TOKEN}), said({"accessToken": mint(NOW + 900, sub="second")}))
    client = world.client(UrlTokenSource(f"{provider.url}/token", clock=ManualClock(NOW)), api)
    ask(client)
    client.clear_auth_token()
    ask(client)
    assert len(provider.requests) == 3
    assert [request.header("Cookie") for request in provider.requests] == [None] * 3


def provider_cookie_not_to_api(world: World) -> None:
    cookies = {"Set_Cookie": "session=secret; Domain=example.test; Path=/"}
    provider, api = world.provider(said({"accessToken": TOKEN}, **cookies)), world.serve(answering(FINE))
    world.name_hosts({("auth.example.test", 80): provider.port, ("api.example.test", 80): api.port})
    source = UrlTokenSource("http://auth.example.test/token", allow_insecure_http=True, clock=ManualClock(NOW))
    client = world.client(source, "http://api.example.test/v3", allow_insecure_http=True)
    ask(client)
    client.clear_auth_token()
    ask(client)
    assert [request.header("Cookie") for request in (*api.requests, *provider.requests)] == [None] * 4


# ---- the use of tokens ---------------------------------------------------------------------------------


def livekit_token_not_to_api(world: World) -> None:
    room, api = world.serve(), world.serve(answering(FINE))
    voice = mint(NOW + 900, sub="voice")
    answer = {"animus": {"token": TOKEN}, "livekit": {"voice": {"token": voice, "url": room.url}}}
    client = world.client(UrlTokenSource(world.provider(said(answer)).url, clock=ManualClock(NOW)), api)
    ask(client)
    assert client.get_livekit_details("voice").token == voice
    list(ask(client, stream=True))
    client.session.get("/models")
    client.session.get(f"{room.url}/rtc")
    assert {request.header("Authorization") for request in api.requests} == {f"Bearer {TOKEN}"}
    assert voice.encode() not in b"".join(request.raw for request in api.requests)
    assert [(request.header("Authorization"), TOKEN.encode() in request.raw) for request in room.requests] == [(None, False)]


def refresh_at_most_once_per_401(world: World) -> None:
    api = world.serve(answering(said({"detail": "no"}, 401)))
    provider = world.provider(*(said({"accessToken": mint(NOW + 900, sub=f"token {number}")}) for number in range(9)))
    client = world.client(UrlTokenSource(provider.url, clock=ManualClock(NOW)), api, retry=2)
    world.failing(lambda: ask(client), UnauthorizedError)
    assert (len(provider.requests), len(api.requests)) == (2, 2)


def refresh_single_flight(world: World) -> None:
    clock = ManualClock(NOW, auto_advance=False)
    old, new = mint(NOW + 100, sub="old"), mint(NOW + 9000, sub="new")
    provider, api = world.provider(said({"accessToken": old}), said({"accessToken": new})), world.serve(answering(FINE))
    client = world.client(UrlTokenSource(provider.url, clock=clock), api, clock=clock)
    ask(client)
    clock.advance(200)
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def call() -> None:
        try:
            barrier.wait(20)
            client.session.post("/chat/completions", json={})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=call, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(provider.requests) == 2
    assert bearers(api) == [f"Bearer {old}"] + [f"Bearer {new}"] * 8


def retry_does_not_repeat_a_delivered_chat(world: World) -> None:
    requests_seen: list[Received] = []

    def script(peer: Peer) -> None:
        requests_seen.append(peer.request())
        peer.send(CHUNKED_HEAD + frame(CHUNK))

    client = world.client(lambda: TOKEN, world.serve_raw(script), retry={"repeats": 5, "repeat_unanswered": True})
    stream = ask(client, stream=True)
    assert next(iter(stream)).choices[0].delta.content == "Hel"
    world.failing(lambda: list(stream), StreamError)
    assert len(requests_seen) == 1


def retry_after_unbounded(world: World) -> None:
    clock = ManualClock(NOW)
    api = world.serve(answering(said({"detail": "slowly"}, 429, Retry_After="1795600060")))
    error = world.failing(lambda: ask(world.client(lambda: TOKEN, api, clock=clock, retry=5)), RateLimitError)
    assert isinstance(error, ApiError)
    assert error.retry_after == 1795600060
    assert len(api.requests) == 1
    assert all(wait is None or wait <= 60 for wait in clock.waits)


BY_TOPIC = {"redirect": redirected}
BY_NAME: dict[str, Callable[[World], None]] = {
    handler.__name__.replace("_", "-"): handler
    for handler in (
        log_token_in_provider_url,
        exception_api_error,
        exception_token_with_newline,
        exception_provider_body,
        exception_mid_stream,
        exception_connection_dropped,
        pickle_and_copy,
        netrc_for_api_host,
        proxy_env_http_api,
        proxy_env_https_connect,
        plain_http_base_url,
        api_cookie_not_to_provider,
        provider_cookie_not_to_api,
        livekit_token_not_to_api,
        refresh_at_most_once_per_401,
        refresh_single_flight,
        retry_does_not_repeat_a_delivered_chat,
        retry_after_unbounded,
    )
}


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    serve: Callable[..., HttpServer],
    serve_raw: Callable[..., RawServer],
    name_hosts: Any,
    authority: Authority,
    closing: contextlib.ExitStack,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[World]:
    caplog.set_level(logging.DEBUG)
    case = CASES[request.node.callspec.params["name"]]
    yield World(case, serve, serve_raw, name_hosts, authority, closing, monkeypatch, tmp_path, caplog)
    assert_hidden(caplog.text + repr([record.args for record in caplog.records]))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, world: World) -> None:
    handler = BY_NAME.get(name) or BY_TOPIC.get(world.case["topic"])
    assert handler is not None, f"nobody handles the case {name}: {world.case}"
    handler(world)


def test_every_handler_has_its_case() -> None:
    assert set(BY_NAME) <= set(CASES)
    assert set(BY_TOPIC) <= {case["topic"] for case in CASES.values()}
