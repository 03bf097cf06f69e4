"""The token provider's answer: a token, or why there is none and what mends it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from animus import _strict_json
from animus._clock import Clock
from animus._http_date import date_of, header
from animus._jwt import NotAJwt, peek_claims
from animus._secret import bare_url, shape_of
from animus.doctor.clocks import Sighting
from animus.doctor.finding import Finding, failed, passed
from animus.doctor.netrc import has_entry
from animus.errors import AnimusError, TokenSourceError
from animus.http.plain import PlainAnswer
from animus.http.retry_after import retry_after
from animus.sources.ask import ask
from animus.sources.protocol import TokenRequest, TokenSource
from animus.sources.url import UrlTokenSource
from animus.tokens.response import read_answer
from animus.tokens.token import Token

CHECK = "provider.answer"
_METHODS = re.compile(r"[A-Z]{3,10}(?:\s*,\s*[A-Z]{3,10})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of asking for a token.

    Attributes:
        finding: What there is to say about it.
        token: The token, or None.
        error: Why there is none.
        answered: Whether there was an answer, be it a refusal.
        claims: What the token says, that of one that is over, too.
        sighting: The provider's time beside ours, or None.
    """

    finding: Finding
    token: Token | None = None
    error: AnimusError | None = None
    answered: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    sighting: Sighting | None = None


def ask_for_token(source: TokenSource, name: str, *, timeout: float, clock: Clock, for_page: bool) -> Asked:
    """Ask the source once.

    Args:
        name: The name of the source.
        timeout: Seconds the source is told to have.
        for_page: Whether web pages use it, whose SDK is stricter about the shape.
    """
    request = TokenRequest(deadline=clock.monotonic() + timeout, clock=clock)
    if isinstance(source, UrlTokenSource):
        return _ask_url(source, request, for_page=for_page)
    try:
        token = ask(source, request, name=name)
    except TokenSourceError as error:
        answered = error.reason not in ("unreachable", "timeout", "tls", "too_large")
        return Asked(finding=_refused(error), error=error, answered=answered)
    seen = Sighting("the auth service", clock.time() + token.skew, clock.time()) if token.skew else None
    return Asked(finding=passed(CHECK, f"{name} gives a token"), token=token, answered=True, claims=_claims(token.value), sighting=seen)


def _ask_url(source: UrlTokenSource, request: TokenRequest, *, for_page: bool) -> Asked:
    try:
        answer = source.answer(request)
    except TokenSourceError as error:
        return Asked(finding=_refused(error), error=error)
    now = request.clock.time()
    date = date_of(answer.headers, now)
    seen = None if date is None else Sighting("the token provider", date, now)
    try:
        wait = retry_after(answer.headers, now)
        token = read_answer(answer.status, answer.headers, answer.body, now=now, source=source.name, retry_after=wait)
    except TokenSourceError as error:
        finding = _refused(error, _further_advice(error, answer, source))
        return Asked(finding=finding, error=error, answered=True, claims=_claims_of_one_that_is_over(answer), sighting=seen)
    text = f"{answer.status} and a token, after {answer.elapsed:.2f} s: {_shape(answer)}"
    advice = _page_advice(answer) if for_page else None
    return Asked(finding=passed(CHECK, text, advice), token=token, answered=True, claims=_claims(token.value), sighting=seen)


def _refused(error: TokenSourceError, further: str | None = None) -> Finding:
    advice = ". ".join(part for part in (further, error.hint) if part)
    wait = f"; it asks to wait {error.retry_after:g} s" if error.retry_after is not None else ""
    return failed(CHECK, error.message + wait, reason=error.reason, advice=advice or None)


def _further_advice(error: TokenSourceError, answer: PlainAnswer, source: UrlTokenSource) -> str | None:
    if error.reason == "method_not_allowed":
        allowed = (header(answer.headers, "allow") or "").strip()
        return f"It allows {allowed}; you asked with {source.method}" if _METHODS.fullmatch(allowed) else None
    if error.reason == "redirect_to_login":
        return _redirect_advice(source.name, header(answer.headers, "location"))
    if answer.status == 407:
        return "That is the answer of a proxy that wants a user and password: give them in the URL of the proxy's variable"
    if error.reason in ("unauthorized", "redirect_to_login", "html_page") and has_entry(source.name):
        return "Other tools sign in with your .netrc there, and this package does not"
    return None


def _redirect_advice(url: str, location: str | None) -> str | None:
    """Name the URL to use if it differs from ours by a slash or the scheme alone."""
    if location is None:
        return None
    target = bare_url(urljoin(url, location))
    ours, theirs = urlsplit(url), urlsplit(target)
    if target != url and ours.hostname == theirs.hostname and ours.path.rstrip("/") == theirs.path.rstrip("/"):
        return f"Use {target} as it stands"
    return None


def _shape(answer: PlainAnswer) -> str:
    data = _json(answer)
    return "the JWT alone" if data is None else shape_of(data)


def _page_advice(answer: PlainAnswer) -> str | None:
    """Say what the JavaScript SDK 1.21 misses in an answer that suffices here."""
    data = _json(answer)
    places = {"animus.token": ("animus", "token"), "livekit.voice.token": ("livekit", "voice", "token")}
    lacking = [name for name, path in places.items() if not isinstance(_at(data, path), str)]
    if not lacking:
        return None
    wanted = " and ".join(lacking)
    return f"The JavaScript SDK 1.21 of a page refuses this shape: it wants {wanted}, too. Pass the auth service's answer along"


def _at(data: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _json(answer: PlainAnswer) -> Any:
    try:
        return _strict_json.loads(answer.body.decode("utf-8-sig", "replace"))
    except ValueError:
        return None


def _claims(token: str) -> Mapping[str, Any]:
    try:
        return peek_claims(token)
    except NotAJwt:
        return {}


def _claims_of_one_that_is_over(answer: PlainAnswer) -> Mapping[str, Any]:
    try:  # in 1970 no token is over yet
        return _claims(read_answer(answer.status, {}, answer.body, now=0.0, source="").value)
    except TokenSourceError:
        return {}
