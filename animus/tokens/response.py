"""From what a token source answered to a token, or to the reason why there is none.

The order of decisions for an HTTP answer: status; then the body without byte order mark and white space: a page, a bare
token, JSON, a token at a documented place, a readable token, a known and sensible end of its life.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from animus import _strict_json
from animus._http_date import date_of, header
from animus._jwt import NotAJwt, looks_like_jwt, peek_claims
from animus._secret import bare_url, scrub, shape_of
from animus.errors import TokenSourceError
from animus.tokens.reasons import failure
from animus.tokens.token import LiveKitDetails, Token, fits_header

_STATUS_REASONS = {401: "unauthorized", 403: "unauthorized", 404: "not_found", 405: "method_not_allowed", 429: "rate_limited"}
_PLACES = ("accessToken", "access_token", "token")  # after animus.token; letter case counts
_LIFETIMES = ("expiresIn", "expires_in")
_ROOM_SCHEMES = ("ws://", "wss://", "http://", "https://")
# what a page, or a piece of one such as PHP's complaints, begins with
_PAGE = re.compile(
    r"<(?:!doctype\s+html|(?:html|head|body|title|meta|link|script|noscript|style|base|iframe|form|div|span|section|main|header|article"
    r"|h[1-6]|p|pre|br|hr|b|i|strong|em|font|img|a|ul|ol|li|table|center)\b)",
    re.IGNORECASE,
)
_NO_HEADER_HINT = "Give the token alone, without quotes or a name before it"
_DATE_RESOLUTION = 1.0  # seconds: a Date within the running second says nothing about our clock
_ISSUER_TOLERANCE = 300.0  # seconds a provider's clock may be behind the issuer's before it is doubted
_LONGEST_NUMBER = 20


def read_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float,
    source: str,
    retry_after: float | None = None,
) -> Token:
    """Give the token in a provider's HTTP answer.

    Args:
        now: Our wall clock when the answer arrived, Unix seconds.
        source: The name of the source, for errors.
        retry_after: What the answer's ``Retry-After`` means, in seconds.

    Raises:
        TokenSourceError: there is no usable token in it; the body is never quoted, only its shape.
    """
    if not 200 <= status < 300:
        raise _refused(status, headers, source, retry_after)
    reader = _Reader(now=now, source=source, date=date_of(headers, now))
    # a charset is not asked for: JSON is UTF-8 (RFC 8259 section 8.1), and headers name all sorts of others
    text = _strict_json.bare(body.decode("utf-8", "replace"))
    if _is_page(text):
        raise reader.failure("html_page", "the answer is a web page")
    if looks_like_jwt(text):
        return reader.token(text, {})
    try:
        data = _strict_json.loads(text)
    except ValueError:
        raise reader.failure("not_json", "the answer is empty" if not text else "the answer is not JSON") from None
    return reader.mapping(data)


def read_value(value: Any, *, now: float, source: str, opaque_ok: bool) -> Token:
    """Give the token that a source returned: a token, its text, or a provider's JSON answer as mapping.

    Args:
        now: Our wall clock, Unix seconds.
        source: The name of the source, for errors.
        opaque_ok: Whether a text that is no JWT, or a JWT without ``exp``, is taken; no expiry is known then.

    Raises:
        TokenSourceError: it is none of these, or no usable one.
    """
    reader = _Reader(now=now, source=source, opaque_ok=opaque_ok)
    if isinstance(value, Token):
        return reader.ready(value)
    if isinstance(value, str):
        first = value.lstrip()[:1]
        if first == '"':
            hint = "Give the token alone; of an answer, response.json()"
            raise reader.failure("wrong_shape", "the source returned a token in quotes", hint)
        if first in ("{", "[", "<"):
            hint = "Return response.json(), not response.text"
            raise reader.failure("wrong_shape", "the source returned text that is no token but an answer with one in it", hint)
        return reader.token(value, {})
    return reader.mapping(value)


class _Reader(NamedTuple):
    """What one answer is read with."""

    now: float
    source: str
    date: float | None = None
    opaque_ok: bool = False

    def failure(self, reason: str, message: str, hint: str | None = None) -> TokenSourceError:
        return failure(reason, message, source=self.source, hint=hint)

    def mapping(self, data: Any) -> Token:
        text, beside = _find_token(data)
        if text is None:
            raise self.failure("wrong_shape", f"there is no token where one is documented; received {shape_of(data)}")
        return self.token(text, {**data, **beside})

    def token(self, text: str, beside: Mapping[str, Any]) -> Token:
        """Give the token with that text; ``beside`` is the JSON it came with."""
        text = text.strip()
        if not text:
            raise self.failure("wrong_shape", "the token is an empty text")
        try:
            claims = peek_claims(text)
        except NotAJwt as error:
            claims = {}
            # checked in every case: what is not visible ASCII must not get into a header, not even into its error text
            if self.opaque_ok:
                self.check_header(text)
            else:
                raise self.failure("bad_jwt", f"the token is not usable: {error}") from None
        server_time = self._server_time(claims)
        expires_at = self._end(claims, beside, server_time)
        if expires_at is not None and expires_at <= server_time:  # RFC 7519 section 4.1.4: on or after
            raise self.failure("expired", f"the token was over {server_time - expires_at:.6g} s before it arrived")
        return Token(text, expires_at, server_time - self.now, self.now, _livekit(beside))

    def check_header(self, text: str) -> None:
        if not fits_header(text):
            kind = "white space" if any(map(str.isspace, text)) else "other characters than visible ASCII"
            raise self.failure("bad_jwt", f"the token is not usable: it has {kind} in it, which cannot stand in a header", _NO_HEADER_HINT)

    def ready(self, token: Token) -> Token:
        """Give a source's own token with what it lacks."""
        if token.expires_at is None and looks_like_jwt(token.value):
            read = self.token(token.value, {})
            return dataclasses.replace(read, livekit=token.livekit, skew=token.skew)
        if not token.value:
            raise self.failure("wrong_shape", "the token is an empty text")
        self.check_header(token.value)
        until = token.usable_until
        if until is not None and not math.isfinite(until):
            raise self.failure("no_exp", "the token's expires_at is not a finite number")
        if until is not None and until <= self.now:
            raise self.failure("expired", f"the token was over {self.now - until:.6g} s before it arrived")
        return token if token.issued_at is not None else dataclasses.replace(token, issued_at=self.now)

    def _server_time(self, claims: Mapping[str, Any]) -> float:
        """Give the provider's time: its ``Date``, unless the token itself says that this clock is worse than ours."""
        date = self.date
        if date is None or 0 <= self.now - date < _DATE_RESOLUTION:
            return self.now
        issued = _strict_json.number(claims.get("iat"))
        if issued is not None and date < issued - _ISSUER_TOLERANCE and abs(self.now - issued) < abs(date - issued):
            return self.now
        return date

    def _end(self, claims: Mapping[str, Any], beside: Mapping[str, Any], server_time: float) -> float | None:
        if "exp" in claims:
            end = _strict_json.number(claims["exp"])
            if end is not None and math.isfinite(end):
                return end
            if not self.opaque_ok:
                # NaN and 1e999 are no JSON numbers that a sound issuer writes; a text or a boolean is another kind of fault
                raise self.failure("no_exp" if end is None else "bad_jwt", "the token's exp claim is not a finite number")
        for name in _LIFETIMES:
            seconds = _seconds(beside.get(name))
            if seconds is not None and "exp" not in claims:
                return server_time + seconds
        if self.opaque_ok:
            return None
        raise self.failure("no_exp", "the token has no exp claim, and the answer no expiresIn")


