"""Reading the head of an answer without the email package, which takes a fourteenth of a call for it.

``http.client`` hands the lines of a head to an email parser that knows folding, charsets and defects. The heads that
servers send are plain ``Name: value`` lines; those are read here, into the same ``HTTPMessage``. Any line that is not plain
sends the whole head to ``http.client``'s own parser, so that nothing is read differently.

``HTTPResponse.begin`` itself is run as it is, with another ``parse_headers`` in its globals: the standard library's code of
whichever version. Where that is not possible, :data:`AnswerHead` is the standard class.
"""

from __future__ import annotations

import http.client
import re
import types
from typing import Any

# RFC 9110 section 5.1 allows less; this is what the email parser takes for a name, but for its "From " line
_LINE = re.compile(rb"([\x21-\x39\x3b-\x7e]+):[ \t]*([^\r\n]*)\r?\n")

# the email parser looks for parts in the (empty) body behind such a head, and notes that there are none
_HAS_PARTS = re.compile(rb"(?i)content-type:\s*(multipart|message)")


def read_head(fp: Any, _class: Any = http.client.HTTPMessage) -> http.client.HTTPMessage:
    """Read the header lines from ``fp``, as ``http.client.parse_headers`` does.

    Raises:
        http.client.HTTPException: too many or too long lines, as there.
    """
    lines = http.client._read_headers(fp)  # type: ignore[attr-defined]  # keeps the limits
    fields = []
    match = _LINE.fullmatch
    for line in lines[:-1]:
        found = match(line)
        if found is None or _HAS_PARTS.match(line):
            return _by_email(lines, _class)
        fields.append((found[1].decode("ascii"), found[2].decode("iso-8859-1")))
    if lines[-1] not in (b"\r\n", b"\n"):
        return _by_email(lines, _class)
    message: http.client.HTTPMessage = _class()
    message._headers = fields  # type: ignore[attr-defined]  # what Message's own methods read
    message._payload = ""  # type: ignore[attr-defined]
    return message


def _by_email(lines: list[bytes], _class: Any) -> http.client.HTTPMessage:
    import email.parser

    parsed: http.client.HTTPMessage = email.parser.Parser(_class=_class).parsestr(b"".join(lines).decode("iso-8859-1"))
    return parsed


def _is_usable() -> bool:
    """Tell whether the private parts are there and do what they were found to do."""
    begin = http.client.HTTPResponse.begin
    if not isinstance(begin, types.FunctionType) or "parse_headers" not in begin.__code__.co_names or begin.__closure__:
        return False
    if not hasattr(http.client, "_read_headers"):
        return False
    message = http.client.HTTPMessage()
    message["A"] = "b"
    return getattr(message, "_headers", None) == [("A", "b")] and hasattr(message, "_payload")


def _answer_class() -> type[http.client.HTTPResponse]:
    standard = http.client.HTTPResponse
    if not _is_usable():
        return standard
    begin = types.FunctionType(standard.begin.__code__, {**vars(http.client), "parse_headers": read_head}, "begin")
    return type("AnswerHead", (standard,), {"__doc__": "An answer whose head is read by read_head().", "begin": begin})


AnswerHead: type[http.client.HTTPResponse] = _answer_class()
