"""What a piece of work calls: a measure of its cost that no busy machine disturbs."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import FrameType
from typing import Any

from benchmarks import wire
from tests.servers import Answer, Received, chunked

JSON = {"Content-Type": "application/json", "X-Request-Id": "req-1"}
EVENTS = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
CHAT = {"model": wire.MODEL, "system_message": wire.SYSTEM, "temperature": 0.7}


def called_by(work: Callable[[], Any], look: Callable[[FrameType], None] | None = None) -> Counter[str]:
    """Give the Python functions that ``work()`` calls in this thread, each as ``file:function``, and how often.

    Args:
        look: Sees the frame of each.
    """
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found[f"{frame.f_code.co_filename}:{frame.f_code.co_name}"] += 1
            if look is not None:
                look(frame)

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # what others left behind is finalized by functions, too
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return found


def answered(request: Received) -> Answer:
    """Give the answer that all benchmarks get: whole, or as many frames as the path says."""
    if b'"stream":true' not in request.body:
        return Answer(headers=JSON, body=wire.reply())
    frames = wire.frames(int(request.path.split("/")[1]))
    return Answer(headers=EVENTS, body=chunked(*frames) + b"0\r\n\r\n")
