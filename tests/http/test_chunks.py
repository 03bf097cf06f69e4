"""The framing of chunked bodies: read as urllib3 reads it, however the bytes are cut."""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from hypothesis import example, given, strategies as st
from urllib3.exceptions import HTTPError, ProtocolError

from animus.errors import StreamInterruptedError
from animus.http.body import BodyStream
from animus.http.chunks import Chunks, arrived_chunks, chunked_source
from animus.http.head import AnswerHead
from animus.transport.api import call_api
from animus.transport.session import AnimusSession
from tests.servers import CHUNKED_HEAD, LAST_CHUNK, Peer, RawServer, chunked

ServeRaw = Callable[..., RawServer]
SessionFor = Callable[..., AnimusSession]

_LINES = st.sampled_from([b"%x\r\n", b"%X\r\n", b"%x;name=value\r\n", b"0%x\r\n", b"%x\n", b"%x \r\n"])
_TRAILERS = st.sampled_from([b"\r\n", b"\n", b"A: b\r\n\r\n", b"A: b\r\nC: d\r\n\r\n"])
_PIECES = st.lists(st.tuples(st.binary(min_size=1, max_size=40), _LINES), max_size=8)
_CHANGES = st.lists(st.tuples(st.integers(0, 400), st.sampled_from([b"", b"\r\n", b"\n", b"0", b"g", b"7"])), max_size=3)
_CUTS = st.lists(st.integers(0, 400))


def _cut(framed: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(framed), *(cut for cut in cuts if cut < len(framed))})
    return [framed[start:end] for start, end in itertools.pairwise(places)]


def _framed(pieces: list[tuple[bytes, bytes]], trailer: bytes) -> bytes:
    return b"".join(line % len(piece) + piece + b"\r\n" for piece, line in pieces) + b"0\r\n" + trailer


@given(_PIECES, _TRAILERS, _CUTS)
def test_any_cut_gives_the_same_body(pieces: list[tuple[bytes, bytes]], trailer: bytes, cuts: list[int]) -> None:
    chunks = Chunks()
    body = b"".join(chunks.take(piece) for piece in _cut(_framed(pieces, trailer), cuts))
    assert body == b"".join(piece for piece, _ in pieces)
    assert (chunks.over, chunks.rest, chunks.broken) == (True, b"", None)


@pytest.mark.parametrize("line", [b"\r\n", b"x\r\n", b"-5\r\n", b"5 5\r\n", b";\r\n", b"z" * 70000])
def test_what_is_no_length_is_refused(line: bytes) -> None:
    chunks = Chunks()
    assert chunks.take(chunked(b"good") + line) == b"good"
    assert chunks.broken is not None
    assert line.startswith(chunks.broken)


