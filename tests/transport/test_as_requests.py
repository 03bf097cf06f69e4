"""Case by case, our session does what a plain one does (design: differences (a) to (d) are tested elsewhere)."""

from __future__ import annotations

import datetime
import gzip
import io
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPBasicAuth, HTTPDigestAuth
from urllib3.util import Timeout

from animus.transport.session import AnimusSession
from tests.servers import LAST_CHUNK, Answer, HttpServer, Peer, RawServer, chunked, in_turn, unused_port
from tests.transport.comparison import Act, assert_same, described

pytestmark = pytest.mark.usefixtures("way")

Serve = Callable[..., HttpServer]


def _generated() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


REQUESTS: dict[str, Act] = {
    "get": lambda s, u: s.get(f"{u}/a"),
    "get with a fragment": lambda s, u: s.get(f"{u}/a#part"),
    "get of bytes": lambda s, u: s.get(f"{u}/a".encode()),
    "get of an object": lambda s, u: s.get(type("Url", (), {"__str__": lambda self: f"{u}/a"})()),
    "get with white space before": lambda s, u: s.get(f"  {u}/a"),
    "get with unsafe characters": lambda s, u: s.get(f"{u}/a b/ü?q=ö x"),
    "head": lambda s, u: s.head(f"{u}/a"),
    "options": lambda s, u: s.options(f"{u}/a"),
    "put": lambda s, u: s.put(f"{u}/a", data=b"body"),
    "patch": lambda s, u: s.patch(f"{u}/a", data=b"body"),
    "delete": lambda s, u: s.delete(f"{u}/a"),
    "post of nothing": lambda s, u: s.post(f"{u}/a"),
    "a method of one's own": lambda s, u: s.request("purge", f"{u}/a"),
    "params as mapping": lambda s, u: s.get(f"{u}/a?x=1", params={"y": [2, 3], "z": None}),
    "params as pairs": lambda s, u: s.get(f"{u}/a", params=[("y", "2"), ("y", "3")]),
    "params as bytes": lambda s, u: s.get(f"{u}/a", params=b"y=2"),
    "json": lambda s, u: s.post(f"{u}/a", json={"a": [1, "ü"]}),
    "json that is empty": lambda s, u: s.post(f"{u}/a", json=[]),
    "data as mapping": lambda s, u: s.post(f"{u}/a", data={"a": "1", "b": ["2", "3"]}),
    "data as pairs": lambda s, u: s.post(f"{u}/a", data=[("a", "1"), ("a", "2")]),
    "data as bytes": lambda s, u: s.post(f"{u}/a", data=b"\x00\xff"),
    "data as text": lambda s, u: s.post(f"{u}/a", data="plain"),
    "data as open file": lambda s, u: s.post(f"{u}/a", data=io.BytesIO(b"0123456789")),
    "data as file at a position": lambda s, u: s.post(f"{u}/a", data=_at(io.BytesIO(b"0123456789"), 4)),
    "data as generator": lambda s, u: s.post(f"{u}/a", data=_generated()),
    "headers": lambda s, u: s.get(f"{u}/a", headers={"X-A": "1", "accept": None, "User-Agent": "me"}),
    "headers and params of the session": lambda s, u: (s.headers.update({"X-S": "1"}), s.params.update({"k": "v"}), s.get(f"{u}/a"))[2],
    "cookies as mapping": lambda s, u: s.get(f"{u}/a", cookies={"a": "1"}),
    "cookies as jar": lambda s, u: s.get(f"{u}/a", cookies=requests.cookies.cookiejar_from_dict({"a": "1"})),
    "cookies of the session": lambda s, u: (s.cookies.set("a", "1"), s.get(f"{u}/a", cookies={"b": "2"}))[1],
    "cookies for another domain": lambda s, u: (s.cookies.set("a", "1", domain="elsewhere.test"), s.get(f"{u}/a"))[1],
    "auth as pair": lambda s, u: s.get(f"{u}/a", auth=("user", "pass")),
    "auth as object": lambda s, u: s.get(f"{u}/a", auth=HTTPBasicAuth("user", "pass")),
    "auth as function": lambda s, u: s.get(f"{u}/a", auth=lambda r: (r.headers.update({"X-Signed": "1"}), r)[1]),
    "all by position": lambda s, u: s.request(
        "POST", f"{u}/a", {"p": "1"}, {"d": "2"}, {"X-H": "3"}, {"c": "4"}, None, ("u", "p"), 5.0, True, None, None, False, True, None, None
    ),
    "the first by position": lambda s, u: s.request("POST", f"{u}/a", {"p": "1"}, b"data"),
    "a time-out as number": lambda s, u: s.get(f"{u}/a", timeout=5),
    "a time-out as pair": lambda s, u: s.get(f"{u}/a", timeout=(5, None)),
    "a time-out of None": lambda s, u: s.get(f"{u}/a", timeout=None),
    "a time-out of urllib3": lambda s, u: s.get(f"{u}/a", timeout=Timeout(connect=5, read=5)),
    "a prepared request": lambda s, u: s.send(s.prepare_request(requests.Request("POST", f"{u}/a", json={"a": 1}))),
    "a request prepared elsewhere": lambda s, u: s.send(requests.Request("GET", f"{u}/a", headers={"X-A": "1"}).prepare()),
    "after close": lambda s, u: (s.get(f"{u}/a"), s.close(), s.get(f"{u}/b")),
    "keep-alive": lambda s, u: [s.get(f"{u}/{n}") for n in range(3)],
}


