"""From an error inside a stream to the package's exception."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from animus._secret import scrub, scrub_deep
from animus.errors import StreamApiError
from animus.http.status import message_in
from animus.models.answer import HttpInfo, mend
from animus.models.chat import ChatCompletion

_LONGEST_MESSAGE = 1000
_UNKNOWN = "the API reported an error in the stream, without a message"


def api_error(
    said: Any,
    *,
    partial: ChatCompletion | None,
    http: HttpInfo | None = None,
    request_id: str | None = None,
    secrets: Sequence[str] = (),
) -> StreamApiError:
    """Give the exception for what an API said in place of a chunk.

    Args:
        said: The event's decoded data, or its text: ``{"error": {...}}``, ``{"error": "..."}``, the bare error object, or
            anything at all.
        partial: What had arrived before.
        http, request_id: Of the answer.
        secrets: Texts that must not be shown.
    """
    whole = said if isinstance(said, Mapping) else {}
    inner = whole.get("error") or said
    fields = inner if isinstance(inner, Mapping) else whole
    message = inner if isinstance(inner, str) else _message(inner) or _message(whole)
    kind = fields.get("type")
    return StreamApiError(
        _shown(message, secrets)[:_LONGEST_MESSAGE] if message and message.strip() else _UNKNOWN,
        code=_plain(fields.get("code"), secrets),
        type=_shown(kind, secrets) if isinstance(kind, str) else None,
        status=_status(fields),
        error_data=_data(said, secrets),
        request_id=request_id or (http.request_id if http is not None else None),
        attempts=http.attempts if http is not None else None,
        partial=partial,
    )


def _message(fields: Any) -> str | None:
    try:
        return message_in(fields)
    except RecursionError:  # JSON may nest deeper than Python functions call
        return None


def _shown(text: str, secrets: Sequence[str]) -> str:
    return scrub(mend(text), secrets)


def _plain(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _shown(value, secrets)
    return value if isinstance(value, (int, float)) else None


def _status(fields: Mapping[str, Any]) -> int | None:
    """Give the HTTP status an error object names: some put it into ``code``."""
    for name in ("status", "status_code", "code"):
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599:
            return value
    return None


def _data(said: Any, secrets: Sequence[str]) -> Any:
    try:
        return scrub_deep(said, secrets)
    except RecursionError:
        return None
