"""The vectors of event streams and chat streams, each one, cut in several ways, in memory and over HTTP."""

from __future__ import annotations

import base64
import itertools
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from animus import errors
from animus.streaming.sse import SseDecoder
from animus.streaming.stream import ChatStream
from tests.conformance import vectors_adapter
from tests.conformance.served_vectors import served, tool, vectors
from tests.streaming.bodies import Body

_BULK = 100_000  # bytes; what is larger is not fed byte by byte

EVENTS = {vector["name"]: vector for vector in vectors("sse")}
CHATS = {vector["name"]: {**vector, "number": number} for number, vector in enumerate(vectors("chat_stream"))}
sse_diff, chat_diff = tool("compare").sse_diff, tool("compare").chat_diff


def pieces_of(vector: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(piece) for piece in vector["chunks_b64"]]


def cuts_of(vector: dict[str, Any]) -> Iterator[list[bytes]]:
    """Give the stream as it comes, joined, byte by byte, and cut at random."""
    pieces = pieces_of(vector)
    stream = b"".join(pieces)
    yield pieces
    yield [stream]
    if len(stream) < _BULK:
        yield [stream[place : place + 1] for place in range(len(stream))]
    chance = random.Random(vector["name"])
    for count in (1, 3, 30, 300):
        places = [0, *sorted(chance.choices(range(len(stream) + 1), k=count)), len(stream)]
        yield [stream[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize("name", EVENTS)
def test_event_streams(name: str) -> None:
    vector = EVENTS[name]
    for pieces in cuts_of(vector):
        events, end_state = vectors_adapter.sse(pieces)
        assert not sse_diff(vector, events, ("event", "data", "id", "retry"), end_state)


@pytest.mark.parametrize("name", EVENTS)
def test_event_streams_as_chat_streams_take_them(name: str) -> None:
    vector = EVENTS[name]
    expected = [(event["event"], event["data"]) for event in vector["events"]]
    for pieces in cuts_of(vector):
        decoder = SseDecoder()
        items = [item for piece in pieces for item in decoder.take(piece)]
        plain = [("message", item.decode("utf-8", "replace")) if isinstance(item, bytes) else (item.event, item.data) for item in items]
        assert plain == expected


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_prompt(name: str) -> None:
    vector = EVENTS[name]
    decoder = SseDecoder()
    counts = itertools.accumulate(len(decoder.feed(piece)) for piece in pieces_of(vector))
    assert list(counts) == vector["events_after_chunk"]


@pytest.mark.parametrize("name", [name for name, vector in EVENTS.items() if "time_limit_s" in vector])
def test_large_streams_are_quick(name: str) -> None:
    vector = EVENTS[name]
    pieces = pieces_of(vector)
    began = time.process_time()
    vectors_adapter.sse(pieces)
    assert time.process_time() - began < vector["time_limit_s"]


def in_memory(pieces: list[bytes], *, abrupt: bool) -> dict[str, Any]:
    stream = ChatStream(Body(*pieces, *([errors.StreamInterruptedError("cut")] if abrupt else [])))
    return vectors_adapter.read(stream)


@pytest.mark.parametrize("name", CHATS)
def test_chat_streams(name: str) -> None:
    vector = CHATS[name]
    for pieces in cuts_of(vector):
        found = in_memory(pieces, abrupt=vector["close"] == "abrupt")
        assert not chat_diff(vector, found)
        json.dumps(found, ensure_ascii=False).encode()


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with served() as url:
        yield url


# without chunks an abrupt end is an end like any other
SERVED = [(name, framing) for name in CHATS for framing in ("chunked", "close") if framing == "chunked" or CHATS[name]["close"] == "clean"]


@pytest.mark.parametrize(("name", "framing"), SERVED)
def test_chat_streams_through_the_client(origin: str, name: str, framing: str) -> None:
    vector = CHATS[name]
    found = vectors_adapter.chat(f"{origin}/chat/{vector['number']}/framing={framing}")
    assert not chat_diff(vector, found)


def test_an_answer_does_not_wait_for_the_end_of_the_connection(origin: str) -> None:
    number = CHATS["no-role-frame"]["number"]
    for framing in ("chunked", "close"):
        with vectors_adapter.client(f"{origin}/chat/{number}/framing={framing}/hold=30") as client:
            stream = client.chat.completions(messages=[{"role": "user", "content": "Hello"}], stream=True)
            with stream:
                assert stream.final().text == "Hi"