def _refused(status: int, headers: Mapping[str, str], source: str, retry_after: float | None) -> TokenSourceError:
    reason = _STATUS_REASONS.get(status)
    said = f"the token provider answered {status}"
    if reason is None:
        reason = "server_error" if status >= 500 else "redirect_to_login" if 300 <= status < 400 else "client_error"
    if reason == "redirect_to_login":
        to = header(headers, "location")
        said = "the token provider redirects" + (f" to {scrub(bare_url(to))[:200]}" if to else "")
    return failure(reason, said, source=source, status=status, retry_after=retry_after)


def _is_page(text: str) -> bool:
    """Tell whether a body without white space around it begins like HTML, comments and an XML declaration aside."""
    start = 0
    while True:
        for opening, closing in (("<!--", "-->"), ("<?", "?>")):
            if text.startswith(opening, start):
                end = text.find(closing, start)
                if end < 0:
                    return False
                start = end + len(closing)
                break
        else:
            return _PAGE.match(text, start) is not None
        while text[start : start + 1].isspace():
            start += 1


def _find_token(data: Any) -> tuple[str | None, Mapping[str, Any]]:
    """Give the token at the first documented place that has one, and the object it stands in. Never one for LiveKit."""
    if not isinstance(data, Mapping):
        return None, {}
    nested = data.get("animus")
    places = [(nested, "token")] if isinstance(nested, Mapping) else []
    for holder, name in [*places, *((data, name) for name in _PLACES)]:
        text = holder.get(name)
        if isinstance(text, str) and text.strip():
            return text, holder
    return None, {}


def _livekit(beside: Mapping[str, Any]) -> dict[str, LiveKitDetails]:
    """Give the well-formed realtime details by context; others are left out, for text needs none."""
    contexts = beside.get("livekit")
    if not isinstance(contexts, Mapping):
        return {}
    if isinstance(contexts.get("url"), str):  # an older form, without a context
        contexts = {"voice": contexts, **contexts}
    found = {}
    for context, details in contexts.items():
        if not isinstance(context, str) or not isinstance(details, Mapping):
            continue
        url, token = details.get("url"), details.get("token")
        if not isinstance(url, str) or not isinstance(token, str) or not url.lower().startswith(_ROOM_SCHEMES):
            continue
        try:
            claims = peek_claims(token)
        except NotAJwt:
            continue
        end = _strict_json.number(claims.get("exp"))
        found[context] = LiveKitDetails(url, token, end if end is not None and math.isfinite(end) else None)
    return found


def _seconds(value: Any) -> float | None:
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER and re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", value.strip()):
        value = float(value)
    found = _strict_json.number(value)
    return found if found is not None and math.isfinite(found) else None
