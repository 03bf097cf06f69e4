"""Streamed bodies: prompt, within their limits, closable from any thread, and tidy with connections."""

from __future__ import annotations

import gzip
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from animus.errors import StreamInterruptedError, StreamTimeoutError
from animus.http.body import BodyStream
from animus.http.timeouts import Timeouts
from animus.transport.api import call_api
from animus.transport.call import Cancellation
from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import CHUNKED_HEAD, LAST_CHUNK, UNTIL_CLOSE_HEAD, Peer, RawServer, Script, chunked

ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]

EVENTS = (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n")
LENGTH_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(b"".join(EVENTS))
FRAMINGS: dict[str, tuple[bytes, Callable[[bytes], bytes], bytes]] = {
    "chunked": (CHUNKED_HEAD, lambda event: chunked(event), LAST_CHUNK),
    "length": (LENGTH_HEAD, lambda event: event, b""),
    "until close": (UNTIL_CLOSE_HEAD, lambda event: event, b""),
}
LAZY = Timeouts(first_event=None, idle=None)


def _open(session: AnimusSession, timeouts: Timeouts | None = None, **options: Any) -> BodyStream:
    return call_api(session, "POST", "/chat/completions", body=b"{}", stream=True, timeouts=timeouts, **options).body_stream()


def _sending(*parts: bytes, then: Callable[[Peer], Any] = lambda peer: None) -> Script:
    def script(peer: Peer) -> None:
        peer.request()
        for part in parts:
            peer.send(part)
        then(peer)

    return script


class Reader(threading.Thread):
    """Reads a body in a thread; ``started`` is set after the first piece."""

    def __init__(self, body: BodyStream) -> None:
        super().__init__(daemon=True)
        self.body = body
        self.pieces: list[bytes] = []
        self.error: BaseException | None = None
        self.started = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            for piece in self.body:
                self.pieces.append(piece)
                self.started.set()
        except BaseException as error:
            self.error = error

    def over(self) -> None:
        self.join(10)
        assert not self.is_alive()


# ---- promptness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("timeouts", [Timeouts(), LAZY], ids=["limits", "no limits"])
def test_events_come_as_they_are_sent(serve_raw: ServeRaw, session_for: SessionFor, framing: str, timeouts: Timeouts) -> None:
    """The server sends an event only when the one before was seen."""
    head, frame, end = FRAMINGS[framing]
    seen = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head)
        for event in EVENTS:
            peer.send(frame(event))
            assert seen.acquire(timeout=10)
        peer.send(end)

    got = []
    for piece in _open(session_for(serve_raw(script)), timeouts):
        got.append(piece)
        seen.release()
    assert tuple(got) == EVENTS


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_packed_events_come_as_they_are_sent(serve_raw: ServeRaw, session_for: SessionFor, framing: str) -> None:
    import zlib

    packer = zlib.compressobj(wbits=31)
    parts = [packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH) for event in EVENTS]
    end = packer.flush()
    seen = threading.Semaphore(0)
    size = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Content-Length: %d" % len(b"".join((*parts, end)))

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n%s\r\n\r\n" % size)
        for part in parts:
            peer.send(chunked(part) if framing == "chunked" else part)
            assert seen.acquire(timeout=10)
        peer.send(chunked(end) + LAST_CHUNK if framing == "chunked" else end)

    got = []
    for piece in _open(session_for(serve_raw(script))):
        got.append(piece)
        seen.release()
    assert b"".join(got) == b"".join(EVENTS)


def test_a_large_body_is_whole(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    body = bytes(range(256)) * 4096
    packed = gzip.compress(body)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert b"".join(_open(session_for(serve_raw(_sending(head, packed))))) == body


# ---- closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("timeouts", [Timeouts(), LAZY], ids=["limits", "no limits"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_closing_ends_a_blocked_read_quietly(
    serve_raw: ServeRaw, session_for: SessionFor, authority: Authority, framing: str, timeouts: Timeouts, tls: bool
) -> None:
    head, frame, _ = FRAMINGS[framing]
    server = serve_raw(_sending(head, frame(EVENTS[0]), then=Peer.hold), tls=authority.server_context() if tls else None)
    session = session_for(server)
    session.verify = authority.bundle
    reader = Reader(_open(session, timeouts))
    assert reader.started.wait(10)
    reader.body.close()
    reader.over()
    assert reader.error is None
    assert reader.pieces == [EVENTS[0]]
    reader.body.close()


def test_closing_ends_a_read_through_an_adapter_of_somebody_else(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    session = session_for(serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0]), then=Peer.hold)))
    session.mount("http://", requests.adapters.HTTPAdapter())
    reader = Reader(_open(session))
    assert reader.started.wait(10)
    reader.body.close()
    reader.over()
    assert reader.error is None