def _at(file: io.BytesIO, position: int) -> io.BytesIO:
    file.seek(position)
    return file


@pytest.mark.parametrize("act", REQUESTS.values(), ids=REQUESTS.keys())
def test_requests_look_the_same(serve: Serve, act: Act) -> None:
    assert_same(serve(), act)


def test_files_look_the_same(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("urllib3.filepost.choose_boundary", lambda: "boundary")
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG")

    def act(session: requests.Session, url: str) -> Any:
        with path.open("rb") as file:
            return session.post(f"{url}/a", files={"file": file, "other": ("n.txt", "text", "text/plain")}, data={"purpose": "x"})

    assert_same(serve(), act)


def test_an_open_file_is_streamed(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(300_000))

    def act(session: requests.Session, url: str) -> Any:
        with path.open("rb") as file:
            return session.put(f"{url}/a", data=file)

    assert_same(serve(), act)


def test_a_generator_is_sent_as_it_comes(serve_raw: Callable[..., RawServer], session: requests.Session) -> None:
    arrived = threading.Semaphore(0)

    def pieces() -> Iterator[bytes]:
        for _ in range(3):
            yield b"piece"
            assert arrived.acquire(timeout=10)

    def script(peer: Peer) -> None:
        peer.read_until(b"\r\n\r\n")
        for _ in range(3):
            peer.read_until(b"piece\r\n")
            arrived.release()
        peer.read_until(b"0\r\n\r\n")
        peer.answer(Answer())

    assert session.post(serve_raw(script).url, data=pieces()).ok


def test_arguments_are_not_written_to(serve: Serve) -> None:
    from types import MappingProxyType

    server = serve()
    with AnimusSession(f"{server.url}/v3") as session:
        proxies: dict[str, str] = {}
        session.get("a", headers=MappingProxyType({"X-A": "1"}), params=MappingProxyType({"b": "2"}), proxies=proxies)
        request = requests.Request("GET", "a")
        session.prepare_request(request)
    assert proxies == {}
    assert request.url == "a"


# ---- answers ---------------------------------------------------------------------------------------------


ANSWERS: dict[str, Answer | bytes] = {
    "text": Answer(headers={"Content-Type": "text/plain; charset=latin-1"}, body="ü".encode("latin-1")),
    "json": Answer(headers={"Content-Type": "application/json"}, body=b'{"a": 1}'),
    "gzip": Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"packed" * 1000)),
    "deflate": Answer(headers={"Content-Encoding": "deflate"}, body=zlib.compress(b"packed" * 1000)),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"one", b"two") + LAST_CHUNK,
    "chunked and gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(gzip.compress(b"packed" * 1000))
    + LAST_CHUNK,
    "until close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe rest",
    "no content": Answer(204),
    "not modified": Answer(304),
    "error": Answer(404, body=b"no", reason="Nowhere"),
    "with cookies": Answer(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Path=/x")], body=b"x"),
    "broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunked(b"one") + b"ff\r\nshort",
    "too short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort",
    "no gzip": Answer(headers={"Content-Encoding": "gzip"}, body=b"not packed"),
}

