"""Tokens in Redis, for all processes of a fleet."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from animus import _check, _fork
from animus._cause import describe
from animus._clock import SYSTEM_CLOCK, Clock
from animus._secret import Secret, bare_url, scrub
from animus.errors import ConfigurationError
from animus.stores.extra import require
from animus.stores.lease import Lease
from animus.stores.protocol import StoredToken
from animus.stores.redis_url import checked_redis_url, passwords_in

if TYPE_CHECKING:
    from redis import Redis

_SHORTEST_LIFE = 60.0  # seconds a token is kept at least: whoever loads it decides what it is worth
_LONGEST_LIFE = 31 * 86400.0
_UNKNOWN_LIFE = 86400.0  # of a token without a known end
_REST = 5.0  # seconds a Redis that cannot be reached is left alone
_MEMBERS = ("get", "set", "delete", "eval")
_CLIENTS = "Give a redis.Redis, or a URL such as redis://localhost:6379/0"


class RedisTokenStore:
    """Keeps tokens in Redis (or what speaks its protocol), until they are over.

    It needs ``pip install "animus-client[redis]"``, which is imported when the store is first used.

    * All processes that use the same Redis and prefix share tokens: one of them fetches, the others take over.
    * The lock is ``SET NX PX`` with a mark of its holder. It is free three seconds after a holder was killed.
    * A Redis that cannot be reached costs a call at most about two seconds, once in five: the client says so once and fetches for
      itself. As soon as it is there again it is used again. What is to be forgotten is told it each time.
    * Whoever can read that Redis can read the tokens. Use ``rediss://`` where others share the network.

    Threads, processes, machines: any, at once. Fork: the child makes connections of its own (a client that you give is left to
    what its package promises). Pickling: the URL travels, or the function for it by name; a URL with a password and a client
    refuse to.

    Args:
        redis: A URL (``redis://``, ``rediss://``, ``unix://``), a function that gives one, or a :class:`redis.Redis`.
        prefix: Before each key.
        timeout: Seconds for one answer of Redis; a client that you give has its own.
        clock: For tests.

    Raises:
        ConfigurationError: the package for it is not installed, or ``redis`` is none of these (a client for asyncio and a pipeline are
            none). The URL is not shown.
    """

    def __init__(
        self, redis: str | Callable[[], str] | Redis, *, prefix: str = "animus:", timeout: float = 1.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        require("redis", extra="redis", store="Redis")
        self._settings: dict[str, Any] = {"prefix": prefix, "timeout": timeout, "clock": clock}
        self._prefix = _check.text("prefix", prefix)
        self._timeout = _check.seconds("timeout", timeout, zero=False)
        self._clock = clock
        self._url: Secret | Callable[[], str] | None = None
        self._theirs: Any = None
        self._ours: Any = None
        if isinstance(redis, str):
            self._url = checked_redis_url("redis", redis)
            self._where = bare_url(self._url)
        elif all(hasattr(redis, member) for member in _MEMBERS):
            self._theirs = _checked_client(redis)
            self._where = f"a {type(redis).__name__} client"
        elif callable(redis):
            self._url = redis
            self._where = f"the URL of {getattr(redis, '__qualname__', type(redis).__name__)}()"
        else:
            raise _check.refuse("redis", redis, "a URL such as redis://localhost:6379/0, a function that gives one, or a redis.Redis")
        self._secrets: list[Secret] = []
        self._outage: str | None = None
        self._rests_until = float("-inf")
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._ours = None  # not closed: its sockets are the parent's

    def load(self, key: str) -> StoredToken | None:
        """Give what was saved last under ``key``, or None.

        Raises:
            ConnectionError, ValueError: Redis cannot be asked, or what is there is damaged.
        """
        content = self._content_at(self._prefix + key)
        if content is None:
            return None
        stored = StoredToken.from_json(content)
        if stored is None:
            raise ValueError(f"a token in the Redis at {self._where} is damaged, or none of ours; it will be replaced")
        return stored

    def save(self, key: str, stored: StoredToken) -> None:
        """Keep ``stored`` under ``key`` until it is over; one without a known end for a day.

        Raises:
            ConnectionError, ValueError: Redis cannot be asked; the latter if its URL is not usable.
        """
        until = stored.token().usable_until
        left = _UNKNOWN_LIFE if until is None else min(max(until - self._clock.time(), _SHORTEST_LIFE), _LONGEST_LIFE)
        text = stored.to_json()
        self._run(lambda redis: redis.set(self._prefix + key, text, px=int(left * 1000)), secrets=stored.secrets)

    def delete(self, key: str) -> None:
        """Forget what is under ``key``, a failure too. That is tried even while a Redis that failed is left alone.

        Raises:
            ConnectionError, ValueError: Redis cannot be asked; what was there may still be.
        """

        def forget(redis: Any) -> None:
            for name in (self._prefix + key, self._failed(key)):  # in a cluster, keys of one command must be on one node
                redis.delete(name)

        self._run(forget, anyway=True)

    def load_failure(self, key: str) -> str | None:
        """Give what was saved last under ``key``, or None if its time is over, or not to be made out.

        Raises:
            ConnectionError, ValueError: Redis cannot be asked; the latter if its URL is not usable.
        """
        content = self._content_at(self._failed(key))
        try:
            return content.decode() if isinstance(content, bytes) else content
        except UnicodeDecodeError:
            return None

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        """Keep ``text`` under ``key`` for so many seconds.

        Raises:
            ConnectionError, ValueError: Redis cannot be asked; the latter if its URL is not usable.
        """
        self._run(lambda redis: redis.set(self._failed(key), text, px=max(1, int(seconds * 1000))))

    @contextlib.contextmanager
    def lock(self, key: str, timeout: float) -> Iterator[None]:
        """Hold the lock of ``key`` among all who use this Redis.

        Raises:
            TimeoutError: it was not free within ``timeout`` seconds.
            ConnectionError, ValueError: Redis cannot be asked; the latter if its URL is not usable.
        """
        lease = Lease(self._run, f"{self._prefix}lock:{key}")
        lease.take(timeout, self._clock)
        lease.keep()
        try:
            yield
        finally:
            lease.leave()

    def close(self) -> None:
        """Close the connections, unless the client was given; a later use opens new ones."""
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.close()

    # ---- inside ----------------------------------------------------------------------------------------

    def _failed(self, key: str) -> str:
        return f"{self._prefix}failed:{key}"

    def _content_at(self, name: str) -> bytes | str | None:
        """Give what is under a name; nothing for a list, a hash, or what else is no text that somebody has put there."""

        def get(redis: Any) -> Any:
            try:
                return redis.get(name)
            except Exception as error:
                # nothing is wrong with Redis, and save() replaces it
                if isinstance(error, UnicodeDecodeError) or str(error).startswith("WRONGTYPE"):
                    return b""
                raise

        content: bytes | str | None = self._run(get)
        return content

    def _run(self, act: Callable[[Any], Any], *, anyway: bool = False, secrets: Iterable[str] = ()) -> Any:
        """Do something with the client; leave a Redis that is down alone for a while, and say the same of it all the while.

        Args:
            anyway: Do it even so.
            secrets: What Redis is told and must not be shown, should it quote that.
        """
        _fork.check_pid()
        outage = self._outage
        if outage is not None and not anyway and self._clock.monotonic() < self._rests_until:
            raise ConnectionError(outage)
        client = self._client()
        try:
            answer = act(client)
        except Exception as error:  # not only those of redis: an option of a URL can have it raise anything
            outage = outage or f"the Redis at {self._where} cannot be used: {describe(error, [*self._secrets, *secrets])}"
        else:
            self._outage = None
            return answer
        self._rests_until, self._outage = self._clock.monotonic() + _REST, outage
        raise ConnectionError(outage)

    def _client(self) -> Any:
        client = self._theirs or self._ours
        if client is None:
            client = self._ours = self._connected()  # two threads may each make one: it connects when it is used
        return client

    def _connected(self) -> Any:
        with _fork.forks_wait:
            from redis import Redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry

        try:
            url = checked_redis_url("redis", self._given_url())
            self._secrets, self._where = passwords_in(url), bare_url(url)
            settings: dict[str, Any] = {"socket_timeout": self._timeout, "socket_connect_timeout": self._timeout}
            if not url.startswith("unix:"):
                settings["socket_keepalive"] = True
            # one repetition, for a connection that died while nobody used it
            client = Redis.from_url(str.__str__(url), retry=Retry(NoBackoff(), 1), **settings)
            pool = client.connection_pool
            pool.connection_class(**pool.connection_kwargs)  # connects to nothing, and shows whether it knows all options of the URL
            return client
        except ConfigurationError as error:
            problem = error.message
        except Exception:  # whose text may show a password with a strange character
            problem = "its URL cannot be read, or has an option that the package redis does not know"
        raise ValueError(f"the Redis at {self._where} cannot be used: {problem}")

    def _given_url(self) -> str:
        if not callable(self._url):
            return str.__str__(self._url)
        try:
            return self._url()
        except Exception as error:
            problem = type(error).__name__  # alone, since its text may show what the function has read
        raise ConfigurationError(f"the function for it raised {problem}")

    def __repr__(self) -> str:
        return scrub(f"<RedisTokenStore at {self._where}>")

    def __copy__(self) -> RedisTokenStore:
        return self

    def __deepcopy__(self, memo: object) -> RedisTokenStore:
        return self

    def __reduce__(self) -> Any:
        if self._url is None:
            raise TypeError(f"{self!r} is not pickled: it was made with a client; make it with a URL, or a function that gives one")
        if not callable(self._url) and passwords_in(self._url):
            raise TypeError(
                f"{self!r} is not pickled: there is a password in its URL. Set ANIMUS_TOKEN_STORE instead, "
                "or give a function (of a module, so that pickle finds it) that reads the URL where it is needed"
            )
        url = self._url if callable(self._url) else str.__str__(self._url)
        return functools.partial(type(self), url, **self._settings), ()


def _checked_client(client: Any) -> Any:
    """Give ``client`` if what it is asked is answered at once.

    Raises:
        ConfigurationError: it is a class, a pipeline, or for asyncio.
    """
    kind = type(client)
    if isinstance(client, type):
        problem = f"the class {client.__name__}, not an object of it"
    elif hasattr(kind, "execute") and hasattr(kind, "reset"):
        problem = "a pipeline, which answers nothing before it is executed"
    elif inspect.iscoroutinefunction(getattr(kind, "execute_command", None)):
        problem = f"a {kind.__name__} for asyncio, and token stores do not await"
    else:
        return client
    raise ConfigurationError(f"redis is {problem}", hint=_CLIENTS)
