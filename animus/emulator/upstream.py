"""Relaying chat completions to another OpenAI-compatible server, so that a real model speaks through the emulator."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from animus._origin import is_loopback
from animus.emulator.problem import Problem

if TYPE_CHECKING:
    import requests

logger: logging.Logger = logging.getLogger(__name__)

# RFC 9110 section 7.6.1, and what the emulator says by itself
_NOT_RELAYED = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "date",
        "server",
        "set-cookie",
        "content-length",
    }
)
_ANIMUS_FIELDS = frozenset({"autoTurn", "compliance", "check_image_generation", "reasoning", "show_reasoning"})
_TIMEOUT = (10.0, 600.0)  # connecting; silence, which for a large model on a small machine is long
_LARGEST_PIECE = 65536


def relay(base_url: str, key: str | None, body: Mapping[str, Any]) -> tuple[int, list[tuple[str, str]], Iterator[bytes]]:
    """Ask ``base_url``/chat/completions; give status, headers and body, the latter piece by piece as it comes.

    Fields that only Animus knows are left out, since some servers refuse unknown ones. Redirects are not followed.

    Raises:
        Problem: 502, the server cannot be reached.
    """
    import requests

    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    session = requests.Session()
    session.trust_env = not is_loopback(urlsplit(base_url).hostname or "")  # a proxy has no way to this machine's servers
    try:
        answer = session.post(
            f"{base_url.rstrip('/')}/chat/completions",
            data=json.dumps({name: value for name, value in body.items() if name not in _ANIMUS_FIELDS}),
            headers=headers,
            auth=_as_it_is,
            timeout=_TIMEOUT,
            stream=True,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        logger.debug("upstream: %s", type(error).__name__)
        raise Problem(502, f"The upstream server cannot be reached ({type(error).__name__})") from error
    kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _NOT_RELAYED]
    return answer.status_code, kept, _pieces(answer)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep the Authorization header: without an ``auth`` requests would replace it by what netrc has for the host."""
    return request


def _pieces(answer: requests.Response) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    with answer:
        try:
            while piece := answer.raw.read1(_LARGEST_PIECE, decode_content=False):
                yield piece
        except HTTPError as error:
            raise ConnectionAbortedError(f"the upstream server broke off ({type(error).__name__})") from error