READS: dict[str, Callable[[requests.Response], Any]] = {
    "content": lambda r: r.content,
    "text": lambda r: (r.encoding, r.text),
    "iter_content": lambda r: list(r.iter_content(7)),
    "iter_content of text": lambda r: list(r.iter_content(7, decode_unicode=True)),
    "iter_content by name": lambda r: list(r.iter_content(chunk_size=None, decode_unicode=False)),
    "iter_lines": lambda r: list(r.iter_lines()),
    "iteration": lambda r: list(r),
    "raw": lambda r: r.raw.read(),
    "twice": lambda r: (list(r.iter_content(7)), list(r.iter_content(7))),
    "closed": lambda r: (r.close(), r.raw.closed),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_look_the_same(serve: Serve, answer: Answer | bytes, method: str) -> None:
    if method == "HEAD" and isinstance(answer, bytes):
        answer = answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    # a plain POST is as little repeated as by plain requests
    assert_same(serve(lambda request: answer), lambda s, u: s.request(method if method == "HEAD" else "POST", f"{u}/a"))


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
@pytest.mark.parametrize("answer", ["text", "gzip", "chunked", "until close", "too short", "broken chunk"])
def test_streams_look_the_same(serve: Serve, answer: str, read: Callable[[requests.Response], Any]) -> None:
    def act(session: requests.Session, url: str) -> Any:
        with session.get(f"{url}/a", stream=True) as response:
            assert response._content_consumed is False
            return read(response)

    assert_same(serve(lambda request: ANSWERS[answer]), act)


def test_a_stream_of_the_session(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        session.stream = True
        with session.get(f"{url}/a") as response:
            return response._content_consumed, response.raw.read()

    assert assert_same(serve(), act) == [False, b"fine"]


def test_elapsed_ends_with_the_head(serve: Serve, session: requests.Session) -> None:
    response = session.get(serve().url)
    assert isinstance(response.elapsed, datetime.timedelta)
    assert response.elapsed > datetime.timedelta(0)


def test_the_request_of_a_response_is_the_one_that_was_sent(serve: Serve, session: requests.Session) -> None:
    session.hooks["response"].append(lambda response, **kwargs: None)
    prepared = session.prepare_request(requests.Request("GET", serve().url))
    assert session.send(prepared).request is prepared


def test_the_request_of_an_exception_is_the_one_that_was_sent(session: requests.Session) -> None:
    session.hooks["response"].append(lambda response, **kwargs: None)
    prepared = session.prepare_request(requests.Request("POST", f"http://127.0.0.1:{unused_port()}"))
    with pytest.raises(requests.ConnectionError) as raised:
        session.send(prepared, timeout=5)
    assert raised.value.request is prepared


# ---- redirects -------------------------------------------------------------------------------------------


def _redirecting(status: int, **headers: str) -> Callable[[], Callable[[Any], Answer]]:
    def reply(request: Any) -> Answer:
        if request.path == "/a":
            return Answer(status, {"Location": "/b?x=1", **headers}, b"see there")
        if request.path == "/b":
            return Answer(status, {"Location": "c#part"}, b"further")
        return Answer(body=request.method.encode() + request.body)

    return lambda: reply


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_redirects_within_the_origin(serve: Serve, status: int, method: str) -> None:
    outcome = assert_same(
        serve(), lambda s, u: s.request(method, f"{u}/a#here", json={"a": 1}, cookies={"c": "1"}), _redirecting(status)
    )
    assert len(outcome["history"]) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_redirect_that_is_not_followed_has_a_next(serve: Serve, status: int, method: str) -> None:
    def act(session: requests.Session, url: str) -> Any:
        response = session.request(
            method, f"{url}/a", data=b"body", allow_redirects=False, hooks={"response": lambda r, **k: None}, stream=True
        )
        assert response.next is not None
        return response, session.send(response.next)

    assert_same(serve(), act, _redirecting(status))


def test_a_redirect_with_a_file(serve: Serve) -> None:
    assert_same(serve(), lambda s, u: s.post(f"{u}/a", data=io.BytesIO(b"0123456789")), _redirecting(307))


def test_a_redirect_with_a_file_that_cannot_be_rewound(serve: Serve) -> None:
    class Pipe(io.BytesIO):
        def tell(self) -> int:
            raise OSError

    assert assert_same(serve(), lambda s, u: s.post(f"{u}/a", data=Pipe(b"0123456789")), _redirecting(307))[0] is (
        requests.exceptions.UnrewindableBodyError
    )


def test_redirects_of_a_stream(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        with session.get(f"{url}/a", stream=True) as response:
            return [r.content for r in response.history], response.raw.read()

    assert assert_same(serve(), act, _redirecting(302))[1] == b"GET"


def test_a_cookie_set_on_the_way_goes_on(serve: Serve) -> None:
    server = serve()
    assert_same(server, lambda s, u: s.get(f"{u}/a"), _redirecting(302, **{"Set-Cookie": "sid=1"}))
    assert server.requests[-1].header("Cookie") == "sid=1"


def test_too_many_redirects(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        session.max_redirects = 3
        return session.get(f"{url}/a")

    assert assert_same(serve(lambda request: Answer(302, {"Location": "/a"})), act)[0] is requests.TooManyRedirects


@pytest.mark.parametrize("location", ["", "http://[", "ftp://127.0.0.1/x", "mailto:x"])
def test_redirects_to_nowhere(serve: Serve, location: str) -> None:
    assert_same(serve(lambda request: Answer(302, {"Location": location})), lambda s, u: s.get(f"{u}/a"))


# ---- hooks -----------------------------------------------------------------------------------------------


def test_hooks_see_every_final_answer(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        seen: list[Any] = []
        session.hooks["response"].append(lambda r, **k: seen.append(("session", r.status_code, r.url, sorted(k))))
        session.get(f"{url}/a", hooks={"response": [lambda r, **k: seen.append(("call", r.status_code, r.url, sorted(k)))]})
        session.get(f"{url}/a")
        return seen

    assert len(assert_same(serve(), act, _redirecting(302))) == 6


def test_a_hook_can_replace_the_answer(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        def other(response: requests.Response, **kwargs: Any) -> requests.Response:
            replaced = requests.Response()
            replaced.status_code, replaced._content, replaced.url = 299, b"replaced", response.url
            replaced.request = response.request
            return replaced

        return session.get(f"{url}/a", hooks={"response": other})

    assert assert_same(serve(), act)["content"] == b"replaced"


def test_a_hook_can_make_requests(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        def look(response: requests.Response, **kwargs: Any) -> None:
            if response.request.path_url != "/inner":
                inner.append(session.get(f"{url}/inner", timeout=7))

        inner: list[requests.Response] = []
        return session.post(f"{url}/a", json={}, hooks={"response": look}), inner

    assert_same(serve(), act)


def test_an_auth_can_make_requests(serve: Serve) -> None:
    def act(session: requests.Session, url: str) -> Any:
        def fetch(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["X-Key"] = session.get(f"{url}/key").text
            return request

        return session.post(f"{url}/a", json={}, auth=fetch)

    assert_same(serve(), act)


def test_a_hook_that_raises(serve: Serve) -> None:
    def fail(response: requests.Response, **kwargs: Any) -> None:
        response.raise_for_status()

    outcome = assert_same(serve(lambda request: Answer(404)), lambda s, u: s.get(f"{u}/a", hooks={"response": fail}))
    assert outcome[0] is requests.HTTPError


def test_digest_auth(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("requests.auth.HTTPDigestAuth.build_digest_header", lambda self, method, url: f"Digest {method} {url}")

    def reply(request: Any) -> Answer:
        if request.header("Authorization") is None:
            return Answer(401, {"WWW-Authenticate": 'Digest realm="r", nonce="n"', "Set-Cookie": "n=1"}, b"who?")
        return Answer(body=b"you")

    outcome = assert_same(serve(reply), lambda s, u: s.post(f"{u}/a", data=b"body", auth=HTTPDigestAuth("u", "p")))
    assert outcome["content"] == b"you"
    assert len(outcome["history"]) == 1


# ---- adapters --------------------------------------------------------------------------------------------


class Canned(BaseAdapter):
    """An adapter that needs no network."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.text = text
        self.closed = 0
        self.sent: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        self.sent.append((request, kwargs))
        response = requests.Response()
        response.status_code, response.url, response.request, response._content = 200, request.url or "", request, self.text
        return response

    def close(self) -> None:
        self.closed += 1


def test_adapters_are_found_by_the_longest_prefix(session: requests.Session) -> None:
    short, long = Canned(b"short"), Canned(b"long")
    session.mount("http://api.example.test", short)
    session.mount("http://api.example.test/v3/special", long)
    assert session.get("http://api.example.test/v3/other").content == b"short"
    assert session.get("http://api.example.test/v3/special/1").content == b"long"
    assert session.get_adapter("HTTP://API.EXAMPLE.TEST/v3/special/1") is long
    request, kwargs = short.sent[0]
    assert request.url == "http://api.example.test/v3/other"
    assert set(kwargs) == {"stream", "timeout", "verify", "cert", "proxies"}
    session.close()
    assert (short.closed, long.closed) == (1, 1)


def test_a_scheme_of_ones_own(session: requests.Session) -> None:
    session.mount("local+x://", Canned(b"local"))
    assert session.get("local+x://something/a").content == b"local"


def test_an_adapter_of_requests_can_be_mounted(serve: Serve, session: requests.Session) -> None:
    server = serve()
    session.mount(server.url, HTTPAdapter(pool_maxsize=1))
    assert session.get(f"{server.url}/a").content == b"fine"


# ---- exceptions ------------------------------------------------------------------------------------------


FAILURES: dict[str, tuple[str, type[Exception], dict[str, Any]]] = {
    "nobody there": (f"http://127.0.0.1:{unused_port()}/", requests.ConnectionError, {}),
    "no such host": ("http://nowhere.invalid/", requests.ConnectionError, {}),
    "no host": ("http:///a", requests.exceptions.InvalidURL, {}),
    "no adapter": ("ftp://127.0.0.1/", requests.exceptions.InvalidSchema, {}),
    "a bad port": ("http://127.0.0.1:x/", requests.exceptions.InvalidURL, {}),
    "a bad header": ("http://127.0.0.1/", requests.exceptions.InvalidHeader, {"headers": {"A": "b\nc"}}),
    "a bad time-out": (f"http://127.0.0.1:{unused_port()}/", ValueError, {"timeout": (1, 2, 3)}),
    "no JSON": ("http://127.0.0.1/", requests.exceptions.InvalidJSONError, {"json": float("nan")}),
    "a bad proxy": ("http://api.example.test/", requests.exceptions.InvalidProxyURL, {"proxies": {"http": "http:/x"}}),
}


@pytest.mark.parametrize(("url", "expected", "options"), FAILURES.values(), ids=FAILURES.keys())
def test_failures(session: requests.Session, url: str, expected: type[Exception], options: dict[str, Any]) -> None:
    with pytest.raises(expected) as raised:
        session.post(url, **{"timeout": 5, **options})
    assert type(raised.value) is expected


def test_the_schema_of_a_full_url_is_needed(serve: Serve) -> None:
    """A text without schema is relative with us, so only what looks like a full URL can lack a right one."""
    with AnimusSession(serve().url) as session, pytest.raises(requests.exceptions.InvalidSchema):
        session.get("localhost+x://a")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", requests.ConnectionError),
        (b"HTTP/1.1 two hundred\r\n\r\n", requests.ConnectionError),
        (b"no HTTP at all\r\n\r\n", requests.ConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", requests.exceptions.ChunkedEncodingError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsh", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_broken_answers(serve_raw: Callable[..., RawServer], session: requests.Session, raw: bytes, expected: type[Exception]) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(raw)))
    with pytest.raises(expected) as raised:
        session.post(server.url)
    assert type(raised.value) is expected
    assert server.connections == 1


def test_read_time_outs(serve_raw: Callable[..., RawServer], session: requests.Session) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.hold()))
    with pytest.raises(requests.ReadTimeout):
        session.post(server.url, timeout=(5, 0.05))


def test_read_time_outs_in_a_body(serve_raw: Callable[..., RawServer], session: requests.Session) -> None:
    server = serve_raw(lambda peer: (peer.request(), peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"), peer.hold()))
    with pytest.raises(requests.ConnectionError):
        session.post(server.url, timeout=(5, 0.05))


def test_connect_time_outs(session: requests.Session, full_backlog: str) -> None:
    with pytest.raises(requests.ConnectTimeout):
        session.post(full_backlog, timeout=(0.05, 5))


# ---- cookies: difference (d) -----------------------------------------------------------------------------


def test_cookies_of_the_server_are_not_kept(serve: Serve, session: requests.Session) -> None:
    server = serve(lambda request: Answer(headers={"Set-Cookie": "sid=1"}))
    response = session.get(server.url)
    assert response.cookies["sid"] == "1"
    session.get(server.url)
    kept = None if isinstance(session, AnimusSession) else "sid=1"
    assert server.requests[-1].header("Cookie") == kept
    assert session.cookies.get("sid") == (kept and "1")


def test_a_jar_of_the_callers_own_keeps_them(serve: Serve, session: requests.Session) -> None:
    server = serve(lambda request: Answer(headers={"Set-Cookie": "sid=1"}))
    session.cookies = requests.cookies.RequestsCookieJar()
    session.get(server.url)
    session.get(server.url)
    assert server.requests[-1].header("Cookie") == "sid=1"


# ---- relative URLs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("/chat/completions", "/v3/chat/completions"),
        ("chat/completions", "/v3/chat/completions"),
        ("chat?next=http://x.test/", "/v3/chat?next=http://x.test/"),
        ("images/http://x.test/", "/v3/images/http://x.test/"),
        ("//chat", "/v3/chat"),
        ("", "/v3"),
        (b"/chat", "/v3/chat"),
    ],
)
def test_relative_urls_are_joined_to_the_base(serve: Serve, given: Any, target: str) -> None:
    server = serve()
    with AnimusSession(f"{server.url}/v3/") as session:
        session.get(given)
        assert server.requests[0].target == target
        session.send(session.prepare_request(requests.Request("GET", given)))
        assert server.requests[1].target == target


def test_default_time_outs_are_the_clients() -> None:
    adapter = Canned(b"")
    with AnimusSession("http://api.example.test/v3") as session:
        session.mount("http://", adapter)
        session.get("a")
        session.get("a", timeout=None)
        session.get("a", params=None, timeout=3)
        session.request("GET", "a", None, None, None, None, None, None, 4)
        session.send(session.prepare_request(requests.Request("GET", "a")))
    assert [kwargs["timeout"] for _, kwargs in adapter.sent] == [(10.0, 120.0), None, 3, 4, (10.0, 120.0)]


def test_it_is_a_context_manager() -> None:
    adapter = Canned(b"")
    with AnimusSession("http://api.example.test/v3") as session:
        session.mount("http://", adapter)
    assert adapter.closed == 1


def test_a_request_that_was_not_prepared_is_refused(session: requests.Session) -> None:
    with pytest.raises(ValueError, match="PreparedRequest"):
        session.send(requests.Request("GET", "http://127.0.0.1/"))  # type: ignore[arg-type]


def test_descriptions_tell_differences(serve: Serve) -> None:
    """The comparison itself: an answer with another body is another answer."""
    server = serve(in_turn(Answer(body=b"1"), Answer(body=b"2")))
    assert described(requests.get(server.url)) != described(requests.get(server.url))


def test_the_long_way_makes_what_requests_makes(serve: Serve, request: pytest.FixtureRequest) -> None:
    """Else the tests here would all go the same way."""
    with AnimusSession("http://api.example.test/v3") as session:
        made = type(session.get(serve().url))
    assert (made is requests.Response) == (request.node.callspec.params["way"] == "long")
