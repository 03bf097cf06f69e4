"""What the emulator sees: always the same in the same picture, of which it looks at nothing but the address.

A video is what ends like one (``.mp4``, ``.mov``, …) or is ``data:video/…``. The words of its file name are among its tags. One
whose name has "corrupt" in it cannot be read.
"""

from __future__ import annotations

import re
import zlib
from typing import Any
from urllib.parse import unquote, urlsplit

KINDS = ("categories", "participants", "actions", "scene", "tags")

_VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".ts")
_SEEN = {
    "categories": ("outdoor", "indoor", "portrait", "nature", "city", "sport"),
    "participants": ("one person", "two people", "a group", "an animal", "nobody"),
    "actions": ("walking", "talking", "sitting", "running", "smiling", "waiting"),
    "scene": ("beach", "street", "kitchen", "forest", "office", "stage"),
    "tags": ("daylight", "evening", "close-up", "wide shot", "colourful", "calm"),
}
_FRAMES = 3
_SECONDS_BETWEEN = 10


def is_video(url: str) -> bool:
    """Tell whether an address is a video's."""
    if url[:5].lower() == "data:":
        return url[5:11].lower() == "video/"
    return _path_of(url).lower().endswith(_VIDEO_ENDINGS)


def is_readable(url: str) -> bool:
    """Tell whether what is at an address can be read."""
    return "corrupt" not in name_of(url).lower()


def name_of(url: str) -> str:
    """Give the file name in an address, or for a data URI what kind of data it is."""
    if url[:5].lower() == "data:":
        return url[5:].partition(",")[0].partition(";")[0] or "text/plain"
    return unquote(_path_of(url).rpartition("/")[2])


def seen_in(url: str, kinds: list[str], at: int = 0) -> dict[str, list[str]]:
    """Give what is to be seen at an address (``at`` so many seconds in a video), of the given kinds only."""
    return {kind: _seen(url, kind, at) for kind in KINDS if kind in kinds}


def seen_through(url: str, kinds: list[str], *, by_scenes: bool) -> list[dict[str, Any]]:
    """Give what is to be seen in a video, frame by frame; ``by_scenes`` takes fewer frames."""
    frames = _FRAMES - 1 if by_scenes else _FRAMES
    times = [number * _SECONDS_BETWEEN for number in range(frames)]
    return [{"timestamp": f"00:00:{at:02d}", **seen_in(url, kinds, at)} for at in times]


def _path_of(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:  # no address, whatever it is
        return ""


def _seen(url: str, kind: str, at: int) -> list[str]:
    words = _SEEN[kind]
    number = zlib.crc32(f"{kind} {at} {url}".encode("utf-8", "surrogatepass"))
    found = [words[number % len(words)]]
    return found + _words_in(name_of(url)) if kind == "tags" else found


def _words_in(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[^\W\d_]{3,}", name.rpartition(".")[0])][:5]
