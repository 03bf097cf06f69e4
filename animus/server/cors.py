"""Which web pages may ask for a token, and what a browser is told about it (the Fetch standard's CORS protocol)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from animus import _check
from animus._http_date import header
from animus._origin import origin_of
from animus.errors import ConfigurationError

METHODS = "POST, OPTIONS"
_ALWAYS_ALLOWED = ("Accept", "Authorization", "Cache-Control", "Content-Type", "X-CSRFToken", "X-Requested-With")
_MAX_AGE = 600  # seconds a browser may remember a preflight
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")

Headers = Mapping[str, str]


class CrossOrigin:
    """Judges requests by the page they come from, and gives the headers for it.

    A page of the endpoint's own origin may always ask. One of another origin may if that is in the list, letter by letter; others are
    refused outright, not only kept from reading the answer: no token is made for them. Requests that no browser page makes have no
    origin, and are not this class's matter.

    Args:
        origins: Origins of pages such as ``https://app.example.com``. ``"*"`` stands for all, and only without credentials.
        credentials: Whether pages of those origins may send cookies.
        allow_headers: Further request headers that they may send.

    Raises:
        ConfigurationError: not an origin, or ``"*"`` together with credentials.
    """

    def __init__(self, origins: Iterable[str] | str = (), *, credentials: bool = True, allow_headers: Iterable[str] = ()) -> None:
        origins = [origins] if isinstance(origins, str) else list(origins)
        self.credentials: bool = _check.boolean("credentials", credentials)
        self.every_origin: bool = "*" in origins
        if self.every_origin and credentials:
            raise ConfigurationError(
                'origins="*" together with credentials would give every web page in the world the tokens of your signed-in users',
                hint='List the exact origins of your pages, such as "https://app.example.com"; '
                "or pass credentials=False if users sign in without cookies",
            )
        self.origins: frozenset[str] = frozenset(_checked_origin(origin) for origin in origins if origin != "*")
        self._allow_headers = ", ".join((*_ALWAYS_ALLOWED, *map(_checked_header, _list("allow_headers", allow_headers))))

    def admits(self, headers: Headers) -> bool:
        """Tell whether the page that makes this request may ask for a token."""
        origin, site = header(headers, "origin"), header(headers, "sec-fetch-site")
        if self.every_origin or site == "same-origin":  # a browser sets Sec-Fetch-*; no page can
            return True
        if origin is None:
            return site not in ("cross-site", "same-site")
        return origin in self.origins or _is_host(origin, header(headers, "host"))

    def headers(self, headers: Headers, *, preflight: bool = False) -> list[tuple[str, str]]:
        """Give the headers that let the page read the answer; none if it is not in the list. Nothing in them comes from the request
        but an origin that is in the list."""
        origin = header(headers, "origin")
        if origin is None or not (self.every_origin or origin in self.origins):
            return []
        given = [("Access-Control-Allow-Origin", "*" if self.every_origin else origin)]
        if self.credentials:
            given.append(("Access-Control-Allow-Credentials", "true"))
        if not preflight:
            return [*given, ("Access-Control-Expose-Headers", "Retry-After")]
        return [
            *given,
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", self._allow_headers),
            ("Access-Control-Max-Age", str(_MAX_AGE)),
        ]


def _checked_origin(origin: object) -> str:
    """Give an origin as browsers write it (RFC 6454 section 6.2)."""
    text = _check.text("origins", origin).strip()
    example = "an origin such as https://app.example.com"
    if "*" in text:
        raise _check.refuse("origins", text, example, hint=f"{text!r}: there are no patterns, each origin is listed")
    try:
        parts = urlsplit(text)
        found = str(origin_of(text))
    except ValueError as error:
        raise _check.refuse("origins", text, example, hint=f"{text!r} is {error}") from None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or text.endswith(("?", "#")):
        raise _check.refuse("origins", text, f"{example}: scheme, host and port alone", hint=f"Did you mean {found!r}?")
    return found


def _checked_header(name: object) -> str:
    if not isinstance(name, str) or _TOKEN.fullmatch(name) is None or name == "*":
        raise _check.refuse("allow_headers", name, "names of headers")
    return name


def _list(field: str, values: Iterable[str] | str) -> list[str]:
    if isinstance(values, str):
        raise _check.refuse(field, values, "a list of texts")
    return list(values)


def _is_host(origin: str, host: str | None) -> bool:
    """Tell whether the page comes from the host that was asked. Its scheme is not compared: behind a proxy that ends TLS it differs."""
    if host is None or _HOST.fullmatch(host) is None:
        return False
    try:
        theirs = origin_of(origin)
        return theirs == origin_of(f"{theirs.scheme}://{host}")
    except ValueError:
        return False
