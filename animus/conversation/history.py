"""The history of one conversation."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from animus import _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.conversation.messages import CONTINUE, ChatMessage, now_text, read_messages, read_stored
from animus.errors import ConfigurationError

_FORMAT = "animus-chat-history"
_VERSION = 1


class ChatHistory(Sequence[ChatMessage]):
    """The newest messages of a conversation, in order of arrival, without system messages.

    A sequence of :class:`~animus.conversation.messages.ChatMessage`: index it, slice it, iterate it.

    Threads: any; the lock guards the list. Each change is one step: no reader sees half an exchange. Fork: the child
    has the messages, and no lock is held in it. Pickling: with its messages.

    Args:
        size: Room for so many messages (not turns); older ones fall out. 0 keeps none.
        clock: Gives the timestamps.
    """

    _lock = _fork.Lock()

    def __init__(self, size: int, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._size = size
        self._clock = clock
        self._messages: list[ChatMessage] = []
        self._calling: list[ChatMessage] = []  # stored answers whose calls are being made
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        with self._lock:
            return {"size": self._size, "messages": list(self._messages)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["size"])  # type: ignore[misc]
        self._messages = state["messages"]

    # ---- reading ---------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Room for so many messages."""
        return self._size

    def __len__(self) -> int:
        return len(self._messages)

    @overload
    def __getitem__(self, index: int) -> ChatMessage: ...
    @overload
    def __getitem__(self, index: slice) -> list[ChatMessage]: ...
    def __getitem__(self, index: int | slice) -> ChatMessage | list[ChatMessage]:
        with self._lock:
            return self._messages[index]

    def __iter__(self) -> Iterator[ChatMessage]:
        with self._lock:
            return iter(list(self._messages))

    def __repr__(self) -> str:
        return f"<ChatHistory of {len(self)} messages, room for {self._size}>"

    def _repr_html_(self) -> str:
        with _fork.forks_wait:
            from animus.conversation.display import shown_as_html

        return shown_as_html(list(self))

    def to_list(self) -> list[dict[str, Any]]:
        """Give all messages as mappings; a copy, free to be changed."""
        return [message.to_dict() for message in self]

    def window(self) -> list[ChatMessage]:
        """Give what a request sends: pieces of one answer joined, no orphaned tool messages, nothing empty."""
        return window_of(self.settled()[-self._size :] if self._size else [])

    def settled(self) -> list[ChatMessage]:
        """Give all messages, without tool calls that are being made: what is sent to the API needs a result for each."""
        with self._lock:
            messages, calling = list(self._messages), self._calling
        for message in calling:
            messages = [replace(one, tool_calls=()) if one is message else one for one in messages]
        return messages

    # ---- changing --------------------------------------------------------------------------------------

    def add(
        self, messages: Iterable[ChatMessage], *, calls_under_way: bool = False, answers: ChatMessage | None = None
    ) -> list[ChatMessage]:
        """Store messages, cleaned and timed, all in one step; give them as stored.

        Args:
            calls_under_way: Whether the last of them is an answer whose calls are being made: until their results are added,
                nobody else is to send the calls.
            answers: That answer, as it was stored: the messages are its results, and go right behind it, whatever has come
                meanwhile. If it is gone, so are they.

        Left out: system messages, a user message that is just ``[CONTINUE]``, an answer or tool message that says
        nothing, a tool message without its id.
        """
        timestamp = now_text(self._clock.time())
        stored = []
        for message in messages:
            clean = message.cleaned()
            if clean.role == "system" or (clean.role == "user" and clean.content == CONTINUE):
                continue
            if clean.role != "user" and clean.says_nothing:
                continue
            if clean.role == "tool" and not clean.tool_call_id:
                continue
            stored.append(clean if clean.timestamp else replace(clean, timestamp=timestamp))
        with self._lock:
            if self._size:
                self._insert(stored, answers)
                self._trim()
                if calls_under_way:
                    self._calling = [*self._calling, stored[-1]]
        return stored

    def _insert(self, messages: list[ChatMessage], answers: ChatMessage | None) -> None:
        if answers is None:
            self._messages.extend(messages)
            return
        self._calling = [message for message in self._calling if message is not answers]
        for index, message in enumerate(self._messages):
            if message is answers:
                self._messages[index + 1 : index + 1] = messages
                return

    def _trim(self) -> None:
        surplus = len(self._messages) - self._size
        if surplus > 0:
            del self._messages[:surplus]

    def resize(self, size: int) -> None:
        """Change the room; shrinking trims at once."""
        with self._lock:
            self._size = size
            self._trim()

    def _demand_room(self) -> None:
        if not self._size:
            raise ConfigurationError("the history is off", hint="Set history_size in the chat configuration")

    def set(self, messages: object) -> int:
        """Put other messages in the place of all; give how many were stored.

        Raises:
            ValueError: a message is not valid; the text names its index. Nothing changes.
            ConfigurationError: the history is off.
        """
        self._demand_room()
        timestamp = now_text(self._clock.time())
        stored = read_messages(messages, where="history", read=read_stored)
        stored = [message if message.timestamp else replace(message, timestamp=timestamp) for message in stored]
        with self._lock:
            self._messages = stored[-self._size :]
            return len(self._messages)

    def update(self, index: int, changes: Mapping[str, Any]) -> ChatMessage:
        """Change the named fields of one message; give it as stored.

        Raises:
            IndexError: there is no such message.
            ValueError: what would come out is not valid. Nothing changes.
            ConfigurationError: the history is off.
        """
        self._demand_room()
        if not isinstance(changes, Mapping):
            raise ValueError(f"the update must be a mapping of fields, not a {type(changes).__name__}")
        with self._lock:
            old = self._messages[self._checked(index)].to_dict()
            merged = read_stored({**old, **changes}, f"history[{index}]")
            if merged.is_empty:
                raise ValueError(f"history[{index}] would be empty: no content and no tool calls; delete it instead")
            self._messages[index] = merged
            return merged

    def delete(self, index: int) -> ChatMessage:
        """Take one message out and give it.

        Raises:
            IndexError: there is no such message.
            ConfigurationError: the history is off.
        """
        self._demand_room()
        with self._lock:
            return self._messages.pop(self._checked(index))

    def _checked(self, index: int) -> int:
        if isinstance(index, bool) or not isinstance(index, int):
            raise ValueError(f"the index must be a whole number, not a {type(index).__name__}")
        if not 0 <= index < len(self._messages):
            raise IndexError(f"there is no message {index} in a history of {len(self._messages)}")
        return index

    def clear(self) -> int:
        """Take all messages out; give how many there were."""
        with self._lock:
            count = len(self._messages)
            self._messages = []
            return count


    # ---- files -----------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the history to a JSON file, whole or not at all; give its path.

        Raises:
            OSError: the file cannot be written; an old one is as it was.
        """
        with _fork.forks_wait:
            from animus._atomic import write_atomically

        document = {"format": _FORMAT, "version": _VERSION, "size": self._size, "messages": self.to_list()}
        target = Path(path)
        write_atomically(target, json.dumps(document, ensure_ascii=True, indent=1).encode("ascii"))
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, size: int | None = None, clock: Clock = SYSTEM_CLOCK) -> ChatHistory:
        """Read a history that :meth:`save` wrote.

        Args:
            size: Room for so many messages; default: as saved.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no saved history, or of a later version; the text says what is wrong where.
        """
        try:
            document = json.loads(Path(path).read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is not a saved history: it is not JSON ({error})") from None
        if not isinstance(document, Mapping) or document.get("format") != _FORMAT:
            raise ValueError(f"{path} is not a saved history")
        version = document.get("version")
        if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= _VERSION:
            raise ValueError(f"{path} was saved in version {version!r} of the format; this package reads up to {_VERSION}")
        room = document.get("size") if size is None else size
        if isinstance(room, bool) or not isinstance(room, int) or room < 0:
            raise ValueError(f"{path} has no valid size")
        history = cls(room, clock=clock)
        if room:
            history.set(document.get("messages"))
        return history


def window_of(messages: Sequence[ChatMessage]) -> list[ChatMessage]:
    """Give messages as a request sends them.

    Neighbouring pieces of one group become one message, also when some are missing. A tool message whose call is not
    there before it is dropped: the API would refuse it. So is an assistant message that says nothing.
    """
    joined: list[ChatMessage] = []
    open_calls: set[Any] = set()
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in open_calls:
                continue
            joined.append(message)
            continue
        if message.role == "assistant" and message.is_empty:
            continue
        before = joined[-1] if joined else None
        if before is not None and message.group_id is not None and before.group_id == message.group_id:
            joined[-1] = message = _join(before, message)
        else:
            joined.append(message)
        if message.tool_calls:
            open_calls = {call.get("id") for call in message.tool_calls}
    return joined


def _join(first: ChatMessage, second: ChatMessage) -> ChatMessage:
    content = first.content or second.content
    if first.content and second.content:
        content = f"{first.content}{' ' if second.separator is None else second.separator}{second.content}"
    return replace(
        first,
        content=content,
        tool_calls=second.tool_calls or first.tool_calls,
        compliance_violations=second.compliance_violations or first.compliance_violations,
    )


def context_of(history: ChatHistory, given: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """Give what of the history goes before ``given`` on the wire, and which of ``given`` are not stored yet."""
    stored = history.settled()
    repeated, known = unsent(stored, given)
    return window_of(stored[: len(stored) - repeated]), list(given[known:])


def unsent(history: Sequence[ChatMessage], given: Sequence[ChatMessage]) -> tuple[int, int]:
    """Find how far ``given`` repeats the end of ``history``.

    Gives two counts: messages at the end of ``history`` that ``given`` has too, and messages at the beginning of
    ``given`` that are already stored. People pass a whole conversation by hand (as the tool flow documents it) while the
    history is on; nothing is to be sent or stored twice.
    """
    clean = [message.cleaned() for message in given]
    for length in range(len(clean), 0, -1):
        overlap = min(length, len(history))
        if overlap and all(
            one.same_as(two) for one, two in zip(history[len(history) - overlap :], clean[length - overlap : length], strict=True)
        ):
            return overlap, length
    return 0, 0
