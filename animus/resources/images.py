"""``POST /generate/image``, and the image it gives."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from animus._atomic import write_atomically
from animus._markdown import image_markdown
from animus._secret import scrub_deep, shape_of
from animus.http.timeouts import Timeouts
from animus.resources.body import encode_body
from animus.transport.api import ApiAnswer, call_api
from animus.transport.call import Cancellation
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

_PATH = "/generate/image"


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """An image that was made. ``str()`` gives its URL.

    Attributes:
        url: Where it is.
        prompt: What was asked for.
        raw: The API's answer as sent.
    """

    url: str
    prompt: str = ""
    raw: Any = field(default=None, repr=False)
    _session: AnimusSession | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return self.url

    def __reduce__(self) -> Any:  # the session stays here: an image is data
        return GeneratedImage, (self.url, self.prompt, self.raw)

    def fetch(self, *, timeouts: Timeouts | None = None) -> bytes:
        """Download the image. The token goes along only if it is at the API's own origin.

        Raises:
            ApiError, ApiConnectionError: it could not be had.
        """
        return self._download(timeouts).response.content

    def _download(self, timeouts: Timeouts | None) -> ApiAnswer:
        if self._session is None:
            raise ValueError("this image has no connection to a client (it was unpickled); download .url yourself")
        return call_api(self._session, "GET", self.url, headers={"Accept": "image/*"}, timeouts=timeouts)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False, timeouts: Timeouts | None = None) -> Path:
        """Download the image into a file; the file is there whole or not at all.

        Args:
            path: The file; a folder gets a name from the URL.
            overwrite: Replace a file that is there.

        Raises:
            FileExistsError: it is there, and ``overwrite`` is not set.
            ApiError, ApiConnectionError: the image could not be had.
        """
        target = Path(path)
        if target.is_dir():
            target = target / (self.url.partition("?")[0].rstrip("/").rpartition("/")[2] or "image.png")
        if target.exists() and not overwrite:  # before the download, not after
            raise FileExistsError(f"{target} is there already; pass overwrite=True to replace it")
        write_atomically(target, self.fetch(timeouts=timeouts), overwrite=overwrite)
        return target

    def _repr_html_(self) -> str:
        return f'<img src="{html.escape(self.url, quote=True)}" alt="{html.escape(self.prompt, quote=True)}">'

    def _repr_markdown_(self) -> str:
        return image_markdown(self.url, self.prompt)


def checked_prompt(prompt: object, input_image_url: object) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: a blank prompt, or a blank URL of an image to change (which would make a new one).
    """
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("the prompt must be a non-blank string")
    if input_image_url is not None and (not isinstance(input_image_url, str) or not input_image_url.strip()):
        raise ValueError("input_image_url must be a non-blank string; leave it out to make a new image")


def generate_image(
    session: AnimusSession,
    prompt: str,
    input_image_url: str | None = None,
    *,
    timeouts: Timeouts | None = None,
    retry: RetryPolicy | None = None,
    cancellation: Cancellation | None = None,
) -> GeneratedImage:
    """Have an image made, or with ``input_image_url`` that one changed.

    Raises:
        ApiError, ApiConnectionError, AuthenticationError: as :func:`animus.transport.api.call_api`.
        ResponseDecodeError: there is no URL in the answer.
    """
    body: dict[str, Any] = {"prompt": prompt}
    if input_image_url is not None:
        body["input_image"] = input_image_url
    answer = call_api(session, "POST", _PATH, body=encode_body(body), timeouts=timeouts, retry=retry, cancellation=cancellation)
    try:
        raw = msgspec.json.decode(answer.response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise answer.undecodable("an image", "it is not JSON", hint=None) from None
    url = _url_in(raw)
    if url is None:
        raise answer.undecodable("an image", f"no image URL in {shape_of(scrub_deep(raw, answer.secrets))}", hint=None)
    return GeneratedImage(url, prompt, raw, session)


def _url_in(raw: Any) -> str | None:
    """Find the URL: ``output`` or ``outputs``, a text or the first of a list (reference, section 10)."""
    if not isinstance(raw, Mapping):
        return None
    for name in ("output", "outputs"):
        value = raw.get(name)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and first.strip():
            return first
    return None
