"""What a browser makes of the provider's answers for a page of another origin (the Fetch standard's CORS protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from animus import _strict_json
from animus._clock import Clock
from animus._http_date import header
from animus._origin import origin_of
from animus.doctor.finding import Finding, failed, passed, skipped
from animus.errors import TokenSourceError
from animus.http.plain import PlainAnswer
from animus.sources.protocol import TokenRequest
from animus.sources.url import UrlTokenSource

PREFLIGHT = "cors.preflight"
ANSWER = "cors.answer"
# the standard's safelists: a request with nothing else needs no preflight
_SIMPLE_METHODS = frozenset(("GET", "HEAD", "POST"))
_SIMPLE_HEADERS = frozenset(("accept", "accept-language", "content-language"))
_BY_BROWSER = frozenset(("cookie", "user-agent", "accept-encoding"))  # a page does not set these
_ASKED_BY_DEFAULT = ("authorization",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of another origin that asks for a token.

    Attributes:
        origin: Its origin.
        method: The method it uses.
        headers: Names of the headers that need permission, in lower case.
        cookies: Whether its requests carry cookies.
    """

    origin: str
    method: str
    headers: tuple[str, ...]
    cookies: bool

    @property
    def needs_preflight(self) -> bool:
        """Whether a browser asks before it makes the request."""
        return bool(self.headers) or self.method not in _SIMPLE_METHODS


def check_cors(source: UrlTokenSource, origin: str, *, timeout: float, clock: Clock) -> tuple[Finding, Finding]:
    """Make the requests that a browser would make for a page of ``origin``; give what it makes of preflight and answer."""
    if str(origin_of(source.name)) == origin:
        why = "pages of the provider's own origin need no permission"
        return skipped(PREFLIGHT, why), skipped(ANSWER, why)
    try:
        names = source.header_names()
    except TokenSourceError as error:  # of a function that has worked a moment ago
        return skipped(PREFLIGHT, error.message), skipped(ANSWER, error.message)
    headers = tuple(name for name in names if name not in _SIMPLE_HEADERS | _BY_BROWSER)
    page = Page(origin=origin, method=source.method, headers=headers, cookies="cookie" in names)
    found = []
    for check, make in ((PREFLIGHT, _preflight), (ANSWER, _answer)):
        request = TokenRequest(deadline=clock.monotonic() + timeout, clock=clock)
        try:
            found.append(make(source, request, page))
        except TokenSourceError as error:
            found.append(failed(check, error.message, reason=error.reason, advice=error.hint))
    return found[0], found[1]


def _preflight(source: UrlTokenSource, request: TokenRequest, page: Page) -> Finding:
    asked = page.headers or _ASKED_BY_DEFAULT
    names = ",".join(asked)
    headers = {"Origin": page.origin, "Access-Control-Request-Method": page.method, "Access-Control-Request-Headers": names}
    answer = source.probe(request, "OPTIONS", headers)
    fault = _preflight_fault(answer, page, asked)
    if fault is None:
        return passed(PREFLIGHT, f"{answer.status}: a page of {page.origin} may ask with {page.method} and {', '.join(asked)}")
    reason, text = fault
    if page.needs_preflight:
        return failed(PREFLIGHT, text, reason=reason, advice=_cure(page, reason))
    return passed(
        PREFLIGHT,
        f"a browser asks nothing before a {page.method} without headers of its own, as the JavaScript SDK makes it",
        f"A page that sends {names} would be stopped: {text}. {_cure(page, reason)}",
    )


