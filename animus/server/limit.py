"""How often somebody may ask for a token, by the package ``limits``."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
from typing import TYPE_CHECKING, Any

from animus import _check, _fork
from animus._cause import describe
from animus._clock import SYSTEM_CLOCK, Clock
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter

logger: logging.Logger = logging.getLogger(__name__)

MEMORY = "memory://"
_PATIENCE = 10.0  # seconds for which a storage that failed is not asked again
_REDIS = ("redis://", "rediss://", "redis+", "valkey")
_REDIS_TIMEOUT = 2.0  # redis-py has none of its own: a storage that hangs would have every request hang
_IPV6_SITE = 64  # bits of an address that one site has for itself


class RateLimit:
    """Counts requests, and tells who has to wait.

    Requests of a user are counted by user; those of nobody by the address they come from, so that a stranger who is refused again and
    again uses up nobody's allowance but that of his address.

    When the storage fails, a memory of this process's own stands in for it, and a warning is logged: neither do tokens stop, nor is there
    no limit.

    Threads: any. Fork: works in the child; what is kept in memory is counted by each process for itself.

    Args:
        limit: Such as ``"30/minute"``, or several: ``"30/minute; 500/day"``.
        storage: Where the counts are, a URI as ``limits`` has it: ``memory://``, ``redis://localhost:6379``, …
        clock: For tests.

    Raises:
        ConfigurationError: no such limit or storage, or the package ``limits`` is not installed.
    """

    def __init__(self, limit: str, *, storage: str = MEMORY, clock: Clock = SYSTEM_CLOCK) -> None:
        self._items = _parsed(_check.text("limit", limit))
        self._storage_uri = _check.text("storage", storage)
        self._clock = clock
        self._limiter = _limiter(self._storage_uri)
        self._stand_in: RateLimiter | None = None
        self._asked_again_at = float("-inf")
        _fork.register(self)

    @classmethod
    def of(cls, limit: RateLimit | str | None) -> RateLimit | None:
        """Give a limit from what ``limit=`` takes."""
        return limit if limit is None or isinstance(limit, RateLimit) else cls(limit)

    def _reset_after_fork(self) -> None:
        # a memory has locks that another thread of the parent may hold, and a thread
        if self._storage_uri.startswith(MEMORY):
            self._limiter = _limiter(self._storage_uri)
        self._stand_in = None

    def hit(self, *, user: str | None, address: str | None) -> float | None:
        """Count one request; give the seconds to wait if it is one too many, else None."""
        who = ("address", _site(address)) if user is None else ("user", user)
        key = hashlib.sha256(repr(who).encode()).hexdigest()[:32]  # of one length, and nobody's name lies in the storage
        if self._clock.monotonic() >= self._asked_again_at:
            try:
                return self._hit(self._limiter, key)
            except Exception as error:  # those of redis, memcached and others have no common root
                self._asked_again_at = self._clock.monotonic() + _PATIENCE
                level = logging.DEBUG if self._stand_in is not None else logging.WARNING
                logger.log(level, "the storage of the rate limit fails, this process counts by itself: %s", describe(error))
        if self._stand_in is None:
            self._stand_in = _limiter(MEMORY)
        return self._hit(self._stand_in, key)

    def _hit(self, limiter: RateLimiter, key: str) -> float | None:
        for item in self._items:
            if not limiter.hit(item, "animus-token", key):
                reset = limiter.get_window_stats(item, "animus-token", key).reset_time
                return float(min(max(1, math.ceil(reset - self._clock.time())), item.get_expiry()))
        return None

    def __repr__(self) -> str:
        return f"<RateLimit {'; '.join(str(item) for item in self._items)}>"

    def __reduce__(self) -> Any:
        raise TypeError("a RateLimit is not pickled; make one in each process")


def _parsed(limit: str) -> list[RateLimitItem]:
    try:
        from limits import parse_many
    except ImportError as error:
        hint = 'pip install "animus-client[server]", or pass limit=None and limit requests elsewhere'
        raise ConfigurationError("a rate limit needs the package limits", hint=hint) from error
    try:
        items = parse_many(limit)
        if all(item.amount > 0 for item in items):
            return items
    except ValueError:
        pass
    raise _check.refuse("limit", limit, 'a rate such as "30/minute"', hint=f"{limit!r} is none")


def _limiter(uri: str) -> RateLimiter:
    from limits.storage import Storage, storage_from_string
    from limits.strategies import SlidingWindowCounterRateLimiter

    options = {"socket_timeout": _REDIS_TIMEOUT, "socket_connect_timeout": _REDIS_TIMEOUT} if uri.startswith(_REDIS) else {}
    try:
        # two counters for each key, which end by themselves; the moving window keeps a list for each, for ever where it is in memory
        storage = storage_from_string(uri, **options)
        if not isinstance(storage, Storage):
            raise ValueError("an asynchronous storage")
        return SlidingWindowCounterRateLimiter(storage)
    except Exception as error:
        # not the URI, nor an error that quotes it: there may be a password in it
        hint = f"{type(error).__name__}: is the scheme one of limits', and its package installed (animus-client[redis])?"
        raise _check.refuse("storage", uri, 'a storage of limits such as "memory://" or "redis://host:6379"', hint=hint) from None


def _site(address: str | None) -> str:
    """Give the address, or of an IPv6 address the network that one site has for itself: it can take any address in there."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _IPV6_SITE), strict=False))
    return str(parsed)
