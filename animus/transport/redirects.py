"""What a redirect may lead to, and what goes along."""

from __future__ import annotations

import re

from requests import PreparedRequest
from requests.cookies import RequestsCookieJar

from animus._origin import origin_of

_CONTENT_HEADERS = ("Content-Length", "Content-Type", "Transfer-Encoding")
_CREDENTIAL_HEADER = re.compile(r"(?i)auth|cookie|credential|key|passw|secret|session|signature|token")


def strip_for_elsewhere(request: PreparedRequest) -> None:
    """Take body, credentials, and cookies that are for no domain in particular off a request for another origin."""
    request.body = None
    request._body_position = None
    for name in list(request.headers):
        if name in _CONTENT_HEADERS or (name.lower() != "authorization" and _CREDENTIAL_HEADER.search(name)):
            del request.headers[name]
    cookies = RequestsCookieJar()
    for cookie in request._cookies or ():
        if cookie.domain:
            cookies.set_cookie(cookie)
    request.prepare_cookies(cookies)


def same_origin(one: str, two: str) -> bool:
    try:
        return origin_of(one) == origin_of(two)
    except ValueError:
        return False


def method_after(status: int, method: str) -> str:
    """Give the method requests uses after a redirect (as browsers do, against RFC 9110)."""
    if (status in (302, 303) and method != "HEAD") or (status == 301 and method == "POST"):
        return "GET"
    return method
