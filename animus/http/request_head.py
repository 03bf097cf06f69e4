"""Writing the same head of a request again, without putting it together again.

For every request urllib3 and http.client check and encode each header line by itself: an eighth of a call. The requests of a
session differ in their bodies; their heads are the same, but for the length, until the token is renewed. So a connection
remembers the last head that went out, and when the next one is to have the same method, target and headers, those bytes go out.

Safe, because

* what is remembered was written by urllib3 and http.client themselves, with all their checks (the guard against header
  injection among them), and is used for equal values in equal order only;
* the length is not remembered, but counted: :func:`remembered` insists that it is that of the body;
* the connection has to be idle, as http.client demands;
* tools that put themselves into the way a head is written (tracers add headers there) are found by :func:`untouched`;
* the private attributes this needs are looked for on each connection; where one is missing nothing is remembered.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import Any, NamedTuple

from urllib3.connection import HTTPConnection, HTTPSConnection

_STATE, _ANSWER = "_HTTPConnection__state", "_HTTPConnection__response"
_PRIVATE = (_STATE, _ANSWER, "_method", "_response_options")
_LENGTH = "Content-Length"
_IDLE = "Idle"


def _writers() -> tuple[Any, ...]:
    standard, plain, secure = http.client.HTTPConnection, HTTPConnection, HTTPSConnection
    return (
        *(standard.putrequest, standard.putheader, standard.endheaders, standard.send),
        *(plain.request, plain.putrequest, plain.putheader, plain.endheaders),
        *(secure.request, secure.putrequest, secure.putheader, secure.endheaders),
    )


_FOUND = _writers()


def untouched(connection: Any) -> bool:
    """Tell whether what writes heads is what was imported (sentry-sdk, for one, puts its own ``putrequest`` there)."""
    own = vars(connection)  # discreet.py puts one there
    return "putrequest" not in own and "putheader" not in own and _writers() == _FOUND


class RequestHead(NamedTuple):
    """A head that went out over a connection.

    Attributes:
        wanted: What it was made of: method, target, headers and options.
        before: Its bytes up to the length.
        after: Its bytes behind the length.
        state: What http.client says of a connection that waits for an answer.
        options: What urllib3 keeps for the answer.
    """

    wanted: tuple[Any, ...]
    before: bytes
    after: bytes
    state: str
    options: Any


def wanted(method: str, url: str, headers: Mapping[str, Any] | None, body: bytes, options: Mapping[str, Any]) -> tuple[Any, ...]:
    """Give all that a head depends on but the length of the body."""
    fields = headers or {}
    if fields.get(_LENGTH) == str(len(body)):  # another length is what somebody insists on
        fields = {**fields, _LENGTH: ""}
    return method, url, tuple(fields.items()), tuple(options.items())


def remembered(connection: Any, made_of: tuple[Any, ...], head: bytes, body: bytes) -> RequestHead | None:
    """Give a head that has just gone out over ``connection``; None if it is not one to use again."""
    missing = [name for name in _PRIVATE if not hasattr(connection, name)]
    before, mark, rest = head.partition(b"\r\n%s: %d\r\n" % (_LENGTH.encode(), len(body)))
    if missing or not mark or not untouched(connection) or connection.proxy is not None or head.lower().count(b"\r\ncontent-length:") != 1:
        return None
    options = connection._response_options
    return RequestHead(made_of, before, rest, getattr(connection, _STATE), options)


def written_again(connection: Any, known: RequestHead, made_of: tuple[Any, ...], body: bytes) -> bytes | None:
    """Give the head for another body, and have the connection wait for the answer; None if it is another head."""
    if known.wanted != made_of or getattr(connection, _STATE) != _IDLE or not untouched(connection):
        return None
    answer = getattr(connection, _ANSWER)
    if answer is not None and not answer.isclosed():
        return None
    setattr(connection, _ANSWER, None)
    setattr(connection, _STATE, known.state)
    connection._method = made_of[0]
    connection._response_options = known.options  # a tuple of what is in ``made_of``
    return b"%s\r\n%s: %d\r\n%s" % (known.before, _LENGTH.encode(), len(body), known.after)
