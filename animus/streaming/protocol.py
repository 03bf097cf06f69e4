"""What a stream reads from, and who listens to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from animus.models.chat import ChatCompletion


class ByteStream(Protocol):
    """What a :class:`ChatStream` reads from."""

    def __iter__(self) -> Iterator[bytes]:
        """Give the body in pieces, each as soon as it is there.

        Raises:
            StreamInterruptedError, ApiConnectionError: the connection broke off.
            StreamTimeoutError: a time limit fired.
        """

    def event_arrived(self) -> None:
        """A real event came: the idle limit begins anew."""

    def finish(self) -> None:
        """The answer is complete: the connection may serve again if the body ends with it."""

    def close(self) -> None:
        """End the connection. From any thread; a read that is blocked ends at once."""


class StreamObserver(Protocol):
    """What listens to a stream from inside. It hears nothing more once the stream was closed early."""

    def delta(self, text: str) -> None:
        """A further piece of the text of choice 0, never half a character."""

    def complete(self, completion: ChatCompletion) -> None:
        """The answer is complete. Once, before the iterator ends."""

    def failed(self, error: Exception) -> None:
        """The stream failed. Once, before the exception leaves the iterator."""
