"""What a session does not take along when it is pickled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import requests

from animus._credential import names_credential
from animus._secret import scrub
from animus.transport.bearer import BearerAuth


def refuse_secrets(session: requests.Session) -> None:
    """Let only a session pass that holds no credentials.

    Raises:
        TypeError: it does; the text names them, and shows none.
    """
    found = list(_secrets_of(session))
    if found:
        raise TypeError(
            f"the session is not pickled: {', '.join(found)} may be secret. Put them on the session where it arrives, in a function of "
            "a module that reads them there; proxies may stand in HTTPS_PROXY of its environment"
        )


def _secrets_of(session: Any) -> Iterator[str]:
    for what, pairs in (("headers", session.headers.items()), ("params", _pairs(session.params))):
        for name, value in pairs:
            if value and (names_credential(_text(name)) or scrub(_text(value)) != _text(value)):
                yield f"{what}[{_text(name)!r}]"
    yield from (f"cookies[{cookie.name!r}]" for cookie in session.cookies)  # any may say who somebody is
    yield from (f"proxies[{name!r}]" for name, proxy in session.proxies.items() if "@" in _text(proxy))
    if any("@" in url.partition("://")[2].partition("/")[0] for url in (session.base_url, *session._extra_origins)):
        yield "the user in base_url"
    if _is_literal(session.auth):
        yield "auth"


def _pairs(params: Any) -> list[tuple[Any, Any]]:
    """Give the parameters in any of the forms that requests takes."""
    if isinstance(params, (str, bytes)):
        return parse_qsl(_text(params))
    return list(params.items() if isinstance(params, Mapping) else params or ())


def _is_literal(auth: Any) -> bool:
    """Tell whether it holds a secret itself; one that reads it when it is needed may travel."""
    if auth is None or isinstance(auth, BearerAuth):
        return False
    kept = getattr(auth, "__dict__", {})
    return isinstance(auth, tuple) or any(names_credential(name) and isinstance(value, (str, bytes)) for name, value in kept.items())


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
