"""A model that stops in the middle of its answer until it is told to go on."""

from __future__ import annotations

import json
import threading

from tests.servers import CHUNKED_HEAD, LAST_CHUNK, Peer, RawServer, chunked

BEFORE, AFTER = "The tide comes in twice", " a day."


class HaltingModel(RawServer):
    """An OpenAI-compatible server, for ``emulator.upstream``: it says :data:`BEFORE`, and :data:`AFTER` once :attr:`go_on` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        super().__init__(self._answer)

    def _answer(self, peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED_HEAD + chunked(_frame({"role": "assistant", "content": BEFORE})))
        self.go_on.wait(20)
        peer.send(chunked(_frame({"content": AFTER}), _frame({}, "stop"), b"data: [DONE]\n\n") + LAST_CHUNK)

    def close(self) -> None:
        self.go_on.set()
        super().close()


def _frame(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({'id': 'halting', 'choices': [choice]})}\n\n".encode()