def test_closing_between_pieces_ends_the_loop(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    body = _open(session_for(serve_raw(_sending(CHUNKED_HEAD, *map(chunked, EVENTS), LAST_CHUNK))))
    got = []
    for piece in body:
        got.append(piece)
        body.close()
    assert len(got) == 1
    assert b"".join(EVENTS).startswith(got[0])
    body.finish()
    body.event_arrived()


def test_closing_tells_the_server(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    gone = threading.Event()
    server = serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0]), then=lambda peer: (peer.hold(), gone.set())))
    body = _open(session_for(server))
    assert next(iter(body)) == EVENTS[0]
    body.close()
    assert gone.wait(10)


def test_cancelling_the_call_ends_its_body(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    cancellation = Cancellation()
    server = serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0]), then=Peer.hold))
    reader = Reader(_open(session_for(server), cancellation=cancellation))
    assert reader.started.wait(10)
    cancellation.cancel()
    reader.over()


# ---- limits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("timeouts", "limit"),
    [
        (Timeouts(first_event=0.1), "first_event"),
        (Timeouts(first_event=30, deadline=0.1), "deadline"),
        (Timeouts(first_event=None, deadline=0.1), "deadline"),
        (Timeouts(first_event=None, read=0.1), "read"),
    ],
)
def test_a_body_without_events(
    serve_raw: ServeRaw, session_for: SessionFor, framing: str, timeouts: Timeouts, limit: str
) -> None:
    session = session_for(serve_raw(_sending(FRAMINGS[framing][0], then=Peer.hold)))
    with pytest.raises(StreamTimeoutError) as raised:
        list(_open(session, timeouts))
    assert (raised.value.limit, raised.value.sent) == (limit, True)
    assert f"Timeouts({limit}=" in str(raised.value)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("timeouts", "limit"),
    [
        (Timeouts(first_event=None, idle=0.1), "idle"),
        (Timeouts(first_event=30, idle=0.1), "idle"),
        (Timeouts(idle=30, deadline=0.1), "deadline"),
        (Timeouts(idle=None, deadline=0.1), "deadline"),
    ],
)
def test_a_body_that_falls_silent(serve_raw: ServeRaw, session_for: SessionFor, framing: str, timeouts: Timeouts, limit: str) -> None:
    head, frame, _ = FRAMINGS[framing]
    body = _open(session_for(serve_raw(_sending(head, frame(EVENTS[0]), then=Peer.hold))), timeouts)
    got = []
    with pytest.raises(StreamTimeoutError) as raised:
        for piece in body:
            got.append(piece)
            body.event_arrived()
    assert raised.value.limit == limit
    assert got == [EVENTS[0]]


