"""The manager: one valid token of one identity, for all threads."""

from __future__ import annotations

import functools
import logging
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from animus import _check, _fork
from animus._chance import Chance
from animus._clock import SYSTEM_CLOCK, Clock
from animus._emitter import Emitter
from animus._secret import scrub
from animus.errors import AnimusError, AuthenticationError, ConfigurationError, TokenSourceError
from animus.refresh.asking import Asking
from animus.refresh.flight import Flight, Refusal, SingleFlight, copy_of
from animus.refresh.realtime import CONTEXTS, Realtime, no_details
from animus.tokens.reasons import failure
from animus.tokens.token import Token
from animus.tokens.window import Phase, Window

if TYPE_CHECKING:
    from animus.refresh.sharing import Sharing
    from animus.refresh.verifier import TokenVerifier
    from animus.sources.protocol import TokenSource
    from animus.stores.protocol import TokenStore
    from animus.tokens.token import LiveKitDetails

logger: logging.Logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 30.0  # seconds for one flight, unless the source says otherwise
_LOOK_AGAIN = 1.0  # seconds that a token is handed out before both clocks are looked at again
_MEMORY = 1.0  # seconds a failure is remembered, give or take a quarter
# says something about one token, not about the source: the next one may be good
_NOT_REMEMBERED = frozenset(("expired",))
_FIRST_BACKOFF, _LONGEST_BACKOFF = 1.0, 30.0


class _Held(NamedTuple):
    token: Token
    window: Window


class _Failed(NamedTuple):
    error: AnimusError
    until: float


# what is handed out without a further look: a token, and the monotonic time until which that is so
_NOTHING = (Token(""), float("-inf"))


