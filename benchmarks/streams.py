"""Rows 7 to 12: bytes in, typed chunks out, against what others do with the same stream.

Numbers are microseconds of CPU per 1,000 frames but where a row says something else.
"""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of, ratio
from benchmarks.worker import Place, Sample, repeated

_PATH = "/chat/completions"
_STREAM = {**wire.PAYLOAD, "stream": True}
_FRAMES = 2000


def _base(place: Place, prefix: str = "") -> str:
    return f"{place.http}/{prefix}{place.options.get('kind', f'frames-{_FRAMES}')}/v3"


def _per_thousand(place: Place, work: Callable[[], object]) -> Sample:
    frames = place.options.get("frames", _FRAMES)
    sample = repeated(work)
    return lambda count: {name: value / frames * 1e3 for name, value in sample(count).items()}


def _texts(events: Iterable[Mapping[str, Any]]) -> int:
    """Join what untyped events say, as everybody has to."""
    texts = []
    for event in events:
        for choice in event["choices"]:
            text = choice["delta"].get("content")
            if text:
                texts.append(text)
    return len("".join(texts))


def _session() -> Any:
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {wire.TOKEN}"
    return session


def animus(place: Place) -> Sample:
    """Our stream, chunk by chunk."""
    client = client_of(_base(place))
    messages = wire.MESSAGES[1:]

    def work() -> int:
        texts = []
        with client.chat.completions(messages, stream=True) as stream:
            for chunk in stream:
                for choice in chunk.choices:
                    if choice.delta.content:
                        texts.append(choice.delta.content)
        return len("".join(texts))

    assert work() > 20
    return _per_thousand(place, work)


def animus_text(place: Place) -> Sample:
    """Our stream, its text and the whole answer in the end."""
    client = client_of(_base(place))
    messages = wire.MESSAGES[1:]

    def work() -> int:
        with client.chat.completions(messages, stream=True) as stream:
            for _ in stream.text:
                pass
            return len(stream.final().text)

    return _per_thousand(place, work)


def iter_lines(place: Place) -> Sample:
    """What people write with requests."""
    session, url = _session(), _base(place) + _PATH

    def events(lines: Iterator[bytes]) -> Iterator[Any]:
        for line in lines:
            if line.startswith(b"data: "):
                if line == b"data: [DONE]":
                    continue
                yield json.loads(line[6:])

    def work() -> int:
        with session.post(url, json=_STREAM, stream=True) as response:
            return _texts(events(response.iter_lines(chunk_size=65536)))

    return _per_thousand(place, work)


def raw_stream(place: Place) -> Sample:
    """The floor: urllib3's bytes, unread."""
    session, url = _session(), _base(place) + _PATH

    def work() -> int:
        with session.post(url, json=_STREAM, stream=True) as response:
            return sum(map(len, response.raw.stream(65536, decode_content=True)))

    return _per_thousand(place, work)


def _until_done(events: Iterable[Any]) -> Iterator[Any]:
    for event in events:
        if event.data != "[DONE]":
            yield json.loads(event.data)


def sseclient_py(place: Place) -> Sample:
    """sseclient-py over requests."""
    library, session, url = importlib.import_module("sseclient"), _session(), _base(place) + _PATH

    def work() -> int:
        with session.post(url, json=_STREAM, stream=True) as response:
            return _texts(_until_done(library.SSEClient(response).events()))

    return _per_thousand(place, work)


def requests_sse(place: Place) -> Sample:
    """requests-sse."""
    library, session, url = importlib.import_module("requests_sse"), _session(), _base(place) + _PATH

    def work() -> int:
        with library.EventSource(url, session=session, method="POST", json=_STREAM, max_connect_retry=0) as source:
            found = []
            for event in source:
                if event.data == "[DONE]":
                    break
                found.append(json.loads(event.data))
            return _texts(found)

    return _per_thousand(place, work)


def httpx_sse(place: Place) -> Sample:
    """httpx-sse."""
    library, httpx = importlib.import_module("httpx_sse"), importlib.import_module("httpx")
    client, url = httpx.Client(headers={"Authorization": f"Bearer {wire.TOKEN}"}), _base(place) + _PATH

    def work() -> int:
        with library.connect_sse(client, "POST", url, json=_STREAM) as source:
            return _texts(_until_done(source.iter_sse()))

    return _per_thousand(place, work)


def openai(place: Place) -> Sample:
    """openai-python."""
    client = importlib.import_module("openai").OpenAI(api_key=wire.TOKEN, base_url=_base(place))
    options = {**_STREAM, "extra_body": {"compliance": True, "autoTurn": False}}
    del options["compliance"], options["autoTurn"]

    def work() -> int:
        texts = []
        for chunk in client.chat.completions.create(**options):
            for choice in chunk.choices:
                if choice.delta.content:
                    texts.append(choice.delta.content)
        return len("".join(texts))

    return _per_thousand(place, work)


def anthropic(place: Place) -> Sample:
    """anthropic-sdk-python, with its own events."""
    client = importlib.import_module("anthropic").Anthropic(auth_token=wire.TOKEN, base_url=_base(place, "anthropic"))
    options = {"model": wire.MODEL, "system": wire.SYSTEM, "messages": wire.MESSAGES[1:], "max_tokens": 400, "stream": True}

    def work() -> int:
        texts = []
        for event in client.messages.create(**options):
            if event.type == "content_block_delta":
                texts.append(event.delta.text)
        return len("".join(texts))

    return _per_thousand(place, work)


