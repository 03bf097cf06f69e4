"""The chunks of a body in the pieces in which they arrive.

urllib3 reads each chunk by itself: a line and two reads, a third of what a frame of a stream costs, and a piece for each,
which everything behind it pays for again. Here one read takes all that is there, and the chunks in it make one piece.

Safe, because it is only done for answers of :mod:`animus.http.connection` whose body is chunked, not compressed and not begun
(:func:`chunked_source`); all others go urllib3's way. The framing is read as leniently as there, the exceptions are the same,
and so is what becomes of the connection.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator
from typing import Any

from urllib3.exceptions import IncompleteRead, InvalidChunkLength, ProtocolError, ReadTimeoutError, SSLError
from urllib3.response import HTTPResponse

from animus.http.head import AnswerHead

_PIECE = 65536
_LONGEST_LINE = 65536  # as http.client


def chunked_source(raw: HTTPResponse) -> io.BufferedReader | None:
    """Give what the chunks of an answer can be read from; None if urllib3 has to read them itself."""
    answer: Any = getattr(raw, "_original_response", None)
    if type(answer) is not AnswerHead or not getattr(answer, "chunked", False) or raw.headers.get("content-encoding"):
        return None
    if getattr(answer, "chunk_left", 0) is not None or getattr(raw, "chunk_left", 0) is not None:  # begun
        return None
    source = getattr(answer, "fp", None)
    return source if isinstance(source, io.BufferedReader) else None


def arrived_chunks(raw: Any, source: io.BufferedReader) -> Iterator[bytes]:
    """Give the body of ``raw``: with each piece the chunks, or the part of one, that a single read has found.

    At the end the connection goes back to its pool; it is closed before that if the body broke off, was not read to its end, or
    if there is more than the body.

    Raises:
        ReadTimeoutError, SSLError, ProtocolError: as :meth:`urllib3.response.HTTPResponse.stream`.
    """
    chunks = Chunks()
    is_reusable = False
    try:
        while not chunks.over:
            data = _read(raw, source)
            if not data:
                chunks.end()
                break
            piece = chunks.take(data)
            if piece:
                yield piece
            if chunks.broken is not None:
                raise _broken(InvalidChunkLength(raw, chunks.broken))
        is_reusable = not chunks.rest
    finally:
        raw._original_response.close()  # the answer alone; its connection lives on
        if not is_reusable:
            raw.close()
        raw.release_conn()


def _read(raw: Any, source: io.BufferedReader) -> bytes:
    try:
        return source.read1(_PIECE)
    except TimeoutError as error:
        raise ReadTimeoutError(raw._pool, None, "Read timed out.") from error
    except ssl.SSLError as error:
        raise SSLError(error) from error
    except OSError as error:
        raise _broken(error) from error


def _broken(error: Exception) -> ProtocolError:
    return ProtocolError(f"Connection broken: {error!r}", error)


class Chunks:
    """Takes the framing off (RFC 9112 section 7.1), wherever the bytes are cut.

    Attributes:
        over: The last chunk and the lines behind it were seen.
        rest: What came behind the end.
        broken: The line that is no length; what came before it is good.
    """

    def __init__(self) -> None:
        self.over: bool = False
        self.rest: bytes = b""
        self.broken: bytes | None = None
        self._line = b""  # the beginning of a line whose end has not come
        self._left = 0  # bytes of the chunk under way that have not come
        self._ending = 0  # bytes of the line end behind it that have not come
        self._is_last = False

    def take(self, data: bytes) -> bytes:
        """Give what ``data`` adds to the body."""
        if self._line:
            data, self._line = self._line + data, b""
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            if self._left or self._ending:
                at = self._go_on(data, at, pieces)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._keep(data[at:])
                break
            line, at = data[at:end], end + 1
            if self._is_last:  # its trailers
                if line in (b"\r", b""):
                    self.over, self.rest = True, data[at:]
                    break
                continue
            length = _length(line)
            if length is None:
                self.broken = line
                break
            if not length:
                self._is_last = True
            elif at + length + 2 <= size:  # whole, as most are
                pieces.append(data[at : at + length])
                at += length + 2
            else:
                self._left, self._ending = length, 2
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _go_on(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what there is of the chunk under way and of its line end; give the place behind it."""
        piece = data[at : at + self._left]
        if piece:
            pieces.append(piece)
            self._left -= len(piece)
            at += len(piece)
        passed = min(self._ending, len(data) - at)
        self._ending -= passed
        return at + passed

    def _keep(self, start: bytes) -> None:
        if len(start) > _LONGEST_LINE:
            self.broken = start[:32]
        self._line = start

    def end(self) -> None:
        """There will be no more bytes.

        Raises:
            ProtocolError: but there should be.
        """
        if self._left:
            raise _broken(IncompleteRead(0, self._left))
        if not self._is_last and _length(self._line) != 0:
            raise ProtocolError("Response ended prematurely")
        # some servers leave out the end of the last line, or the line behind it


def _length(line: bytes) -> int | None:
    try:
        length = int(line, 16)
    except ValueError:
        try:
            length = int(line.partition(b";")[0], 16)  # without its extensions
        except ValueError:
            return None
    return length if length >= 0 else None