class TokenManager:
    """Gives a valid token, and renews it in time.

    * A valid token is handed out without any lock: one look at the monotonic clock. Both clocks are looked at at least
      once a second, since the wall clock can jump.
    * In the renewal window one thread renews (a short-lived daemon; for a source with ``background = False`` the caller that
      finds out), and all others go on with the valid token. If that fails, it is tried again after 1, 2, 4 … 30 s.
    * Without a valid token, all who ask share one flight: the source is asked once, and all get the same token or each a copy
      of the same failure, which is remembered for about a second.

    One manager serves one identity. Threads: any. The lock guards the token, its windows, the failure and the refused
    token; it is held neither while asking the source nor while receivers are called. Fork: the child keeps a valid token,
    has no flight, and new locks. Pickling: source, store and identity travel; tokens do not.

    Args:
        source: Where tokens come from.
        clock: The time.
        store: Where tokens are shared with siblings; None: they stay in this manager.
        identity: Whom the tokens are for. Needed with a store if the source contains functions, whose answer may depend on
            the user without anybody being able to tell.
        emitter: Whose receivers hear ``token_refreshed``, ``token_refresh_failed`` and ``token_cleared``.
        rng: Chance for pauses.
        repeats: Whether a source that failed in a way that often mends itself is asked a second time within a flight.
        verifier: Checks each token, from the source or the store, before it is used; None: the API does.

    Raises:
        ConfigurationError: a blank identity, or none where one is needed.
    """

    _lock = _fork.Lock()

    def __init__(
        self,
        source: TokenSource,
        *,
        clock: Clock = SYSTEM_CLOCK,
        store: TokenStore | None = None,
        identity: str | None = None,
        emitter: Emitter | None = None,
        rng: random.Random | None = None,
        repeats: bool = True,
        verifier: TokenVerifier | None = None,
    ) -> None:
        if identity is not None:
            _check.text("identity", identity)
        self.source = source
        self.identity = identity
        self.store = store
        self._clock = clock
        self._monotonic = clock.monotonic
        self._emitter = emitter
        self._verifier = verifier
        self._rng = rng or Chance()
        self._name = scrub(str(getattr(source, "name", None) or type(source).__name__))
        self._background = bool(getattr(source, "background", True))
        self._closing = threading.Event()
        self._asking = Asking(source, self._name, identity=identity, clock=clock, rng=self._rng, closing=self._closing, repeats=repeats)
        self._flights: SingleFlight[Token] = SingleFlight(
            self._fetch,
            self._settle,
            self._refusal,
            clock=clock,
            limit=float(getattr(source, "timeout", None) or DEFAULT_LIMIT),
            own_thread=bool(getattr(source, "own_thread", False)),
            caller_only=not self._background or bool(getattr(source, "local", False)),
        )
        self._lock = threading.RLock()
        self._entry: tuple[Token, float] = _NOTHING
        self._held: _Held | None = None
        self._failed: _Failed | None = None
        self._rejected: str | None = None
        self._realtime = Realtime(clock)
        self._sharing = self._sharing_on(store)
        self._renewals_failed = 0
        self._renew_not_before = float("-inf")
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()
        closing, self._closing = self._closing.is_set(), threading.Event()  # an event has a lock too
        if closing:
            self._closing.set()
        self._asking.closing = self._closing

    def _sharing_on(self, store: TokenStore | None) -> Sharing | None:
        if store is None:
            return None
        source, contains_callables = self.source, bool(getattr(self.source, "contains_callables", False))
        if self.identity is None and contains_callables:
            raise ConfigurationError(
                "a token store needs an identity when the token source contains functions",
                hint='Pass identity="…", a text of its own for each user: nobody else can tell whose token the functions give',
            )
        if getattr(source, "local", False):
            return None
        with _fork.forks_wait:  # most clients share no tokens
            from animus.refresh.sharing import Sharing
            from animus.refresh.shelf import Shelf
            from animus.stores.protocol import store_key

        return Sharing(
            Shelf(store, store_key(self._fingerprint(), self.identity), self._clock),
            name=self._name,
            clock=self._clock,
            contains_callables=contains_callables,
            ask=self._ask,
            check=self._checked,
            wants=self._wants,
            rejected=lambda: self._rejected,
            memory=self._memory,
            deliver=self._flights.deliver,
        )

    def _fingerprint(self) -> str:
        try:
            fingerprint: object = self.source.fingerprint
        except Exception as raised:  # a source may be anybody's
            with _fork.forks_wait:
                from animus._cause import describe, safe_cause

            error = ConfigurationError(f"{self._name} has no fingerprint to tell its tokens in a store apart by: {describe(raised)}")
            error.__cause__ = safe_cause(raised)
        else:
            return _check.text(f"the fingerprint of {self._name}", fingerprint)
        raise error

    # ---- what callers use ------------------------------------------------------------------------------

    def token(self, deadline: float | None = None) -> Token:
        """Give a valid token.

        Args:
            deadline: A time on the clock's monotonic scale by which to give up waiting, or None.

        Raises:
            TokenSourceError: there is none; ``timeout`` if it would take longer than ``deadline``.
            AuthenticationError: the source hands out the token that the API refused (``rejected_token``).
        """
        token, good_until = self._entry
        if self._monotonic() < good_until:
            return token
        return self._token(deadline)

    def livekit(self, context: str = "voice", deadline: float | None = None) -> LiveKitDetails:
        """Give valid LiveKit details. They come with tokens, but have a life of their own, and what is still valid stays.

        Args:
            context: ``"voice"``.
            deadline: As for :meth:`token`.

        Raises:
            ValueError: there is no such context. The source is not asked.
            AuthenticationError: no token could be had, or the source gives no details of that context with it (``no_livekit``).
        """
        if context not in CONTEXTS:
            raise ValueError(f"there is no LiveKit context {context!r}; there are: {', '.join(CONTEXTS)}")
        return self._realtime.fresh(context) or self._livekit(context, deadline)

    def invalidate(self, token: str) -> None:
        """Drop ``token``, which the API has refused, if it is still the current one; the source is then asked with ``force``.

        Emits ``token_cleared`` (``rejected``) if it was dropped.
        """
        with self._lock:
            if self._held is None or self._held.token.value != token:
                return
            self._drop()
            self._rejected = token
        logger.debug("the API refused the token of %s", self._name)
        self._tell_cleared("rejected")

    def clear(self) -> None:
        """Forget token and failure, here and in the store; a fetch that is under way is not used any more (logout).

        Emits ``token_cleared`` (``cleared``).
        """
        if self._sharing is not None:
            self._sharing.distrust()  # who asks in between must not find the old token there
        with self._lock:
            self._drop()
            self._failed = self._rejected = None
            self._realtime.clear()
            self._flights.forget()
        if self._sharing is not None:
            self._sharing.clear()
        self._tell_cleared("cleared")

    def close(self) -> None:
        """End what runs in the background, and close the source. The manager can be used on, but then starts no thread."""
        _fork.check_pid()
        self._closing.set()
        self._flights.close()
        close = getattr(self.source, "close", None)
        if callable(close):
            close()

    # ---- handing out -----------------------------------------------------------------------------------

    def _token(self, deadline: float | None) -> Token:
        _fork.check_pid()
        held = self._held
        if held is not None:
            phase = self._phase(held)
            if phase is Phase.RENEW:
                self._renew(held)
                held = self._held or held  # a renewal in this thread is over by now
                phase = self._phase(held)
            if phase is not Phase.OVER:
                self._hand_out(held)
                return held.token
        for _ in range(2):
            token = self._flights.join(self._ready, deadline)
            if not self._is_over(token):  # as it may be if the store has taken its time
                return token
        raise failure("expired", "the token was over before it could be used", source=self._name)

    def _livekit(self, context: str, deadline: float | None) -> LiveKitDetails:
        """Give details that a flight brings, or those that are not yet over if it brings none."""
        _fork.check_pid()
        realtime = self._realtime
        old = realtime.valid(context)
        if old is not None and self._monotonic() < self._renew_not_before:
            return old

        def ready() -> Token | None:
            if realtime.fresh(context) is not None or (not realtime.knows(context) and self._in_use()):
                return _NOTHING[0]
            failure = realtime.failure()
            if failure is not None:
                raise copy_of(failure)
            return None

        try:
            # a token that a sibling has put into the store may have come with details that are over by now
            for _ in range(1 if self._sharing is None else 2):
                self._flights.join(ready, deadline)
                found = realtime.fresh(context)
                if found is not None or not realtime.knows(context):
                    break
        except AuthenticationError:
            found = realtime.valid(context)
            if found is None:
                raise
        found = found or realtime.valid(context)
        if found is None:
            raise no_details(context, self._name, came=realtime.knows(context))
        return found

    def _is_over(self, token: Token) -> bool:
        held = self._held
        if held is None or held.token is not token:
            held = _Held(token, self._window(token))
        return self._phase(held) is Phase.OVER

    def _in_use(self) -> bool:
        held = self._held
        return held is not None and self._phase(held) is not Phase.OVER

    def _phase(self, held: _Held) -> Phase:
        return held.window.phase(wall=self._clock.time(), monotonic=self._monotonic())

    def _ready(self) -> Token | None:
        """Give the token that a flight which just ended has brought, or raise its failure."""
        held = self._held
        if held is not None and self._phase(held) is not Phase.OVER:
            return held.token
        failed = self._failed
        if failed is not None and self._monotonic() < failed.until:
            raise copy_of(failed.error)
        return None

    def _hand_out(self, held: _Held) -> None:
        """Let the next callers have the token with a look at the monotonic clock alone, for a second at most."""
        now = self._monotonic()
        good_until = min([now + _LOOK_AGAIN, held.window.over_at, *(t for t in (held.window.renew_at, self._renew_not_before) if t > now)])
        # never waits: who cannot have the lock leaves it to the next caller. Under it, since an invalidated token must not come back
        if self._lock.acquire(blocking=False):
            try:
                if self._held is held:
                    self._entry = (held.token, good_until)
            finally:
                self._lock.release()

    def _renew(self, held: _Held) -> None:
        def needed() -> bool:
            return self._held is held and self._monotonic() >= self._renew_not_before

        if not needed():
            return
        if not self._flights.renew(needed):
            self._renew_not_before = self._monotonic() + _FIRST_BACKOFF

    # ---- the flight's work -----------------------------------------------------------------------------

    def _fetch(self, flight: Flight[Token]) -> Token:
        """Give a sibling's token, or one that the source gives now."""
        if self._sharing is not None:
            return self._sharing.token(flight)
        return self._checked(self._ask(flight), flight)

    def _ask(self, flight: Flight[Token]) -> Token:
        return self._asking.fresh_token(flight.leave_by, lambda: self._rejected)

    def _checked(self, token: Token, flight: Flight[Token], source: str | None = None) -> Token:
        if self._verifier is None:
            return token
        return self._verifier.check(token, source=source or self._name, deadline=flight.ends_at)

    def _memory(self) -> float:
        """Give the seconds that a failure is remembered."""
        return _MEMORY * self._rng.uniform(0.75, 1.25)

    def _wants(self, token: Token) -> bool:
        """Tell whether a sibling's token is better than what is here."""
        if token.value in (self._rejected, self._held.token.value if self._held else None):
            return False
        phase = self._phase(_Held(token, self._window(token)))
        return phase is Phase.FRESH or (phase is Phase.RENEW and not self._in_use())

    def _window(self, token: Token) -> Window:
        return Window.of(token, wall=self._clock.time(), monotonic=self._monotonic())

    def _settle(self, flight: Flight[Token], token: Token | None, error: AnimusError | None) -> Callable[[], None] | None:
        """Take over the outcome of a flight; give what is to be told about it."""
        elapsed = self._monotonic() - flight.started_at
        with self._lock:
            if flight.forgotten:
                return None
            in_use = self._in_use()
            if token is not None:
                self._realtime.keep(token)
                if flight.over and in_use:  # so late that others have brought a token meanwhile
                    return None
                if token.value == self._rejected:  # refused while it was on its way: who waits asks anew
                    self._failed, flight.forgotten = None, True
                    return None
                return self._take_over(token, in_use=in_use, elapsed=elapsed, background=flight.renewal)
            assert error is not None
            if isinstance(error, TokenSourceError):
                logger.debug("no token from %s: %s", self._name, error.reason)
            else:
                self._rejected = None  # said once; the next request starts anew
            remembered_until = self._monotonic() + self._memory()
            heard = self._sharing is not None and error is self._sharing.heard
            if not flight.over and not heard and getattr(error, "reason", None) not in _NOT_REMEMBERED:
                self._realtime.fail(error, remembered_until)
                if not in_use:
                    self._failed = _Failed(error, remembered_until)
            if in_use:
                self._back_off()
        if flight.over:
            return None
        return functools.partial(self._tell_failed, error, background=in_use)

    def _take_over(self, token: Token, *, in_use: bool, elapsed: float, background: bool) -> Callable[[], None] | None:
        self._failed = self._rejected = None
        if in_use and self._held is not None and token.value == self._held.token.value:
            self._back_off()  # the source keeps its token until it is over
            return None
        self._held = held = _Held(token, self._window(token))
        self._renewals_failed = 0
        self._renew_not_before = float("-inf")
        now = self._monotonic()
        self._entry = (token, min(now + _LOOK_AGAIN, held.window.renew_at))
        logger.debug("a token from %s for %.0f s, after %.3f s", self._name, held.window.over_at - now, elapsed)
        return functools.partial(self._tell_refreshed, token, elapsed=elapsed, background=background)

    def _back_off(self) -> None:
        """Try to renew again later: after 1, 2, 4 … 30 s."""
        self._renew_not_before = self._monotonic() + min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2**self._renewals_failed)
        self._renewals_failed = min(self._renewals_failed + 1, 10)

    def _drop(self) -> None:
        self._held = None
        self._entry = _NOTHING

    def _refusal(self, why: Refusal) -> TokenSourceError:
        if why is Refusal.RECURSION:
            hint = "Let the token source use requests, or a client of its own"
            return failure("failed", "the token source uses the client that it is the source of", source=self._name, hint=hint)
        if why is Refusal.INTERRUPT:
            return failure("failed", "the token source was interrupted", source=self._name)
        if why is Refusal.DEADLINE:
            return failure("timeout", "there was no token within the caller's deadline", source=self._name)
        return failure("timeout", "the token source did not answer within its time limit", source=self._name)

    # ---- telling ---------------------------------------------------------------------------------------

    def _tell_refreshed(self, token: Token, *, elapsed: float, background: bool) -> None:
        emitter = self._emitter
        if emitter is not None and emitter.wants("token_refreshed"):
            with _fork.forks_wait:
                from animus.events import TokenRefreshed

            emitter.emit(TokenRefreshed(source=self._name, expires_at=token.expires_at, elapsed=elapsed, background=background))

    def _tell_failed(self, error: AnimusError, *, background: bool) -> None:
        emitter = self._emitter
        if emitter is not None and emitter.wants("token_refresh_failed"):
            with _fork.forks_wait:
                from animus.events import TokenRefreshFailed

            emitter.emit(TokenRefreshFailed(source=self._name, error=copy_of(error), background=background))

    def _tell_cleared(self, reason: str) -> None:
        emitter = self._emitter
        if emitter is not None and emitter.wants("token_cleared"):
            with _fork.forks_wait:
                from animus.events import TokenCleared

            emitter.emit(TokenCleared(source=self._name, reason=reason))

    # ---- showing and travelling ------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"<TokenManager for {self._name}>"

    def __reduce__(self) -> Any:
        rebuild = functools.partial(
            TokenManager,
            self.source,
            clock=self._clock,
            store=self.store,
            identity=self.identity,
            emitter=self._emitter,
            verifier=self._verifier,
        )
        return rebuild, ()
