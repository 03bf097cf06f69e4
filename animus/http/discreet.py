"""An adapter whose requests do not show their query: urllib3 logs it at DEBUG, and a provider's URL may have a key in it."""

from __future__ import annotations

from typing import Any, ClassVar

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from animus.http.adapter import AnimusAdapter, _HTTPPool, _HTTPSPool
from animus.http.connection import IS_KNOWN


class _Discreet:
    def _make_request(self, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """Give urllib3 the path alone, which it logs, and put the whole target on the wire."""
        shown, question_mark, _ = url.partition("?")
        make_request = super()._make_request  # type: ignore[misc]
        if not question_mark or not isinstance(conn, HTTPConnection):  # a recorder's connection must see it all
            return make_request(conn, method, url, *args, **kwargs)
        put = conn.putrequest
        conn.putrequest = lambda verb, _, *a, **k: put(verb, url, *a, **k)  # type: ignore[method-assign]
        try:
            return make_request(conn, method, shown, *args, **kwargs)
        finally:
            del conn.putrequest


class _DiscreetHTTPPool(_Discreet, _HTTPPool if IS_KNOWN else HTTPConnectionPool):  # type: ignore[misc]
    pass


class _DiscreetHTTPSPool(_Discreet, _HTTPSPool if IS_KNOWN else HTTPSConnectionPool):  # type: ignore[misc]
    pass


class DiscreetAdapter(AnimusAdapter):
    """The adapter for exchanges whose URL is nobody's business."""

    pool_classes: ClassVar[dict[str, Any] | None] = {"http": _DiscreetHTTPPool, "https": _DiscreetHTTPSPool}
