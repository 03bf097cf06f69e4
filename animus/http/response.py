"""A :class:`requests.Response` that makes its parts when somebody asks for them.

requests builds a cookie jar, a case-insensitive copy of the headers and the encoding for every answer (together about a
tenth of a call); most are never looked at. Each is made here at first use, from the same urllib3 answer, by the same
functions of requests, so that what one sees is what requests would have made.
"""

from __future__ import annotations

import datetime
from typing import Any

import requests
from requests.cookies import cookiejar_from_dict, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.exceptions import DecodeError, ProtocolError, ReadTimeoutError, SSLError

_NOT_MADE: Any = object()


class LazyResponse(requests.Response):
    """An answer as :meth:`requests.adapters.HTTPAdapter.build_response` gives it, made lazily.

    Args:
        request: What was answered.
        raw: urllib3's answer.
        connection: The adapter.
    """

    def __init__(self, request: requests.PreparedRequest, raw: Any, connection: Any) -> None:
        # not super().__init__(): it makes what is to be made lazily
        self.__dict__.update(
            _content=False,
            _content_consumed=False,
            _next=None,
            _headers=_NOT_MADE,
            _cookies=_NOT_MADE,
            _encoding=_NOT_MADE,
            status_code=raw.status,
            raw=raw,
            reason=raw.reason,
            url=request.url,
            request=request,
            connection=connection,
            history=[],
            elapsed=datetime.timedelta(0),
        )

    @property  # type: ignore[override, unused-ignore]
    def headers(self) -> CaseInsensitiveDict[str]:
        """The headers of the answer."""
        made = self.__dict__.get("_headers", _NOT_MADE)
        if made is _NOT_MADE:
            made = self.__dict__["_headers"] = CaseInsensitiveDict(self.raw.headers)
        return made  # type: ignore[no-any-return]

    @headers.setter
    def headers(self, value: Any) -> None:
        self.__dict__["_headers"] = value

    @property  # type: ignore[override, unused-ignore]
    def cookies(self) -> Any:
        """The cookies that the server sent with this answer."""
        made = self.__dict__.get("_cookies", _NOT_MADE)
        if made is _NOT_MADE:
            made = self.__dict__["_cookies"] = cookiejar_from_dict({})
            if sets_cookies(self.raw):
                extract_cookies_to_jar(made, self.request, self.raw)
        return made

    @cookies.setter
    def cookies(self, value: Any) -> None:
        self.__dict__["_cookies"] = value

    @property  # type: ignore[override, unused-ignore]
    def encoding(self) -> str | None:
        """The encoding for ``text``, from the headers."""
        made = self.__dict__.get("_encoding", _NOT_MADE)
        if made is _NOT_MADE:
            made = self.__dict__["_encoding"] = get_encoding_from_headers(self.headers)
        return made  # type: ignore[no-any-return]

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self.__dict__["_encoding"] = value

    @property
    def content(self) -> bytes:
        """The body; read at once, not through requests' chain of generators, with the same exceptions."""
        unread = self._content is False and not self._content_consumed and self.status_code and self.raw is not None
        if unread and "iter_content" not in self.__dict__:  # the session watches a body of the caller's through that
            try:
                self._content = self.raw.read(decode_content=True) or b""
            except ProtocolError as error:
                raise requests.exceptions.ChunkedEncodingError(error) from error
            except DecodeError as error:
                raise requests.exceptions.ContentDecodingError(error) from error
            except ReadTimeoutError as error:
                raise requests.exceptions.ConnectionError(error) from error
            except SSLError as error:
                raise requests.exceptions.SSLError(error) from error
            self._content_consumed = True
        return super().content


def sets_cookies(raw: Any) -> bool:
    """Tell whether urllib3's answer sets a cookie; without one, all work on jars can be left out."""
    headers = raw.headers
    return "set-cookie" in headers or "set-cookie2" in headers
