"""Writing what came from elsewhere to a terminal."""

from __future__ import annotations

import sys
import unicodedata


def harmless(text: str) -> str:
    r"""Give ``text`` without control characters: a reply must not move the cursor, set a title or fill the clipboard.

    >>> harmless("a\tb\x1b[2Jc\r\n\x9bd")
    'a\tb[2Jc\nd'
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def write(text: str) -> None:
    """Write ``text`` to standard output at once; on a terminal without control characters, to a file as it is."""
    out = sys.stdout
    out.write(harmless(text) if out.isatty() else text)
    out.flush()
