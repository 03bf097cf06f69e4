"""What all exchanges of one conversation share."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from animus._clock import Clock
from animus._emitter import Emitter
from animus.conversation.history import ChatHistory
from animus.transport.session import AnimusSession

if TYPE_CHECKING:
    from animus.events import Event


class Room(NamedTuple):
    """Parts, not state: the session to ask through, the history to keep, whom to tell, the time, and chance.

    Attributes:
        chat_id: The id of the conversation.
        new_id: Makes ids, given a prefix.
    """

    session: AnimusSession
    history: ChatHistory
    emitter: Emitter
    clock: Clock
    rng: random.Random
    chat_id: str
    new_id: Callable[[str], str]

    def ids(self, conversation_id: str, message_type: str = "regular") -> dict[str, Any]:
        """Give the fields that say where an event belongs."""
        return {"chat_id": self.chat_id, "conversation_id": conversation_id, "message_type": message_type}

    def say(self, event: Event) -> Event:
        """Tell the receivers of an event, and give it."""
        if self.emitter.wants(event.name):
            self.emitter.emit(event)
        return event
