"""LiveKit details that came with tokens. They have a life of their own."""

from __future__ import annotations

from typing import NamedTuple

from animus._clock import Clock
from animus.errors import AnimusError, AuthenticationError
from animus.tokens.token import LiveKitDetails, Token
from animus.tokens.window import Phase, Window

CONTEXTS = ("voice",)


class _Kept(NamedTuple):
    details: LiveKitDetails
    window: Window


class Realtime:
    """Keeps the newest details of each context, whatever becomes of the token they came with.

    Threads: any; each change replaces one entry of a dict. Fork: the child keeps them. They never travel.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._failed: tuple[AnimusError, float] | None = None

    def keep(self, token: Token) -> None:
        """Take over the details that came with ``token``; those of other contexts stay."""
        self._failed = None
        wall, monotonic = self._clock.time(), self._clock.monotonic()
        for context, details in token.livekit.items():
            life = Token(details.token, details.expires_at, token.skew, token.issued_at)
            self._kept[context] = _Kept(details, Window.of(life, wall=wall, monotonic=monotonic))

    def clear(self) -> None:
        """Forget all (logout)."""
        self._kept = {}
        self._failed = None

    def knows(self, context: str) -> bool:
        """Tell whether there ever were details of that context."""
        return context in self._kept

    def fresh(self, context: str) -> LiveKitDetails | None:
        """Give details that will be valid for a while."""
        return self._in(context, Phase.FRESH)

    def valid(self, context: str) -> LiveKitDetails | None:
        """Give details that are valid now, be it for a moment."""
        return self._in(context, Phase.FRESH, Phase.RENEW)

    def fail(self, error: AnimusError, until: float) -> None:
        """Remember, until that monotonic time, why there are no newer ones."""
        self._failed = (error, until)

    def failure(self) -> AnimusError | None:
        """Give what was remembered."""
        failed = self._failed
        return failed[0] if failed is not None and self._clock.monotonic() < failed[1] else None

    def _in(self, context: str, *phases: Phase) -> LiveKitDetails | None:
        kept = self._kept.get(context)
        if kept is None or kept.window.phase(wall=self._clock.time(), monotonic=self._clock.monotonic()) not in phases:
            return None
        return kept.details

    def __repr__(self) -> str:
        return f"<Realtime {', '.join(self._kept) or 'nothing'}>"


def no_details(context: str, source: str, *, came: bool) -> AuthenticationError:
    """Give the error for a source with whose tokens no details come, or only such that are over."""
    if came:
        message = f"the LiveKit token for {context!r} was over before it arrived from {source}"
        hint = "The back end must not keep old tokens, and its clock and that of the realtime service must agree"
        return AuthenticationError(message, reason="expired", hint=hint)
    return AuthenticationError(
        f"no LiveKit details for {context!r} come with the tokens of {source}",
        reason="no_livekit",
        hint='The token provider must answer {"animus": {"token": …}, "livekit": {"voice": {"url": …, "token": …}}}, '
        "with a URL such as wss://… and a JWT; clear_auth_token() has it asked anew",
    )