def first_frame(place: Place) -> Sample:
    """Milliseconds from the call to the first chunk of a stream that ends with its connection."""
    client = client_of(_base(place))

    def sample(_: int) -> Mapping[str, float]:
        began = time.perf_counter()
        with client.chat.completions(wire.MESSAGES[1:], stream=True) as stream:
            next(iter(stream))
            return {"first": (time.perf_counter() - began) * 1e3}

    return sample


def first_line(place: Place) -> Sample:
    """The same with ``iter_lines``."""
    session, url = _session(), _base(place) + _PATH

    def sample(_: int) -> Mapping[str, float]:
        began = time.perf_counter()
        with session.post(url, json=_STREAM, stream=True) as response:
            next(response.iter_lines())
            return {"first": (time.perf_counter() - began) * 1e3}

    return sample


class Memory:
    """A body of pieces that are all there."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def event_arrived(self) -> None:
        """Nothing waits."""

    def finish(self) -> None:
        """Nothing is open."""

    close = finish


def large_events(_: Place) -> Sample:
    """Milliseconds for one event of 4 and one of 16 MiB, in pieces of 16 KiB."""
    from animus.streaming.stream import ChatStream

    pieces = {size: wire.gathered([wire.frame("x" * (size << 20)), *wire.frames(0)]) for size in (4, 16)}

    def sample(_: int) -> Mapping[str, float]:
        taken = {}
        for size, body in pieces.items():
            began = time.process_time()
            assert len(ChatStream(Memory(body)).final().text) == size << 20
            taken[f"{size} MiB"] = (time.process_time() - began) * 1e3
        return taken

    return sample


def in_memory(place: Place) -> Sample:
    """Our decoder and typed chunks alone, without any network."""
    from animus.streaming.stream import ChatStream

    made = wire.frames(_FRAMES, end=place.options.get("end", "\n").encode())
    pieces = wire.gathered(made) if place.options.get("gathered") else made
    return _per_thousand(place, lambda: sum(1 for _ in ChatStream(Memory(pieces))))


def _clients(options: Mapping[str, Any], *, slow: float = 0.2) -> list[Client]:
    given = dict(options)
    return [
        Client("animus", options=given),
        Client("animus, .text", "animus_text", options=given),
        Client("requests iter_lines", "iter_lines", options=given),
        Client("requests iter_lines, twin", "iter_lines", options=given),
        Client("urllib3 raw.stream, bytes only", "raw_stream", options=given),
        Client("sseclient-py", "sseclient_py", "sseclient", given),
        Client("requests-sse", "requests_sse", "requests_sse", given),
        Client("httpx-sse", "httpx_sse", "httpx_sse", given, share=0.5),
        Client("openai", "openai", "openai", given, share=slow),
        Client("anthropic", "anthropic", "anthropic", given, share=slow),
    ]


_TWINS = ("requests iter_lines", "requests iter_lines, twin", "cpu")
_SHOWN = ("cpu", "requests iter_lines")
_UNIT = "us of CPU per 1,000 frames"

GROUPS = [
    Group(
        "stream, a chunk per frame",
        __name__,
        _clients({}),
        [
            Row("7", "frames a second / openai", ratio("openai", "animus"), 20, 30, 40, more=True, peer=True),
            Row("8", "frames a second / iter_lines + json.loads", ratio("requests iter_lines", "animus"), 1.4, 2.0, more=True),
            Row("9", "CPU / bytes of urllib3 alone", ratio("animus", "urllib3 raw.stream, bytes only"), 2.2, 1.9, 1.3),
        ],
        10,
        15,
        _TWINS,
        _SHOWN,
        _UNIT,
    ),
    Group("stream, chunks of 16 KiB", __name__, _clients({"kind": f"gathered-{_FRAMES}"})[:-1], [], 10, 9, _TWINS, _SHOWN, _UNIT),
    Group(
        "stream of 20 frames",
        __name__,
        _clients({"kind": "frames-20", "frames": 20})[:-1],
        [Row("12", "CPU of a stream of 20 frames, opening it included / openai", ratio("animus", "openai"), 0.20, 0.12, peer=True)],
        100,
        11,
        _TWINS,
        _SHOWN,
        _UNIT,
    ),
    Group(
        "live stream, a frame each 2 ms",
        __name__,
        [client for client in _clients({"kind": "paced-200-2", "frames": 200}, slow=1.0) if client.name != "anthropic"],
        [],
        1,
        9,
        None,
        _SHOWN,
        _UNIT,
        quick_rounds=2,
    ),
    Group(
        "first frame",
        __name__,
        [
            Client("animus", "first_frame", options={"kind": "closing-25-20"}),
            Client("requests iter_lines", "first_line", options={"kind": "closing-25-20"}),
        ],
        [Row("10", "first frame of a body that ends with its connection, a frame each 20 ms", of("animus", "first"), 40, 25, unit="ms")],
        1,
        9,
        None,
        ("first", "requests iter_lines"),
        "ms",
    ),
    Group(
        "large events",
        __name__,
        [Client("animus", "large_events")],
        [Row("11", "time of one event of 16 MiB / of 4 MiB", lambda found: found["animus"]["16 MiB"] / found["animus"]["4 MiB"], 8, 5)],
        1,
        9,
    ),
    Group(
        "decoder alone",
        __name__,
        [
            Client("a piece per frame", "in_memory"),
            Client("pieces of 16 KiB", "in_memory", options={"gathered": True}),
            Client("a piece per frame, CRLF", "in_memory", options={"end": "\r\n"}),
            Client("a piece per frame, twin", "in_memory"),
        ],
        [],
        10,
        9,
        ("a piece per frame", "a piece per frame, twin", "cpu"),
        ("cpu", "a piece per frame"),
        _UNIT,
    ),
]
