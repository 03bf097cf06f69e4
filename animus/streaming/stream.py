"""A streamed answer as an iterator."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, NoReturn

from animus._secret import scrub
from animus.errors import (
    AnimusError,
    ApiConnectionError,
    ApiTimeoutError,
    ResponseDecodeError,
    StreamDecodeError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from animus.models.answer import HttpInfo, ShapeError, loads, mend
from animus.models.chat import ChatCompletion, ChatCompletionChunk, decode_chunk
from animus.streaming.accumulate import Accumulator
from animus.streaming.failure import api_error
from animus.streaming.protocol import ByteStream, StreamObserver
from animus.streaming.sse import ServerSentEvent, SseDecoder
from animus.streaming.whole import NoBody, chunk_of

__all__ = ["ByteStream", "ChatStream", "StreamObserver"]

_OPEN, _ENDED, _FAILED, _CLOSED = "open", "ended", "failed", "closed"
_DONE = "[DONE]"
_KEPT = "What had arrived is in .partial"


class ChatStream:
    """A streamed answer: iterate over its chunks, over its ``text``, or ask for ``final()``.

    The stream is read once, by whichever of the three asks first; they can be mixed. Leaving the ``with`` block (or
    :meth:`close`) ends the connection; what is then still unread is given up.

    The answer is complete if the API said ``[DONE]``, or if every choice has a ``finish_reason`` when the connection
    ends. Any other end raises, with what had arrived in ``.partial``:

    * :class:`~animus.errors.StreamInterruptedError`: the connection ended too early;
    * :class:`~animus.errors.StreamTimeoutError`: a time limit fired;
    * :class:`~animus.errors.StreamDecodeError`: an event that is no chunk;
    * :class:`~animus.errors.StreamApiError`: an error object in the stream;
    * :class:`~animus.errors.ResponseDecodeError`: the stream came to its end, but there is no answer in it.

    Threads: one reads; any may call :meth:`close` (the reader's loop then simply ends) and ``partial``.
    Fork: the stream stays its parent's; reading on in the child raises, closing it there leaves the parent's connection alone.
    Pickling: refused; pickle ``final()``.

    Args:
        body: Where the bytes come from.
        http: The HTTP around the answer.
        request_id: Its id, if it is not in the headers.
        observer: Told of text, completion and failure.
        secrets: Texts that must not show up in errors, whatever the server sends.
    """

    def __init__(
        self,
        body: ByteStream,
        *,
        http: HttpInfo | None = None,
        request_id: str | None = None,
        observer: StreamObserver | None = None,
        secrets: Sequence[str] = (),
    ) -> None:
        self._state = _OPEN
        self._body = body
        self._http = http
        self._request_id = request_id
        self._observer = observer
        self._secrets = secrets
        self._pieces = iter(body)
        self._decoder = SseDecoder()
        self._events: Iterator[bytes | ServerSentEvent | ChatCompletionChunk] = iter(())
        self._count = 0  # events with data
        self._awaits_event = False  # nothing but heartbeats in the pieces since the last real event
        self._accumulator = Accumulator()
        self._text = ""  # what the last chunk added, whole characters only
        self._half = ""  # half a character that waits for its other half
        self._final: ChatCompletion | None = None
        self._failure: Exception | None = None
        self.done: bool = False
        """Whether the stream said ``[DONE]``."""

    @classmethod
    def of(cls, completion: ChatCompletion, *, observer: StreamObserver | None = None) -> ChatStream:
        """Give a whole answer as a stream of one chunk: some servers ignore ``stream=true``."""
        stream = cls(NoBody(), http=completion.http, request_id=completion.request_id, observer=observer)
        stream._final = completion
        stream._events = iter((chunk_of(completion),) if completion.choices else ())
        return stream

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        while self._state is _OPEN:
            for event in self._events:
                chunk = self._chunk(event)
                if chunk is not None:
                    return chunk
                break
            else:
                self._read()
        raise StopIteration

    @property
    def text(self) -> Iterator[str]:
        """The text of choice 0 as it arrives, never half a character."""
        for _ in self:
            if self._text:
                yield self._text
        last, self._half = self._half, ""
        if last and self._state is _ENDED:
            yield mend(last)

    def final(self) -> ChatCompletion:
        """Read to the end; give the whole answer.

        Raises:
            StreamError: the stream was closed before its end; or one of those named above, also if it was raised before.
        """
        for _ in self:
            pass
        if self._state is _ENDED and self._final is not None:
            return self._final
        if self._failure is not None:
            raise copy.copy(self._failure)
        raise StreamError("the stream was closed before the answer was complete", partial=self.partial, hint=_KEPT)

    @property
    def partial(self) -> ChatCompletion | None:
        """What has arrived so far; None if nothing has. Put together anew each time."""
        if self._state is _ENDED:
            return self._final
        return self._accumulator.partial(self._http, self._request_id)

    def close(self) -> None:
        """End the connection. From any thread, and more than once; a blocked reader's loop ends."""
        if self._state is _OPEN:
            self._state = _CLOSED
            self._body.close()

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_state", None) is _OPEN and not isinstance(self._body, NoBody):
            warnings.warn(f"{self!r} was neither read to its end nor closed", ResourceWarning, source=self, stacklevel=2)
            self.close()

    def __repr__(self) -> str:
        return f"<ChatStream {self._state}, {self._count} events>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a ChatStream is not pickled; pickle its final()")

    def _read(self) -> None:
        """Get the events of the next piece, or come to the end."""
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._over()
        except Exception as error:
            if self._is_settled(error):
                return
            if isinstance(error, (StreamInterruptedError, StreamTimeoutError)) or not isinstance(error, ApiConnectionError):
                self._fail(error)
                raise
            raise self._fail(self._as_stream_error(error)) from error
        else:
            self._awaits_event = True
            self._events = iter(self._decoder.take(piece))

    def _chunk(self, event: bytes | ServerSentEvent | ChatCompletionChunk) -> ChatCompletionChunk | None:
        """Take an event in; give its chunk, None for a heartbeat and for the event that ends the stream."""
        if isinstance(event, bytes):
            chunk = self._decoded(event)
        elif isinstance(event, ServerSentEvent):
            if event.event == "error":
                raise self._fail(self._said_error(_value_of(event.data)))
            chunk = self._decoded(event.data)
        else:
            chunk = event
        if chunk is None:
            return None
        if chunk.error:
            raise self._fail(self._said_error(chunk.raw))
        self._count += 1
        if self._awaits_event and (chunk.choices or chunk.usage is not None or chunk.compliance_violations is not None):
            self._awaits_event = False
            self._body.event_arrived()
        text = self._accumulator.add(chunk)
        if text and (self._half or not text.isascii()):
            text = self._without_half(text)
        self._text = text
        if text and self._observer is not None and self._final is None:  # a whole answer is no piece of one
            self._tell(self._observer.delta, text)
        return chunk

    def _decoded(self, data: bytes | str) -> ChatCompletionChunk | None:
        try:
            return decode_chunk(data)
        except ShapeError as error:
            if self._is_marker(data):
                return None
            why = scrub(str(error), self._secrets)
            raise self._fail(StreamDecodeError(f"event {self._count + 1} of the stream is no chunk of an answer: {why}")) from error

    def _is_marker(self, data: bytes | str) -> bool:
        """Whether ``data`` is a heartbeat, or the end, which is then dealt with."""
        text = (data.decode("utf-8", "replace") if isinstance(data, bytes) else data).strip()
        if text == _DONE:
            self.done = True
            self._complete()
        return text in ("", _DONE)

    def _without_half(self, text: str) -> str:
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return mend(text)

    def _over(self) -> None:
        """The connection ended by itself."""
        if self._state is not _OPEN:
            return
        if self._final is not None or self._accumulator.is_finished:
            self._complete()
        elif self._count == 0:
            hint = "Check api_base_url: something other than the API may have answered"
            raise self._fail(self._no_answer("there is no event in the stream", hint))
        else:
            raise self._fail(StreamInterruptedError("the connection ended before the answer did"))

    def _is_settled(self, error: Exception) -> bool:
        """Whether a failed read changes nothing: the stream was closed, or all had been said."""
        if self._state is _OPEN and self._accumulator.is_finished and isinstance(error, (StreamError, ApiConnectionError)):
            self._complete()
        return self._state is not _OPEN

    def _complete(self) -> None:
        final = self._final or self._accumulator.completion(self._http, self._request_id)
        if not final.choices:
            raise self._fail(self._no_answer("there are no choices in the stream"))
        if self._half and self._state is _OPEN and self._observer is not None:
            self._tell(self._observer.delta, mend(self._half))
        if self._state is not _OPEN:
            return
        self._final = final
        self._state = _ENDED
        self._text = ""
        try:
            if self._observer is not None:  # first: finishing may wait a moment for the end of the body
                self._observer.complete(final)
        finally:
            self._body.finish()

    def _fail(self, error: Exception) -> Exception:
        """End the stream with ``error``; give it, to be raised.

        Raises:
            StopIteration: the stream was closed meanwhile, and nobody wants to know.
        """
        if self._state is not _OPEN:
            raise StopIteration
        self._state = _FAILED
        if isinstance(error, AnimusError):
            error.partial = self.partial
            error.attempts = error.attempts if error.attempts is not None or self._http is None else self._http.attempts
            error.hint = error.hint or (_KEPT if error.partial is not None else None)
        self._failure = copy.copy(error)  # without its traceback, which leads back here
        self._body.close()
        if self._observer is not None:
            self._observer.failed(error)
        return error

    def _tell(self, listener: Callable[[str], None], text: str) -> None:
        try:
            listener(text)
        except BaseException:
            self.close()
            raise

    def _as_stream_error(self, error: ApiConnectionError) -> StreamError:
        if isinstance(error, ApiTimeoutError):
            return StreamTimeoutError(error.message, limit=error.limit, sent=error.sent, hint=error.hint)
        return StreamInterruptedError(error.message, hint=error.hint)

    def _said_error(self, said: Any) -> Exception:
        return api_error(said, partial=None, http=self._http, request_id=self._request_id, secrets=self._secrets)

    def _no_answer(self, why: str, hint: str | None = None) -> ResponseDecodeError:
        http = self._http
        return ResponseDecodeError(
            f"the API answered with success, but {why}",
            status=http.status if http is not None else None,
            request_id=self._request_id or (http.request_id if http is not None else None),
            hint=hint,
        )


def _value_of(data: str) -> Any:
    """Give an error event's data: JSON, or else text."""
    try:
        return loads(data)
    except ShapeError:
        return data
