"""One exchange by the short way: what ``HTTPAdapter.send`` does, with the same calls of urllib3, but nothing twice.

``HTTPAdapter.send`` parses the URL three times, makes a pool key, checks that the CA bundle is there, and copies the
headers, for every request. Here the pool and the path of a URL are remembered, and the parts of the answer are made lazily
(:mod:`animus.http.response`). Each shortcut is safe because:

* a pool is remembered under its origin *and* verify and cert, and only without a proxy; ``verify=False`` on one call can
  never reach a pool of another;
* the path of a URL is a pure function of it;
* urllib3 gets the same arguments, so that gzip, keep-alive, limits and its exceptions stay as they are;
* when other people's tools have replaced a part of requests, this way is not taken (:func:`untouched`).
"""

from __future__ import annotations

from typing import Any

import requests
from requests import exceptions as from_requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import exceptions as from_urllib3
from urllib3.util import Timeout

from animus.http.response import LazyResponse

_SEND = HTTPAdapter.send
_BUILD_RESPONSE = HTTPAdapter.build_response
_MOST = 256


def untouched() -> bool:
    """Tell whether requests' adapter is the one that was imported (``responses`` puts another ``send`` into it)."""
    return HTTPAdapter.send is _SEND and HTTPAdapter.build_response is _BUILD_RESPONSE


class Routes:
    """Where requests of one adapter go: remembered pools, paths and time-outs.

    Threads: any; each entry is one value under one key, made again if it gets lost.
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[str, Any, Any], Any] = {}
        self._targets: dict[str, tuple[str, str]] = {}
        self._timeouts: dict[Any, Timeout] = {}

    def pools(self) -> list[Any]:
        """Give all remembered pools."""
        return list(self._pools.values())

    def clear(self) -> None:
        """Forget all; the adapter was closed, or the process forked."""
        self._pools.clear()

    def target(self, request: requests.PreparedRequest) -> tuple[str, str]:
        """Give scheme and authority of a request's URL, and what goes on its first line."""
        url = request.url or ""
        found = self._targets.get(url)
        if found is None:
            scheme, _, rest = url.partition("://")
            end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
            found = (f"{scheme.lower()}://{rest[:end].lower()}", request.path_url)
            if len(self._targets) >= _MOST:
                self._targets.clear()
            self._targets[url] = found
        return found

    def pool(self, adapter: HTTPAdapter, origin: str, request: requests.PreparedRequest, verify: Any, cert: Any) -> Any:
        """Give the pool of an origin, as ``get_connection_with_tls_context`` and ``cert_verify`` make it."""
        key = (origin, verify, cert)
        pool = self._pools.get(key)
        if pool is None or pool.pool is None:  # closed meanwhile
            pool = adapter.get_connection_with_tls_context(request, verify, proxies=None, cert=cert)
            adapter.cert_verify(pool, request.url or "", verify, cert)
            if len(self._pools) >= _MOST:
                self._pools.clear()
            self._pools[key] = pool
        return pool

    def timeout(self, given: Any) -> Timeout:
        """Give urllib3's form of a time-out; it copies that before it uses it, so that one serves all."""
        if isinstance(given, Timeout):
            return given
        found = self._timeouts.get(given)
        if found is None:
            try:
                connect, read = given if isinstance(given, tuple) else (given, given)
            except ValueError:
                raise ValueError(
                    f"Invalid timeout {given}. Pass a (connect, read) timeout tuple, "
                    "or a single float to set both timeouts to the same value."
                ) from None
            found = Timeout(connect=connect, read=read)
            if len(self._timeouts) >= _MOST:
                self._timeouts.clear()
            self._timeouts[given] = found
        return found


def express_send(adapter: HTTPAdapter, routes: Routes, request: requests.PreparedRequest, timeout: Any, verify: Any, cert: Any) -> Any:
    """Do what ``adapter.send(request, …)`` does without a proxy; give its answer, the body unread.

    Raises:
        requests.RequestException: the same as there.
    """
    origin, path = routes.target(request)
    try:
        pool = routes.pool(adapter, origin, request, verify, cert)
    except from_urllib3.LocationValueError as error:
        raise from_requests.InvalidURL(error, request=request) from error
    try:
        raw = pool.urlopen(
            method=request.method,
            url=path,
            body=request.body,
            headers=plain_headers(request.headers),
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
            retries=adapter.max_retries,
            timeout=routes.timeout(timeout),
            chunked=not (request.body is None or "Content-Length" in request.headers),
        )
    except (from_urllib3.HTTPError, OSError) as error:
        raised = as_requests_raises(error, request)
        if raised is error:
            raise
        raise raised from error
    return LazyResponse(request, raw, adapter)


def _store_is_known() -> bool:
    """Tell whether the private part of requests' headers is what it was found to be."""
    return getattr(CaseInsensitiveDict({"A": "b"}), "_store", None) == {"a": ("A", "b")}


_STORE_IS_KNOWN = _store_is_known()


def copied_headers(headers: CaseInsensitiveDict[Any]) -> CaseInsensitiveDict[Any]:
    """Give a copy of headers; its own ``copy`` writes them one by one."""
    if not _STORE_IS_KNOWN:
        return headers.copy()
    copied: CaseInsensitiveDict[Any] = CaseInsensitiveDict()
    copied._store = headers._store.copy()  # type: ignore[attr-defined, unused-ignore]
    return copied


def plain_headers(headers: Any) -> dict[str, Any]:
    """Give headers as a plain dict, which urllib3 reads faster than requests' case-insensitive one."""
    store: Any = getattr(headers, "_store", None)  # lower-case name to (name, value); the public way costs a lookup per header
    if type(store) is dict or hasattr(store, "values"):
        return dict(store.values())
    return dict(headers.items())


def as_requests_raises(error: Exception, request: requests.PreparedRequest) -> Exception:
    """Give the exception that ``HTTPAdapter.send`` makes of one of urllib3; the order of the cases is the one there."""
    if isinstance(error, (from_urllib3.ProtocolError, OSError)):
        return from_requests.ConnectionError(error, request=request)
    if isinstance(error, from_urllib3.MaxRetryError):
        reason = error.reason
        if isinstance(reason, from_urllib3.ConnectTimeoutError) and not isinstance(reason, from_urllib3.NewConnectionError):
            return from_requests.ConnectTimeout(error, request=request)
        if isinstance(reason, from_urllib3.ResponseError):
            return from_requests.RetryError(error, request=request)
        if isinstance(reason, from_urllib3.ProxyError):
            return from_requests.ProxyError(error, request=request)
        if isinstance(reason, from_urllib3.SSLError):
            return from_requests.SSLError(error, request=request)
        return from_requests.ConnectionError(error, request=request)
    if isinstance(error, from_urllib3.ClosedPoolError):
        return from_requests.ConnectionError(error, request=request)
    if isinstance(error, from_urllib3.ProxyError):
        return from_requests.ProxyError(error)
    if isinstance(error, from_urllib3.SSLError):
        return from_requests.SSLError(error, request=request)
    if isinstance(error, from_urllib3.ReadTimeoutError):
        return from_requests.ReadTimeout(error, request=request)
    if isinstance(error, from_urllib3.InvalidHeader):
        return from_requests.InvalidHeader(error, request=request)
    return error
