"""Any order of events: a model of what the manager may hand out."""

from __future__ import annotations

from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from animus.errors import AuthenticationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.protocol import TokenRequest
from animus.testing import ManualClock
from animus.tokens.token import Token
from animus.tokens.window import margin_of

START = 1795600000.0
LIVES = st.sampled_from([0.5, 1.0, 5.0, 10.0, 60.0, 239.0, 240.0, 900.0, 3600.0, None])


class Issuer:
    """A source whose next answer the machine decides. It remembers the life of each token on a clock that cannot be wrong."""

    background = False
    fingerprint = "issuer"

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.next: tuple[str, Any] = ("new", 3600.0)
        self.count = 0
        self.asked: list[TokenRequest] = []
        self.ends: dict[str, float] = {}
        self.begins_to_renew: dict[str, float] = {}
        self.last: Token | None = None
        self.repeated: set[str] = set()

    def fetch(self, request: TokenRequest) -> Token:
        self.asked.append(request)
        kind, value = self.next
        if kind == "fail":
            raise TokenSourceError("no", reason=value)
        if kind == "again" and self.last is not None:
            self.repeated.add(str(self.last.value))
            return self.last
        life = value if kind == "new" else 3600.0
        self.count += 1
        name = f"t{self.count}"
        now = self.clock.monotonic()
        self.ends[name] = now + (float("inf") if life is None else life)
        self.begins_to_renew[name] = now + (float("inf") if life is None else life - margin_of(life))
        self.last = Token(name, None if life is None else self.clock.time() + life)
        return self.last


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(START)
        self.source = Issuer(self.clock)
        self.manager = TokenManager(self.source, clock=self.clock)
        self.current: str | None = None
        self.refused: set[str] = set()
        self.wall_moved = False

    @rule(life=LIVES)
    def gives_new_tokens(self, life: float | None) -> None:
        self.source.next = ("new", life)

    @rule()
    def gives_the_same_again(self) -> None:
        self.source.next = ("again", None)

    @rule(reason=st.sampled_from(["unauthorized", "server_error", "html_page"]))
    def fails(self, reason: str) -> None:
        self.source.next = ("fail", reason)

    @rule(seconds=st.one_of(st.floats(0, 5), st.floats(0, 4000)))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(seconds=st.sampled_from([-86400.0, -3600.0, -60.0, -1.0, 1.0, 60.0, 3600.0, 86400.0]))
    def the_wall_clock_jumps(self, seconds: float) -> None:
        self.clock.set_time(self.clock.time() + seconds)
        self.wall_moved = True

    @rule()
    def asks(self) -> None:
        asked = len(self.source.asked)
        now = self.clock.monotonic()
        try:
            token = str(self.manager.token().value)
        except TokenSourceError:
            usable = self.current is not None and self.current not in self.refused and self.source.ends[self.current] > now
            assert self.wall_moved or not usable, "a valid token was withheld"
            assert len(self.source.asked) - asked <= 2
            return
        except AuthenticationError as error:
            assert error.reason == "rejected_token"
            assert self.refused
            self.current = None
            return
        # nobody can know the end of a token that comes a second time after somebody has moved the wall clock
        believed = self.wall_moved and token in self.source.repeated
        assert believed or self.source.ends[token] > now, "a token was handed out beyond its end"
        fetched = len(self.source.asked) - asked
        assert fetched <= 2
        if fetched and self.current is not None and not self.wall_moved and token != self.current:
            due = self.source.begins_to_renew[self.current] <= now
            assert due or self.current in self.refused, "a fresh token was replaced"
        if token != self.current:
            assert fetched or token not in self.refused
        self.refused.discard(token)
        self.current = token

    @rule()
    def asks_twice_at_once(self) -> None:
        self.asks()
        asked = len(self.source.asked)
        current = self.current
        self.asks()
        if current is not None and self.source.ends[current] > self.clock.monotonic() and current not in self.refused:
            assert len(self.source.asked) - asked <= 1

    @rule()
    def the_api_refuses(self) -> None:
        if self.current is not None:
            self.refused.add(self.current)
            self.manager.invalidate(self.current)

    @rule()
    def the_api_refuses_an_old_one(self) -> None:
        held = self.manager._held
        self.manager.invalidate("t0")
        assert self.manager._held is held

    @rule()
    def is_cleared(self) -> None:
        self.manager.clear()
        self.current = None
        self.refused.clear()

    @invariant()
    def nothing_is_left_over(self) -> None:
        assert self.manager._flights.idle
        assert "unlocked" in repr(self.manager._lock)


TestStates = Machine.TestCase
TestStates.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
