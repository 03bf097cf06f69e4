"""A streamed body as prompt pieces of bytes, with time limits, closable from any thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from animus import _fork
from animus._secret import bare_url
from animus.errors import StreamInterruptedError, StreamTimeoutError
from animus.http.chunks import arrived_chunks, chunked_source
from animus.http.failure import limit_hint, sort_failure
from animus.http.timeouts import Deadline, Timeouts
from animus.http.watchdog import Guard

logger: logging.Logger = logging.getLogger(__name__)

_PIECE = 65536
_FINISH = 0.05  # seconds the end of a body may take after its last event, before the connection is given up


class BodyStream:
    """The bytes of a streamed answer, as they arrive.

    Of a chunked body all chunks that are there make a piece; others are read by ``read1``, which gives what is there: reading
    a fixed amount from a body that ends with the connection would hold the first event back until the last.

    Threads: one reads; any may :meth:`close`, which ends a blocked read at once. Fork: the stream stays its parent's; reading on
    in the child is an error, and closing it there leaves the parent's connection alone.

    Args:
        response: An answer whose body was not read; owned from here on.
        guard: The guard of its connection, or None (no limits).
        timeouts: ``first_event`` and ``idle`` are obeyed.
        deadline: The end of the whole call.
    """

    def __init__(
        self,
        response: requests.Response,
        *,
        guard: Guard | None = None,
        timeouts: Timeouts | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        self._response = response
        self._guard = guard
        self._timeouts = timeouts or Timeouts()
        self._deadline = deadline
        self._closed = False
        self._inherited = False
        self._paused = False
        self._limit: str = ""
        self._left: float | None = None
        # one iterator for reader and finish(): urllib3 ends the connection when the one it began with is thrown away
        self._source = self._pieces()
        _fork.register(self)
        if guard is not None and guard.due is None and guard.fired is None:  # else it runs since the request was sent
            self._arm("first_event", self._timeouts.first_event)

    def _reset_after_fork(self) -> None:
        self._closed = self._inherited = True

    def _arm(self, limit: str, seconds: float | None) -> None:
        if self._guard is None:
            return
        left = self._deadline.remaining() if self._deadline is not None else None
        if left is not None and (seconds is None or left < seconds):
            limit, seconds = "deadline", max(0.0, left)
        if seconds is None:
            self._guard.disarm()
        else:
            self._guard.arm(limit, seconds)

    def event_arrived(self) -> None:
        """Begin the ``idle`` limit anew: a real event came."""
        if self._paused:
            self._limit, self._left = "idle", self._timeouts.idle
        else:
            self._arm("idle", self._timeouts.idle)

    def _pause(self) -> None:
        """Stop the limit while the reader works on what it got: the server is not silent then."""
        if self._guard is not None:
            self._limit, self._left = self._guard.limit, self._guard.remaining()
            self._paused = True
            self._guard.disarm()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._arm(self._limit, self._left)

    def __iter__(self) -> Iterator[bytes]:
        """Give the bytes piece by piece.

        Raises:
            StreamTimeoutError: a limit fired; ``.limit`` says which.
            StreamInterruptedError: the connection broke off, or it is that of a parent process.
        """
        self._demand_ours()
        try:
            for piece in self._source:
                if self._fired() or self._closed:
                    break
                self._pause()
                yield piece
                self._demand_ours()
                self._resume()
        except (requests.RequestException, HTTPError, OSError) as error:
            if self._closed:
                return
            failure = self._failure(error)
            self.close()
            raise failure from error
        except (ValueError, AttributeError):
            # what urllib3 and http.client do when another thread closes the body under their hands
            if self._closed:
                return
            self.close()
            raise
        if self._closed:
            return
        if self._fired():
            failure = self._failure(None)
            self.close()
            raise failure
        self._release()

    def _fired(self) -> bool:
        return self._guard is not None and self._guard.fired is not None

    def _pieces(self) -> Iterator[bytes]:
        raw = self._response.raw
        if not isinstance(raw, HTTPResponse):  # somebody's stand-in, such as vcrpy's
            yield from self._response.iter_content(chunk_size=None)
        elif raw.chunked:
            source = chunked_source(raw)
            yield from arrived_chunks(raw, source) if source is not None else raw.stream(_PIECE, decode_content=True)
        else:
            while piece := raw.read1(_PIECE, decode_content=True):
                yield piece

    def _demand_ours(self) -> None:
        _fork.check_pid()
        if self._inherited:
            where = bare_url(self._response.url)
            raise StreamInterruptedError(
                f"the stream from {where} belongs to the process that began it", hint="Begin a stream of its own in the forked child"
            )

    def _failure(self, error: Exception | None) -> StreamInterruptedError | StreamTimeoutError:
        where = bare_url(self._response.url)
        limit = self._guard.exceeded() if self._guard is not None else None
        failure = sort_failure(error) if error is not None else None
        if limit is None and failure is not None:
            limit = failure.limit
        if limit is not None:
            silent = {"first_event": "no event of the stream came", "idle": "the stream fell silent", "read": "the stream fell silent"}
            return StreamTimeoutError(
                f"{silent.get(limit, 'the stream took too long')} ({where})", limit=limit, sent=True, hint=limit_hint(limit)
            )
        return StreamInterruptedError(f"the stream from {where} broke off: {failure.text if failure else 'closed'}")

    def finish(self) -> None:
        """The answer is complete: give the connection back to the pool if the body ends at once, else end it.

        The reader calls it after the last event. The end of a chunked body usually came with that event.
        """
        _fork.check_pid()
        if self._closed:
            return
        if self._guard is None or self._fired():  # nothing would end the wait for the end
            self.close()
            return
        self._guard.arm("finish", _FINISH)
        try:
            for _ in self._source:
                if self._fired():
                    break
            else:
                if not self._fired():
                    self._release()
        except (requests.RequestException, HTTPError, OSError, ValueError, AttributeError):
            # nothing is lost: what was asked for had arrived
            logger.debug("the connection was not reusable after the last event", exc_info=True)
        self.close()

    def _release(self) -> None:
        """The body was read to its end: the connection belongs to the pool again."""
        self._closed = True
        if self._guard is not None:
            self._guard.release()
        self._response.close()

    def close(self) -> None:
        """End the connection; a read that is blocked in another thread ends at once. May be called again."""
        _fork.check_pid()
        if self._closed:
            return
        self._closed = True
        if self._guard is not None:
            self._guard.shut()
            self._guard.release()
        self._response.close()
