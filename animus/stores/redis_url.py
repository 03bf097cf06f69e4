"""URLs of a Redis, and the secrets in them."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from animus import _check
from animus._secret import Secret

_DATABASE = re.compile(r"(/\d*)?")
_HINT = "What means something in a URL (@ / ? #) must be percent-encoded in a password, and an @ in a path, too"


def checked_redis_url(field: str, url: object) -> Secret:
    """Give ``url`` hidden, its scheme in lower case, if it is one of a Redis: ``redis://``, ``rediss://``, ``unix://``.

    Raises:
        ConfigurationError: it is none; it is not shown.
    """
    text = _check.text(field, url).strip()
    try:
        parts = urlsplit(text)
        usable = text.lower().startswith(f"{parts.scheme}://") and _is_usable(parts)
    except ValueError:
        usable = False
    if not usable:
        raise _check.refuse(field, url, "a URL such as redis://localhost:6379/0", hint=_HINT)
    return Secret(parts.scheme + text[len(parts.scheme) :])


def _is_usable(parts: SplitResult) -> bool:
    # a password with a character that ends it leaves the rest of itself, and the @ behind it, in what comes after
    if parts.fragment or "@" in parts.path or "@" in parts.query:
        return False
    if parts.scheme == "unix":
        return not parts.netloc.rpartition("@")[2] and len(parts.path) > 1
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname and parts.port != 0 and _DATABASE.fullmatch(parts.path))


def passwords_in(url: str) -> list[Secret]:
    """Give all of a URL that may be a password, as written and as meant."""
    parts = urlsplit(url)
    # a user without a password is one who forgot the colon before it
    written = [parts.username if parts.password is None else parts.password]
    written.extend(value for name, value in parse_qsl(parts.query) if "password" in name.lower())
    return [Secret(text) for password in written if password for text in (password, unquote(password))]