@pytest.mark.parametrize("framed", [b"", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n", b"5"])
def test_an_early_end_is_told(framed: bytes) -> None:
    chunks = Chunks()
    chunks.take(framed)
    with pytest.raises(ProtocolError):
        chunks.end()


@pytest.mark.parametrize("framed", [b"0", b"0\r\n", b"5\r\nhello\r\n0\r\nA: b\r\n", b"0\r\nA"])
def test_the_line_behind_the_last_chunk_may_be_missing(framed: bytes) -> None:
    chunks = Chunks()
    chunks.take(framed)
    chunks.end()
    assert chunks.rest == b""


def test_what_comes_behind_the_end_is_kept_apart() -> None:
    chunks = Chunks()
    assert chunks.take(b"5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK") == b"hello"
    assert (chunks.over, chunks.rest) == (True, b"HTTP/1.1 200 OK")


# ---- the same bytes by urllib3's way ----------------------------------------------------------------------


class _Pieces(io.RawIOBase):
    """Gives one piece for each read, as a socket does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        taken = min(len(piece), len(buffer))
        buffer[:taken] = piece[:taken]
        if piece[taken:]:
            self._pieces.insert(0, piece[taken:])
        return taken


class _Socket:
    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Pieces(self._pieces))


def _answer(framed: bytes, cuts: list[int]) -> urllib3.HTTPResponse:
    head = AnswerHead(_Socket([CHUNKED_HEAD, *_cut(framed, cuts)]), method="POST")  # type: ignore[arg-type]
    head.begin()
    return urllib3.HTTPResponse(head, headers=dict(head.headers), original_response=head, preload_content=False, request_method="POST")


def _outcome(pieces: Any) -> tuple[bytes, type[Exception] | None]:
    got = []
    try:
        for piece in pieces:
            got.append(piece)
    except HTTPError as error:
        return b"".join(got), type(error)
    return b"".join(got), None


def _spoilt(framed: bytes, changes: list[tuple[int, bytes]]) -> bytes:
    for place, put in changes:
        place %= len(framed)
        framed = framed[:place] + put + framed[place + 1 :]
    return framed


@given(_PIECES, _TRAILERS, _CHANGES, _CUTS)
@example([(b"hello", b"%x\r\n")], b"\r\n", [], [1])
@example([(b"hello", b"%x\r\n")], b"\r\n", [(0, b"g")], [])
@example([(b"hello", b"%x\r\n")], b"\r\n", [(0, b"9f")], [])
@example([], b"\r\n", [(4, b""), (2, b"")], [])
def test_the_outcome_is_that_of_urllib3(
    pieces: list[tuple[bytes, bytes]], trailer: bytes, changes: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    framed = _spoilt(_framed(pieces, trailer), changes)
    ours, theirs = _answer(framed, cuts), _answer(framed, cuts)
    source = chunked_source(ours)
    assert source is not None
    body, error = _outcome(arrived_chunks(ours, source))
    their_body, their_error = _outcome(theirs.stream(65536, decode_content=True))
    assert error is their_error
    # what arrived of a chunk that breaks off is given, too
    assert body == their_body or (error is ProtocolError and body.startswith(their_body))
    assert ours.closed


# ---- on a connection -------------------------------------------------------------------------------------


def _open(session: AnimusSession) -> BodyStream:
    return call_api(session, "POST", "/chat/completions", body=b"{}", stream=True).body_stream()


def _answers(*bodies: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        for body in bodies:
            peer.request()
            peer.send(CHUNKED_HEAD + body)
        peer.hold()

    return script


def test_the_connection_is_used_again(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(_answers(*[chunked(b"one", b"two") + LAST_CHUNK] * 3))
    session = session_for(server)
    for _ in range(3):
        assert b"".join(_open(session)) == b"onetwo"
    assert server.connections == 1


def test_a_connection_with_more_than_the_answer_is_not(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(_answers(chunked(b"one") + LAST_CHUNK + b"HTTP/1.1 200 OK\r\n"), _answers(chunked(b"two") + LAST_CHUNK))
    session = session_for(server)
    assert [b"".join(_open(session)) for _ in range(2)] == [b"one", b"two"]
    assert server.connections == 2


def test_a_connection_whose_body_was_left_is_not_used_again(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    server = serve_raw(_answers(chunked(b"one")), _answers(chunked(b"two") + LAST_CHUNK))
    session = session_for(server)
    left = _open(session)
    assert next(iter(left)) == b"one"
    left.close()
    assert b"".join(_open(session)) == b"two"
    assert server.connections == 2


def test_all_that_has_arrived_comes_at_once(serve_raw: ServeRaw, session_for: SessionFor) -> None:
    pieces = [b"data: %d\n\n" % number for number in range(200)]
    found = list(_open(session_for(serve_raw(_answers(chunked(*pieces) + LAST_CHUNK)))))
    assert b"".join(found) == b"".join(pieces)
    assert len(found) < 50


@pytest.mark.parametrize("body", [chunked(b"one") + b"zz\r\n", chunked(b"one") + b"5\r\ntw", chunked(b"one")])
def test_broken_framing_is_an_interruption(serve_raw: ServeRaw, session_for: SessionFor, body: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + body)

    stream, got = _open(session_for(serve_raw(script))), list[Any]()
    with pytest.raises(StreamInterruptedError), contextlib.closing(stream):
        for piece in stream:
            got.append(piece)
    assert b"".join(got).startswith(b"one")
