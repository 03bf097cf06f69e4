"""From an answer that is no success to the package's error."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from animus._check import UNSET
from animus._secret import scrub, scrub_deep
from animus.errors import ApiError, class_for_status
from animus.http.failure import without_authorization
from animus.http.retry_after import retry_after
from animus.models.answer import REQUEST_ID_HEADERS

logger: logging.Logger = logging.getLogger(__name__)
_PIECE = 65536
_LONGEST_TEXT = 200
LONGEST_BODY = 8192

_HINTS = {
    401: "The API refused the token, also a new one: check that token provider and api_base_url belong to the same platform",
    402: "The organisation has no plan or not enough credit",
    403: "The token is valid, but not allowed to do this",
    404: "Check api_base_url (its version segment above all) and the id",
    405: "Check api_base_url",
}


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Give the id the API gave the request, or None."""
    for name in REQUEST_ID_HEADERS:
        value = headers.get(name)
        if value:
            return value[:200]
    return None


def message_in(data: Any) -> str | None:
    """Find the message in a decoded error body.

    A body that is one JSON string is the message. Else, in order: ``message``, ``detail`` (a text, or a FastAPI list,
    written ``loc: msg; …``), ``error.message``, ``error``.
    """
    if isinstance(data, str):
        return data[:_LONGEST_TEXT] if data.strip() else None
    if not isinstance(data, Mapping):
        return None
    message = data.get("message")
    if isinstance(message, str) and message.strip():
        return message
    detail = data.get("detail")
    if isinstance(detail, str) and detail.strip():
        return detail
    if isinstance(detail, list):
        entries = [entry for entry in map(_detail_entry, detail) if entry.strip()]
        if entries:
            return "; ".join(entries)
    if isinstance(detail, Mapping):
        return message_in(detail) or json.dumps(detail)[:_LONGEST_TEXT]
    return message_in(data.get("error"))


def _detail_entry(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    where = entry.get("loc")
    place = ".".join(str(part) for part in where) if isinstance(where, (list, tuple)) else ""
    text = str(entry.get("msg") or entry.get("message") or json.dumps(dict(entry)))
    return f"{place}: {text}" if place else text


def api_error(
    response: requests.Response,
    *,
    now: float,
    attempts: int | None = None,
    secrets: Iterable[str] = (),
    hint: str | None = None,
) -> ApiError:
    """Give the error for an answer that is no success.

    Args:
        response: Its body is read here if it has not been.
        now: Wall-clock seconds, for a Retry-After that is a date.
        secrets: Texts that must not be shown, also if the server echoes them.
    """
    secrets = tuple(secrets)
    text = body_text(response)
    data = _json_of(text)
    message = message_in(data)
    if message is None and text.strip() and data is UNSET and not text.lstrip().startswith("<"):
        message = text.strip()[:_LONGEST_TEXT]
    status = response.status_code
    shown = f"the API answered {status} {response.reason or ''}".rstrip()
    return class_for_status(status)(
        f"{shown}: {scrub(message, secrets)[:1000]}" if message else shown,
        status=status,
        error_data=None if data is UNSET else scrub_deep(data, secrets),
        body=scrub(text[:LONGEST_BODY], secrets),
        request_id=request_id_of(response.headers),
        response=bare_response(response, secrets),
        retry_after=retry_after(response.headers, now),
        hint=hint or _HINTS.get(status),
        attempts=attempts,
    )


def body_text(response: requests.Response) -> str:
    """Give the body as text: what could be read of one that breaks off, nothing of one that was streamed before.

    The response has that as its content afterwards, and can be copied.
    """
    if response._content is False:
        pieces: list[bytes] = []
        try:
            for piece in response.iter_content(_PIECE):
                pieces.append(piece)
        except (requests.RequestException, HTTPError, OSError, RuntimeError):
            logger.debug("the body of an answer %s broke off after %d pieces", response.status_code, len(pieces))
        response._content = b"".join(pieces)
        response._content_consumed = True
    return (response.content or b"").decode("utf-8-sig", "replace")


def _json_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return UNSET


def bare_response(response: requests.Response, secrets: Iterable[str] = ()) -> requests.Response:
    """Give a copy of a response whose requests, those of its history too, have no Authorization, and that echoes no secret."""
    secrets = tuple(secrets)
    bare = copy.copy(response)
    bare.request = without_authorization(response.request)
    bare.history = [bare_response(earlier, secrets) for earlier in response.history]
    bare.headers = CaseInsensitiveDict({name: scrub(value, secrets) for name, value in response.headers.items()})
    text = (response.content or b"").decode("utf-8", "surrogateescape")
    shown = scrub(text, secrets)
    if shown != text:
        bare._content = shown.encode("utf-8", "surrogateescape")
    return bare
