"""Answers for a browser: one exchange of a user's conversation as server-sent events.

This file knows no web framework; the Flask and the Django example have the same one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from animus import AnimusClient, AnimusError, ApiConnectionError, ApiTimeoutError, Conversation, RateLimitError
from animus.events import (
    Event,
    ImageGenerationComplete,
    ImageGenerationError,
    ImageGenerationStart,
    MessageComplete,
    MessageStart,
    MessageTokens,
)

logger = logging.getLogger(__name__)

LONGEST_TEXT = 4000
KEPT_MESSAGES = 40  # how many of the newest messages the model is reminded of
STREAM_HEADERS = {
    "Cache-Control": "no-store, no-transform",  # no-transform: nobody on the way is to compress, and so to collect, the events
    "X-Accel-Buffering": "no",  # nginx passes each event on as it comes
}

# For each call to the platform. A thread of the server is held as long as an answer takes.
_TIMEOUTS = {"connect": 5, "read": 30, "first_event": 20, "idle": 15, "deadline": 60}
# The browser does the typing, and nobody waits for follow-ups with a request open.
_TURNS = {"max_sequential_follow_ups": 0}


def make_client() -> AnimusClient:
    """Make the one client of a process, by the variables of the environment (``ANIMUS_API_KEY``, …)."""
    return AnimusClient(
        chat={
            "model": "vivian-llama3.1-70b-1.0-fp8",
            "system_message": "You are a friendly companion. Answer briefly.",
        },
        timeouts=_TIMEOUTS,
        retry=1,
    )


# ---- what the browser asks -----------------------------------------------------------------------------


class Question(NamedTuple):
    """What a user says, and whether the answer is to be said in turns (and may have a picture) instead of streamed."""

    text: str
    in_turns: bool


def read_question(given: object) -> Question:
    """Read the JSON of a request.

    Raises:
        ValueError: it is not as the page sends it; the text may be shown.
    """
    if not isinstance(given, Mapping) or given.get("mode") not in ("stream", "turns"):
        raise ValueError("That is not a message.")
    text = given.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ValueError("Please write something.")
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"That is longer than {LONGEST_TEXT} characters.")
    return Question(text, given["mode"] == "turns")


# ---- what is kept --------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A message as the database keeps it: for the SDK's history, and the image that belongs to it."""

    message: dict[str, Any]
    image: dict[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


def begin(client: AnimusClient, entries: Sequence[Mapping[str, Any]]) -> Conversation:
    """Give a conversation that goes on from the entries of the database: made for one request, it belongs to one user."""
    kept = [entry["message"] for entry in entries[-KEPT_MESSAGES:]]
    return client.conversation(history=kept, history_size=KEPT_MESSAGES * 2)  # room for what is added, so that nothing is pushed out


def shown_entries(entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give what the page shows of a conversation."""
    return [{"role": entry["message"]["role"], "text": entry["message"]["content"] or "", "image": entry["image"]} for entry in entries]


# ---- what the browser is told --------------------------------------------------------------------------


def reply_events(conversation: Conversation, question: Question, save: Callable[[list[Entry]], None]) -> Iterator[bytes]:
    """Have an exchange happen, and give it as server-sent events.

    The web server closes this iterator when the browser is gone. That ends the exchange, and the request to the platform with it.

    Args:
        save: Takes the new messages, once, before the last event.
    """
    history = conversation.history
    images: dict[int, dict[str, str]] = {}
    ending: tuple[str, dict[str, str]] = ("done", {})
    known = len(history)
    options: dict[str, Any] = {"auto_turn": _TURNS, "check_image_generation": True} if question.in_turns else {"stream": True}
    try:
        with closing(conversation.stream(question.text, pace=False, **options)) as events:
            for event in events:
                if isinstance(event, ImageGenerationComplete):  # its note is in the history already
                    images[len(history) - 1] = {"url": event.image_url, "prompt": event.prompt}
                told = _told(event)
                if told is not None:
                    yield _frame(*told)
    except AnimusError as error:
        logger.warning("no answer: %s", error)
        ending = ("error", {"text": _excuse(error)})
    finally:  # however it ended: what has been said is kept
        messages = conversation.get_chat_history()
        save([Entry(messages[index], images.get(index)) for index in range(known, len(messages))])
    yield _frame(*ending)


def _told(event: Event) -> tuple[str, dict[str, Any]] | None:
    """Give name and data of what the page is told about an event, if it is to know of it."""
    match event:
        case MessageStart(message_type="regular"):
            return "start", {}
        case MessageTokens():
            return "tokens", {"text": event.content}
        case MessageComplete():
            return "message", {"text": event.content, "turn": event.turn_index or 0, "turns": event.total_turns or 1}
        case ImageGenerationStart():
            return "drawing", {"prompt": event.prompt}
        case ImageGenerationComplete():
            return "image", {"url": event.image_url, "prompt": event.prompt}
        case ImageGenerationError():
            return "no_image", {}
    return None


def _frame(name: str, data: Mapping[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()  # JSON has no line ends in it


def _excuse(error: AnimusError) -> str:
    """Say what a user can make of a failure; the log has the rest."""
    match error:
        case RateLimitError():
            return "Too many people are chatting just now. Please try again in a moment."
        case ApiTimeoutError():
            return "The answer took too long. Please try again."
        case ApiConnectionError():
            return "The chat cannot be reached just now. Please try again in a moment."
    return "Something went wrong. Please try again."
