"""The event-stream decoder."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from animus.streaming.sse import ServerSentEvent, SseDecoder
from tests.streaming.whatwg import EventSource

_PARTS = [
    *(b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"1", b"0", b"\0", b"\t"),
    *(b"data: {}", b"data: {}\n\n", b"data: {}\r\n\r\n", b"event: error\n", b"id: 7\n", b"retry: 5\n", b": comment\n"),
    *(b"\xef\xbb\xbf", b"\xef\xbb", b"\xc5\xbc", b"\xe2\x82\xac", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xff"),
    *(b"\xc2\x85", b"\xe2\x80\xa8", b"\x0b"),  # what str.splitlines takes for line ends
]
STREAMS = st.lists(st.sampled_from(_PARTS), max_size=24).map(b"".join) | st.binary(max_size=40)
CUTS = st.lists(st.integers(0, 200), max_size=8)


def cut(stream: bytes, at: Iterable[int]) -> list[bytes]:
    """Give ``stream`` in pieces; empty ones are among them."""
    places = [0, *sorted(min(place, len(stream)) for place in at), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def decoded(pieces: Iterable[bytes]) -> tuple[list[ServerSentEvent], str, int | None]:
    decoder = SseDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    decoder.end()
    return events, decoder.last_event_id, decoder.reconnection_time


def taken(pieces: Iterable[bytes]) -> list[tuple[str, str]]:
    """What a stream of chunks gets."""
    decoder = SseDecoder()
    items = [item for piece in pieces for item in decoder.take(piece)]
    return [("message", item.decode("utf-8", "replace")) if isinstance(item, bytes) else (item.event, item.data) for item in items]


@settings(max_examples=400)
@given(stream=STREAMS, at=CUTS)
@example(stream=b"data: {}\n\n" * 3, at=[10])
@example(stream=b"data: {}\r\n\r\n" * 3, at=[9, 10, 11])
@example(stream=b"\xef\xbb\xbfdata: {}\r\rdata: a\n\r", at=[1, 2])
def test_any_stream_cut_anywhere_is_what_the_standard_says(stream: bytes, at: list[int]) -> None:
    standard = EventSource(stream)
    expected = (standard.events, standard.last_event_id_string, standard.reconnection_time)
    for pieces in ([stream], cut(stream, at), [stream[place : place + 1] for place in range(len(stream))]):
        assert decoded(pieces) == expected
        assert taken(pieces) == [(event.event, event.data) for event in standard.events]


@settings(max_examples=200)
@given(stream=STREAMS, at=CUTS)
def test_an_event_is_given_as_soon_as_its_blank_line_is_there(stream: bytes, at: list[int]) -> None:
    decoder, arrived, given_out = SseDecoder(), b"", 0
    for piece in cut(stream, at):
        arrived += piece
        given_out += len(decoder.feed(piece))
        # the reference sees a CR at its end as a line end too
        assert given_out == len(EventSource(arrived).events)


def test_an_event_of_one_data_line_is_taken_without_decoding() -> None:
    decoder = SseDecoder()
    assert decoder.take(b"data: {}\n\n") == [b"{}"]
    assert decoder.take(b"data: {}\r\n\r\n") == [b"{}"]
    assert decoder.take(b"data: a\n\ndata: b\n\n") == [b"a", b"b"]
    assert decoder.take(b"data: c\n") == []
    assert decoder.take(b"\n") == [b"c"]
    assert decoder.take(b"data: d\n: busy\n\n: busy\n\ndata:e\n\n") == [b"d", b"e"]
    assert decoder.take(b"id: 1\ndata: f\n\n") == [ServerSentEvent("message", "f", "1")]
    assert decoder.take(b"data: g\n\n") == [b"g"]
    assert decoder.feed(b"data: h\n\n") == [ServerSentEvent("message", "h", "1")]


def test_a_reconnection_time_beyond_all_measure_does_no_harm() -> None:
    decoder = SseDecoder()
    assert decoder.feed(b"retry: " + b"9" * 5000 + b"\ndata: x\n\n")[0].data == "x"
    assert decoder.reconnection_time == sys.maxsize
    decoder.feed(b"retry: 123456789012345678901234567890\n")
    assert decoder.reconnection_time == 123456789012345678901234567890


def test_an_id_counts_when_its_blank_line_comes() -> None:
    decoder = SseDecoder()
    decoder.feed(b"id: 1\n")
    assert decoder.last_event_id == ""
    decoder.feed(b"\n")
    assert decoder.last_event_id == "1"
    decoder.feed(b"id: 2\n")
    decoder.end()
    decoder.feed(b"\n")
    assert decoder.last_event_id == "1"


class Counted(bytes):
    """Bytes that count how many of them are searched or copied, also in what is made of them."""

    looked_at = 0

    def _counting(self, name: str, *args: Any) -> Any:
        Counted.looked_at += len(self)
        return getattr(bytes, name)(self, *args)

    def split(self, *args: Any) -> list[bytes]:
        return [Counted(part) for part in self._counting("split", *args)]

    def replace(self, *args: Any) -> bytes:
        return Counted(self._counting("replace", *args))

    def find(self, *args: Any) -> int:
        return int(self._counting("find", *args))

    def __contains__(self, item: Any) -> bool:
        return bool(self._counting("__contains__", item))

    def __add__(self, other: Any) -> bytes:
        return Counted(self._counting("__add__", other))

    def __radd__(self, other: Any) -> bytes:
        Counted.looked_at += len(self) + len(other)
        return Counted(bytes(other) + bytes(self))


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b""])
@pytest.mark.parametrize("plain", [True, False])
def test_what_waits_for_its_line_end_is_not_searched_again(end: bytes, plain: bool) -> None:
    work = {}
    for pieces in (200, 800):
        decoder = SseDecoder()
        decoder.take(b": begun\n")
        Counted.looked_at = 0
        events: list[Any] = decoder.take(b"data: ", plain)
        for _ in range(pieces):
            events += decoder.take(Counted(b"x" * 100), plain)
        events += decoder.take(end, plain)
        assert len(events) == bool(end)
        work[pieces] = Counted.looked_at
    assert work[200] <= 200 * 100 * 4
    assert work[800] <= work[200] * 4.1


def test_many_small_lines_are_counted_once() -> None:
    stream = b"data: x\n" * 1000
    decoder = SseDecoder()
    decoder.take(b": begun\n")
    Counted.looked_at = 0
    for piece in cut(stream, range(0, len(stream), 7)):
        decoder.take(Counted(piece))
    assert Counted.looked_at <= len(stream) * 4
    assert decoder.feed(b"\n")[0].data == "\n".join(["x"] * 1000)
