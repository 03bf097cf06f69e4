"""CPU of decoding a chat stream, without any network: ours against ``iter_lines`` + ``json.loads``.

Both read the same pieces from memory: one piece per frame (the usual case), pieces of 16 KiB (a proxy that gathers), and
CRLF line ends. Rounds are interleaved; the median of the rounds is shown. Then the growth with the size of one event.

    python benchmarks/stream_decode.py [--frames 2000] [--rounds 15] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Iterator

import requests

from animus.streaming.sse import SseDecoder
from animus.streaming.stream import ChatStream

_HEAD = '"id":"chatcmpl-9f3","object":"chat.completion.chunk","created":1795600000,"model":"vivian-llama3.1-70b-1.0-fp8"'
_TAIL = '"logprobs":null,"finish_reason":null}],"system_fingerprint":"fp_44709d6fcb","service_tier":"default"'


def frames(count: int, end: bytes = b"\n") -> list[bytes]:
    """Give a stream of ``count`` frames of about 295 bytes, and its end."""
    texts = [f"word {number} " for number in range(count)]
    made = [f'data: {{{_HEAD},"choices":[{{"index":0,"delta":{{"content":"{text}"}},{_TAIL}}}' for text in texts]
    made.append(f'data: {{{_HEAD},"choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}]}}')
    return [frame.encode() + end + end for frame in [*made, "data: [DONE]"]]


def gathered(pieces: list[bytes], size: int = 16384) -> list[bytes]:
    """Give the same bytes in pieces of ``size``."""
    whole = b"".join(pieces)
    return [whole[start : start + size] for start in range(0, len(whole), size)]


class Memory:
    """A body of pieces that are all there."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.pieces)

    def event_arrived(self) -> None:
        pass

    def finish(self) -> None:
        pass

    close = finish

    def stream(self, size: int, decode_content: bool = True) -> Iterator[bytes]:
        """What requests reads from."""
        return iter(self.pieces)


def ours(pieces: list[bytes]) -> int:
    """Read the chunks, and the accumulated answer."""
    stream = ChatStream(Memory(pieces))
    for _ in stream:
        pass
    return len(stream.final().text)


def ours_text(pieces: list[bytes]) -> int:
    """Read the text alone."""
    return sum(map(len, ChatStream(Memory(pieces)).text))


def iter_lines(pieces: list[bytes]) -> int:
    """What people write with requests. It gives dictionaries, and keeps no rule of the standard but the simplest."""
    response = requests.Response()
    response.raw = Memory(pieces)
    texts = []
    for line in response.iter_lines(chunk_size=65536):
        if line.startswith(b"data: "):
            data = line[6:]
            if data == b"[DONE]":
                break
            for choice in json.loads(data)["choices"]:
                if choice["delta"].get("content"):
                    texts.append(choice["delta"]["content"])
    return len("".join(texts))


READERS: dict[str, Callable[[list[bytes]], int]] = {"iter_lines + json.loads": iter_lines, "ChatStream": ours, "ChatStream.text": ours_text}


def microseconds(count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Give CPU microseconds per frame, by kind of piece and reader."""
    kinds = {"one per frame": frames(count), "16 KiB": gathered(frames(count)), "one per frame, CRLF": frames(count, b"\r\n")}
    taken: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in READERS} for kind in kinds}
    for _ in range(rounds):
        for kind, pieces in kinds.items():
            for name, reader in READERS.items():
                gc.collect()
                began = time.process_time()
                length = reader(pieces)
                taken[kind][name].append((time.process_time() - began) / count * 1e6)
                assert length == sum(len(f"word {number} ") for number in range(count))
    return {kind: {name: statistics.median(values) for name, values in by.items()} for kind, by in taken.items()}


def growth(sizes: tuple[int, ...] = (1, 8, 64), piece: int = 4096) -> dict[int, float]:
    """Give CPU milliseconds per MiB for one event of so many MiB, in pieces of ``piece`` bytes."""
    found = {}
    for size in sizes:
        body = b"data: " + b"x" * (size << 20) + b"\n\n"
        pieces = [body[start : start + piece] for start in range(0, len(body), piece)]
        decoder = SseDecoder()
        began = time.process_time()
        events = [event for each in pieces for event in decoder.feed(each)]
        found[size] = (time.process_time() - began) * 1e3 / size
        assert len(events) == 1
    return found


def main() -> None:
    """Measure and show."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--frames", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    speed, sizes = microseconds(given.frames, given.rounds), growth()
    if given.json:
        print(json.dumps({"microseconds_per_frame": speed, "milliseconds_per_mib": sizes}))
        return
    for kind, by in speed.items():
        print(f"pieces: {kind}")
        for name, value in by.items():
            print(f"  {name:24} {value:6.2f} us per frame   {value / by['iter_lines + json.loads']:.2f}")
    print("one event of")
    for size, value in sizes.items():
        print(f"  {size:3} MiB  {value:6.2f} ms per MiB")


if __name__ == "__main__":
    main()
