"""Whether the API is where it should be, and whether it accepts the token.

Both ask for a completion of an empty request, which no model can answer: without a token it must be refused for that, and with one
for being empty. Whether an invalid request is billed is not known; it is taken not to be.
"""

from __future__ import annotations

from dataclasses import dataclass

from animus import errors
from animus._clock import Clock
from animus._http_date import date_of
from animus.client import AnimusClient
from animus.doctor.clocks import Sighting
from animus.doctor.finding import Finding, failed, passed, skipped
from animus.events import RequestComplete
from animus.http.timeouts import Timeouts
from animus.sources.protocol import TokenRequest, TokenSource
from animus.tokens.token import Token
from animus.transport.api import ELSEWHERE, call_api
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

ANSWER = "api.answer"
TOKEN = "api.token"
_PATH = "/chat/completions"
_EMPTY = b"{}"

# the first class that fits counts
_REASONS: tuple[tuple[type[errors.AnimusError], str], ...] = (
    (errors.ApiTimeoutError, "timeout"),
    (errors.ApiConnectionError, "unreachable"),
    (errors.PaymentRequiredError, "payment_required"),
    (errors.PermissionDeniedError, "forbidden"),
    (errors.NotFoundError, "not_found"),
    (errors.RateLimitError, "rate_limited"),
    (errors.ServerError, "server_error"),
    (errors.ConfigurationError, "configuration"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What came of asking the API without a token.

    Attributes:
        finding: What there is to say about it.
        error: What the call ended in, or None.
        tells_tokens_apart: Whether it asked for a token before it looked at the request.
        sighting: The API's time beside ours, or None.
    """

    finding: Finding
    error: errors.AnimusError | None = None
    tells_tokens_apart: bool = False
    sighting: Sighting | None = None


class _Examined:
    """Gives the token that has been looked at, and from then on those of the source it came from."""

    background = False
    contains_callables = False

    def __init__(self, token: Token, source: TokenSource, name: str) -> None:
        self._tokens = [token]
        self._source = source
        self.name: str = name
        self.fingerprint: str = "examined"

    def fetch(self, request: TokenRequest) -> object:
        return self._tokens.pop() if self._tokens else self._source.fetch(request)


def look_at_api(base_url: str, *, timeout: float, clock: Clock) -> Seen:
    """Ask the API without a token, within ``timeout`` seconds."""
    limits, once = Timeouts(deadline=timeout), RetryPolicy(repeats=0)
    with AnimusSession(base_url, None, timeouts=limits, retry=once, clock=clock) as session:
        try:
            call_api(session, "POST", _PATH, body=_EMPTY)
        except errors.AnimusError as error:
            seen = _sighting(error, clock)
            return Seen(finding=_without_token(error), error=error, tells_tokens_apart=_asks_for_token(error), sighting=seen)
    text = "it answers an empty request without a token with success: that is not the API"
    return Seen(finding=failed(ANSWER, text, reason="not_the_api", advice=ELSEWHERE))


def check_token(
    source: TokenSource, token: Token, name: str, base_url: str, *, seen: Seen, timeout: float, allow_insecure_http: bool, clock: Clock
) -> Finding:
    """Ask the API with ``token``, as a client would: if it is refused, once more with the next one of ``source``."""
    stati: list[int | None] = []

    def note(event: RequestComplete) -> None:
        stati.append(event.status)

    with AnimusClient(
        _Examined(token, source, name),
        api_base_url=base_url,
        rest_base_url=base_url,
        token_store="memory",
        timeouts=Timeouts(deadline=timeout),
        retry=RetryPolicy(repeats=0),
        allow_insecure_http=allow_insecure_http,
        clock=clock,
    ) as client:
        client.on("request_complete", note)
        try:
            call_api(client.session, "POST", _PATH, body=_EMPTY)
        except errors.BadRequestError as error:
            return _accepted(error.status, seen, renewed=401 in stati)
        except errors.AnimusError as error:
            return _failed(TOKEN, error)
    return failed(TOKEN, "it answers an empty request with success: that is not the API", reason="not_the_api", advice=ELSEWHERE)


def _accepted(status: int | None, seen: Seen, *, renewed: bool) -> Finding:
    if not seen.tells_tokens_apart:
        return skipped(TOKEN, f"the API answers an empty request alike with and without a token ({status}); animus ask will tell")
    if renewed:
        return passed(
            TOKEN,
            "the API refuses the provider's first token, and accepts the next one",
            "The back end keeps tokens that were revoked or have ended: every client begins with a request in vain",
        )
    return passed(TOKEN, f"the API accepts the token (it looked at the request, and says {status} to an empty one)")


def _without_token(error: errors.AnimusError) -> Finding:
    if _asks_for_token(error):
        return passed(ANSWER, f"it asks for a token ({getattr(error, 'status', None)})")
    if isinstance(error, errors.BadRequestError):
        return passed(ANSWER, f"it answers, but does not ask an empty request for a token ({error.status})")
    return _failed(ANSWER, error)


def _asks_for_token(error: errors.AnimusError) -> bool:
    return isinstance(error, (errors.UnauthorizedError, errors.PermissionDeniedError))


def _failed(check: str, error: errors.AnimusError) -> Finding:
    if isinstance(error, errors.AuthenticationError):
        return failed(check, error.message, reason=error.reason, advice=error.hint)
    found = next((word for kind, word in _REASONS if isinstance(error, kind)), "client_error")
    status = getattr(error, "status", None)
    if status is not None and 300 <= status < 400:
        found = "redirected"
    return failed(check, error.message, reason=found, advice=error.hint)


def _sighting(error: errors.AnimusError, clock: Clock) -> Sighting | None:
    response = getattr(error, "response", None)
    now = clock.time()
    date = None if response is None else date_of(response.headers, now)
    return None if date is None else Sighting("the API", date, now)