def _preflight_fault(answer: PlainAnswer, page: Page, asked: tuple[str, ...]) -> tuple[str, str] | None:
    if 300 <= answer.status < 400:
        return "preflight_redirected", f"the preflight is redirected ({answer.status}), which browsers do not follow"
    fault = _origin_fault(answer, page)
    if not 200 <= answer.status < 300:
        # who knows CORS and does not want the page says 403; anything else does not know what is asked
        reason = fault[0] if answer.status == 403 and fault is not None else "preflight_refused"
        return reason, f"the preflight is answered {answer.status}"
    if fault is not None:
        return fault
    methods = _listed(answer.headers, "access-control-allow-methods")
    if page.method not in _SIMPLE_METHODS and page.method.lower() not in methods and (page.cookies or "*" not in methods):
        return "method_not_allowed", f"Access-Control-Allow-Methods does not name {page.method}"
    allowed = _listed(answer.headers, "access-control-allow-headers")
    # a star stands for all but Authorization, and with cookies for nothing
    every = "*" in allowed and not page.cookies
    lacking = [name for name in asked if name not in allowed and (not every or name == "authorization")]
    if lacking:
        return "header_not_allowed", f"Access-Control-Allow-Headers does not name {', '.join(lacking)}"
    return None


def _answer(source: UrlTokenSource, request: TokenRequest, page: Page) -> Finding:
    answer = source.answer(request, further_headers={"Origin": page.origin})
    if _says_foreign(answer):
        text = f"the endpoint refuses pages of {page.origin} ({answer.status})"
        return failed(ANSWER, text, reason="foreign_origin", advice=_cure(page, "foreign_origin"))
    fault = _origin_fault(answer, page)
    if fault is not None:
        reason, text = fault
        return failed(ANSWER, f"{text} (status {answer.status})", reason=reason, advice=_cure(page, reason))
    return passed(ANSWER, f"a page of {page.origin} may read the answer (status {answer.status})")


def _origin_fault(answer: PlainAnswer, page: Page) -> tuple[str, str] | None:
    """Say why a browser keeps the page from reading an answer, or give None: the standard's "CORS check"."""
    allowed = header(answer.headers, "access-control-allow-origin")
    if allowed is None:
        return "no_permission", "Access-Control-Allow-Origin is missing"
    allowed = allowed.strip(" \t")
    if allowed == "*":
        if page.cookies:
            return "star_with_cookies", "Access-Control-Allow-Origin is *, which browsers do not accept for requests with cookies"
        return None
    if allowed != page.origin:
        return "other_origin", f"Access-Control-Allow-Origin names {_shown(allowed)}, letter by letter another than {page.origin}"
    if page.cookies and (header(answer.headers, "access-control-allow-credentials") or "").strip(" \t") != "true":
        return "no_cookies", "Access-Control-Allow-Credentials is not true, so that a page's cookies make the answer unreadable"
    return None


def _cure(page: Page, reason: str) -> str:
    if reason == "header_not_allowed":
        return f"Have the back end allow the headers {', '.join(page.headers or _ASKED_BY_DEFAULT)} (animus.server: allow_headers=[…])"
    if reason == "method_not_allowed":
        return f"Have the back end allow {page.method} in preflights, or ask with POST"
    if reason.startswith("preflight"):
        return "Have the route answer OPTIONS itself with 204 and the CORS headers, before sign-in and redirects"
    exact = " exactly, without a slash, and with cookies allowed" if page.cookies else " exactly, without a slash"
    return f'Allow this origin on the back end{exact}: animus.server takes origins=["{page.origin}"], other back ends their CORS settings'


def _says_foreign(answer: PlainAnswer) -> bool:
    """Tell whether this is the refusal of :mod:`animus.server` to pages that are not listed."""
    if answer.status != 403:
        return False
    try:
        data = _strict_json.loads(answer.body.decode("utf-8", "replace"))
    except ValueError:
        return False
    return isinstance(data, Mapping) and data.get("reason") == "foreign_origin"


def _listed(headers: Mapping[str, str], name: str) -> set[str]:
    return {part.strip().lower() for part in (header(headers, name) or "").split(",") if part.strip()}


def _shown(value: str) -> str:
    """Give what a server says only if it is an origin: it may echo anything."""
    try:
        return str(origin_of(value)) if "," not in value else "several origins"
    except ValueError:
        return "something that is no origin"
