"""Parts of a path."""

from __future__ import annotations

from urllib.parse import quote


def path_part(field: str, value: object) -> str:
    """Give ``value`` as one part of a path, percent-encoded (RFC 3986 section 2.1): it can lead to no other endpoint.

    Raises:
        ValueError: no text, a blank one, or one that cannot be a part of a path; the message names ``field``.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} must be a non-blank string")
    if value in (".", ".."):  # encoded or not, they mean a step in the path (RFC 3986 section 6.2.2.2 and 6.2.2.3)
        raise ValueError(f"{field} must not be {value!r}")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise ValueError(f"{field} has half a character in it (a lone surrogate)") from None
