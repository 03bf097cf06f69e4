"""A request of the package itself by the short way: prepared from a template, with remembered settings.

``Session.request`` builds a ``Request``, merges settings seven times, parses and writes the URL anew, and makes three
cookie jars, to arrive at the same headers as for the call before. Here what does not change between two calls of one
kind is prepared once, by requests' own ``PreparedRequest.prepare``, which also checks it; each call copies it and adds
its body. The template is dropped when ``session.headers`` has changed.

It is not taken when the session has cookies, parameters or another auth, or when other people's tools have replaced a
part of requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import requests
from requests import PreparedRequest
from requests.models import REDIRECT_STATI
from requests.sessions import merge_setting
from requests.structures import CaseInsensitiveDict

from animus.http.environment import SettingsMemo, is_environment_all
from animus.http.express import copied_headers, plain_headers

# as imported: what is replaced later (responses, requests-mock, OpenTelemetry, …) is seen by comparison
_NAMES = ("send", "get_adapter", "request", "prepare_request", "merge_environment_settings")
_SESSION = {name: getattr(requests.Session, name) for name in _NAMES}
_PREPARE = PreparedRequest.prepare
_MOST = 64

__all__ = ["REDIRECT_STATI", "Templates", "send_is_untouched", "session_is_untouched"]


def send_is_untouched(session: requests.Session) -> bool:
    """Tell whether sending is what requests ships: nobody has replaced it for all sessions or for this one."""
    return (
        requests.Session.send is _SESSION["send"]
        and requests.Session.get_adapter is _SESSION["get_adapter"]
        and "get_adapter" not in session.__dict__
    )


def session_is_untouched(session: requests.Session) -> bool:
    """Tell whether preparing is what requests ships, too."""
    own = session.__dict__
    return (
        requests.Session.request is _SESSION["request"]
        and requests.Session.prepare_request is _SESSION["prepare_request"]
        and requests.Session.merge_environment_settings is _SESSION["merge_environment_settings"]
        and PreparedRequest.prepare is _PREPARE
        and "request" not in own
        and "prepare_request" not in own
        and "merge_environment_settings" not in own
        and "send" not in own
    )


class _Template(NamedTuple):
    session_headers: dict[str, Any]
    url: str
    headers: CaseInsensitiveDict[Any]


class Templates:
    """Prepared requests of one session by kind, and its settings.

    Threads: any; each entry is one value under one key, and is made again if it gets lost.
    """

    def __init__(self) -> None:
        self._templates: dict[Any, _Template] = {}
        self._settings = SettingsMemo()

    def prepared(
        self, session: requests.Session, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> PreparedRequest | None:
        """Give a request for ``url`` (absolute) without its Authorization, or None if it must be prepared the long way."""
        if session.params or not _is_empty(session.cookies) or not session_is_untouched(session):
            return None
        key = (method, url, tuple(headers.items()))
        now = plain_headers(session.headers)
        template = self._templates.get(key)
        if template is None or template.session_headers != now:
            template = self._make(session, method, url, headers, now)
            if len(self._templates) >= _MOST:
                self._templates.clear()
            self._templates[key] = template
        request = PreparedRequest()
        request.method = method
        request.url = template.url
        request.headers = copied_headers(template.headers)
        if body is not None:
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        elif method not in ("GET", "HEAD"):
            request.headers["Content-Length"] = "0"
        request.hooks = {event: list(hooks) for event, hooks in session.hooks.items()}
        return request

    @staticmethod
    def _make(session: requests.Session, method: str, url: str, headers: Mapping[str, str], now: dict[str, Any]) -> _Template:
        whole = PreparedRequest()
        merged = merge_setting(dict(headers), session.headers, dict_class=CaseInsensitiveDict)
        whole.prepare(method=method, url=url, headers=merged)
        whole.headers.pop("Content-Length", None)
        return _Template(now, whole.url or url, whole.headers)

    def settings(self, session: requests.Session, url: str, stream: bool) -> dict[str, Any]:
        """Give proxies, verify and cert for a request, as ``session.merge_environment_settings`` does."""
        if not is_environment_all():
            return dict(session.merge_environment_settings(url, {}, stream, None, None))
        origin = url[: url.find("/", 8)]
        proxies = tuple(session.proxies.items()) if session.proxies else ()
        key = (origin, stream, session.stream, session.verify, session.cert, session.trust_env, proxies)
        try:
            return self._settings.get(key, lambda: session.merge_environment_settings(url, {}, stream, None, None))
        except TypeError:  # something in it that cannot be a key
            return dict(session.merge_environment_settings(url, {}, stream, None, None))


def _is_empty(jar: Any) -> bool:
    return next(iter(jar), None) is None