def test_comments_keep_no_stream_alive(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    def heartbeats(peer: Peer) -> None:
        while not peer.is_gone(0.01):
            peer.send(chunked(b": beat\n\n"))

    session = session_for(serve_raw(_sending(CHUNKED_HEAD, then=heartbeats)))
    with pytest.raises(StreamTimeoutError) as raised:
        list(_open(session, Timeouts(first_event=0.1)))
    assert raised.value.limit == "first_event"


def test_events_in_time_are_no_silence(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD)
        for _ in range(10):
            assert not peer.is_gone(0.03)
            peer.send(chunked(EVENTS[0]))
        peer.send(LAST_CHUNK)

    body = _open(session_for(serve_raw(script)), Timeouts(first_event=0.2, idle=0.2))
    count = 0
    for _ in body:
        count += 1
        body.event_arrived()
    assert count == 10


def test_time_that_the_reader_takes_is_not_the_servers(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    worked = threading.Semaphore(0)

    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD)
        for event in EVENTS:
            peer.send(chunked(event))
            assert worked.acquire(timeout=10)
        peer.send(LAST_CHUNK)

    body = _open(session_for(serve_raw(script)), Timeouts(idle=0.02))
    got = []
    for piece in body:
        got.append(piece)
        body.event_arrived()
        threading.Event().wait(0.04)
        worked.release()
    assert tuple(got) == EVENTS


# ---- broken off ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_broken_body_is_an_interruption(serve_raw: ServeRaw, session_for: SessionFor, framing: str, how: str) -> None:
    head, frame, _ = FRAMINGS[framing]
    received = threading.Event()

    def leave(peer: Peer) -> None:
        assert received.wait(10)  # a reset throws away what was not read yet
        if how == "reset":
            peer.reset()

    body = _open(session_for(serve_raw(_sending(head, frame(EVENTS[0]), then=leave))))
    got = []
    with pytest.raises(StreamInterruptedError) as raised:
        for piece in body:
            got.append(piece)
            received.set()
    assert got == [EVENTS[0]]
    assert raised.value.__cause__ is not None


def test_a_body_until_close_that_is_reset_is_an_interruption(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    received = threading.Event()
    script = _sending(UNTIL_CLOSE_HEAD, EVENTS[0], then=lambda peer: (received.wait(10), peer.reset()))
    with pytest.raises(StreamInterruptedError):
        for _ in _open(session_for(serve_raw(script))):
            received.set()


def test_no_gzip_is_an_interruption(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(StreamInterruptedError):
        list(_open(session_for(serve_raw(_sending(head, chunked(b"not packed"))))))


# ---- connections -----------------------------------------------------------------------------------------


def _again(peer: Peer) -> None:
    peer.request()
    peer.send(CHUNKED_HEAD + chunked(EVENTS[2]) + LAST_CHUNK)
    peer.hold()


@pytest.mark.parametrize("timeouts", [Timeouts(), LAZY, Timeouts(deadline=0.3)], ids=["limits", "no limits", "deadline"])
@pytest.mark.parametrize("how", ["read to the end", "finished", "finished with its iterator gone", "not an event read"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_body_at_its_end_gives_the_connection_back(
    serve_raw: ServeRaw, session_for: SessionFor, framing: str, how: str, timeouts: Timeouts
) -> None:
    head, frame, end = FRAMINGS[framing]
    server = serve_raw(_sending(head, *map(frame, EVENTS), end, then=_again))
    session = session_for(server)
    body = _open(session, timeouts)
    if how == "read to the end":
        list(body)
    elif how == "finished":
        pieces = iter(body)
        while b"data: 3" not in next(pieces):
            pass
        body.finish()
        assert next(pieces, None) is None
    elif how == "finished with its iterator gone":
        for piece in body:
            if b"data: 3" in piece:
                break
        body.finish()
    else:
        body.finish()
    body.close()
    body.finish()
    # longer than the first call's limits: none of them may end a connection that serves another one now
    again = _open(session, Timeouts(first_event=None, idle=None))
    assert b"".join(again) == EVENTS[2]
    assert server.connections == 1


def test_a_limit_of_an_earlier_call_does_not_end_a_later_one(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + chunked(EVENTS[0]) + LAST_CHUNK)
        peer.request()
        peer.send(CHUNKED_HEAD)
        for _ in range(15):
            assert not peer.is_gone(0.02)
        peer.send(chunked(EVENTS[1]) + LAST_CHUNK)

    session = session_for(serve_raw(script))
    body = _open(session, Timeouts(first_event=0.2, idle=0.2, deadline=0.2))
    assert next(iter(body)) == EVENTS[0]
    body.finish()
    assert b"".join(_open(session)) == EVENTS[1]


def test_an_end_that_does_not_come_costs_the_connection(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0]), then=Peer.hold), _again)
    session = session_for(server)
    body = _open(session)
    assert next(iter(body)) == EVENTS[0]
    body.finish()
    assert b"".join(_open(session)) == EVENTS[2]
    assert server.connections == 2


def test_finishing_a_broken_body_is_quiet(
    serve_raw: ServeRaw, session_for: SessionFor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = _open(session_for(serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0])))))
    assert next(iter(body)) == EVENTS[0]
    body.finish()
    assert caplog.text == ""


def test_finishing_does_not_read_on_for_ever(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    def endless(peer: Peer) -> None:
        while True:
            peer.send(chunked(b"x" * 60_000))

    body = _open(session_for(serve_raw(_sending(CHUNKED_HEAD, chunked(EVENTS[0]), then=endless))))
    next(iter(body))
    body.finish()


# ---- stand-ins -------------------------------------------------------------------------------------------


def _stand_in(pieces: Iterator[bytes]) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.url = "https://api.example.test/v3?key=secret"

    class Raw:
        def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
            yield from pieces

        def close(self) -> None:
            pass

    response.raw = Raw()
    return response


def test_somebodys_stand_in_is_read_as_requests_does() -> None:
    body = BodyStream(_stand_in(iter(EVENTS)))
    assert list(body) == list(EVENTS)
    body.close()


def test_without_a_guard_finishing_does_not_wait() -> None:
    def endless() -> Iterator[bytes]:
        yield EVENTS[0]
        raise AssertionError("it was read on")

    body = BodyStream(_stand_in(endless()))
    assert next(iter(body)) == EVENTS[0]
    body.finish()


def test_a_bug_in_a_stand_in_is_no_interruption() -> None:
    def broken() -> Iterator[bytes]:
        yield EVENTS[0]
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        list(BodyStream(_stand_in(broken())))


def test_the_url_is_shown_without_its_query() -> None:
    def broken() -> Iterator[bytes]:
        raise requests.ConnectionError("gone")
        yield b""

    with pytest.raises(StreamInterruptedError) as raised:
        list(BodyStream(_stand_in(broken())))
    assert "https://api.example.test/v3 broke off: gone" in str(raised.value)
