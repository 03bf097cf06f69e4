"""Origins: scheme, host and port of a URL, and which of them a secret may be sent to."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from urllib3.util import parse_url

from animus._check import refuse, text
from animus._secret import bare_url
from animus.errors import ConfigurationError

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """RFC 6454: what must be equal for two URLs to belong to one site."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if _DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def origin_of(url: str) -> Origin:
    """Give the origin of an absolute http(s) URL.

    Read with urllib3's parser, because requests prepares URLs with that one: two parsers can be made to disagree.

    Raises:
        ValueError: no http(s) URL, or no host, or a bad port.
    """
    try:
        parts = parse_url(url)
    except ValueError:  # its text has the whole URL, which may hold a secret, in older releases
        raise ValueError("host or port cannot be read") from None
    scheme = (parts.scheme or "").lower()
    if scheme not in _DEFAULT_PORTS or not parts.host:
        raise ValueError("not an absolute http or https URL")
    return Origin(scheme, parts.host.strip("[]").rstrip(".").lower(), parts.port or _DEFAULT_PORTS[scheme])


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` certainly is this machine (RFC 6761 section 6.3 for ``localhost``)."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(field: str, url: object, *, allow_insecure_http: bool = False) -> str:
    """Give ``url`` stripped, if a secret may be sent to it.

    Raises:
        ConfigurationError: no absolute http(s) URL; or ``http`` to another machine without ``allow_insecure_http``.
    """
    stripped = text(field, url).strip()
    try:
        origin = origin_of(stripped)
    except ValueError as error:
        # without a scheme it may be anything, such as a key that was put in the wrong place
        shown = repr(bare_url(stripped)) if "://" in stripped else f"a text of {len(stripped)} characters without a scheme"
        raise refuse(field, url, "an absolute URL such as https://example.com/path", hint=f"{shown}: {error}") from None
    if any(c.isspace() or ord(c) < 32 for c in stripped):
        raise refuse(field, url, "a URL without white space in it")
    if origin.scheme == "http" and not is_loopback(origin.host) and not allow_insecure_http:
        raise ConfigurationError(
            f"{field} is http, so that tokens would cross the network in clear text ({bare_url(stripped)})",
            hint="Use https, or pass allow_insecure_http=True if that network is trusted",
        )
    return stripped
