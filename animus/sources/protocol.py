"""What a token source is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from animus._clock import SYSTEM_CLOCK, Clock
from animus.tokens.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """What a source is asked. It may grow further fields: read it by name.

    Attributes:
        force: True if a token that was handed out before has been refused: give a new one, not a cached one.
        deadline: The time on ``clock.monotonic()`` by which the flight should be over, or None.
        identity: Whom the token is for, as given to the client; None for a client without one.
        clock: The client's time: that of the system, but in tests.
    """

    force: bool = False
    deadline: float | None = None
    identity: str | None = None
    clock: Clock = field(default=SYSTEM_CLOCK, repr=False, compare=False)

    @property
    def left(self) -> float | None:
        """Seconds left until the deadline, perhaps less than none; None without one."""
        return None if self.deadline is None else self.deadline - self.clock.monotonic()


@runtime_checkable
class TokenSource(Protocol):
    """Where tokens come from. Any object with these two members is one.

    Threads: the client asks a source from one thread at a time, but for one that was left behind (``own_thread``).
    Optional members: ``background = False`` has all fetches done in a thread that asked for a token, never in a
    short-lived one (for sources that need the caller's thread); ``timeout`` (seconds) bounds one flight, 30 s without it;
    ``own_thread = True`` has fetches done in a thread that can be left behind when the time is up; ``name`` is shown in
    errors; ``close()`` is called when the client closes; ``local = True`` says that a fetch costs nothing, so that its
    tokens are not put into a store; ``contains_callables = True`` says that different users may have equal fingerprints.
    """

    @property
    def fingerprint(self) -> str:
        """Text that tells this source from others: equal for equal configuration, and no secret in it."""

    def fetch(self, request: TokenRequest) -> Token | str | Mapping[str, Any]:
        """Give a token: a :class:`~animus.tokens.token.Token`, its text, or a provider's JSON answer as mapping.

        Raises:
            TokenSourceError: the source failed, with a ``reason``. Any other exception is wrapped into one.
        """


def is_token_source(value: object) -> bool:
    """Tell whether ``value`` is an object with the members of a :class:`TokenSource`; one that raises when it is looked at counts, too."""
    return not isinstance(value, type) and all(_has(value, name) for name in ("fetch", "fingerprint"))


def _has(value: object, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:  # a property of somebody's; whoever needs what it gives is told
        return True
