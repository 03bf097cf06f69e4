"""The key set at a URL: fetched when it is needed, by one for all, and anew when keys have changed."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from animus import _strict_json
from animus._cause import describe, safe_cause
from animus._clock import Clock
from animus._jwk import Key, has_id, is_public, keys_in
from animus._origin import is_loopback, origin_of
from animus._secret import bare_url, scrub, shape_of
from animus.errors import AnimusError, TokenSourceError
from animus.http.plain import PlainFailure, PlainHttp
from animus.refresh.flight import Flight, Refusal, SingleFlight, copy_of
from animus.sources.credentials import secret_texts, userinfo
from animus.tokens.reasons import failure

logger: logging.Logger = logging.getLogger(__name__)

MAX_AGE = 3600.0  # seconds after which a set is fetched anew: a key that was taken back must go some time
TURN = 30.0  # seconds between two fetches for keys that are not in the set
_LIMIT = 10.0  # seconds for one fetch
_MEMORY = 1.0  # seconds a failure is remembered


class _Fetched(NamedTuple):
    keys: tuple[Key, ...]
    at: float


class _Failed(NamedTuple):
    error: AnimusError
    until: float


class KeySet:
    """Gives the keys at a URL (a JWKS, RFC 7517 section 5).

    A set that was fetched is used for an hour. A token that none of its keys verifies (the issuer has begun to sign with a new one)
    has it fetched anew, at most once every 30 s. A fetch that fails changes nothing: the old set is used on; without one, the failure
    is shared by all who wait, and remembered for a second.

    Threads: any; the flight has the lock, and what was fetched is replaced as a whole. Fork: the child keeps the set, and has no
    flight.
    """

    def __init__(self, url: str, *, clock: Clock) -> None:
        self.name: str = bare_url(url)
        self._url = url
        self._clock = clock
        self._http = PlainHttp(clock)
        self._fetched: _Fetched | None = None
        self._failed: _Failed | None = None
        self._turn_at = float("-inf")
        self._flights: SingleFlight[_Fetched] = SingleFlight(self._fetch, self._settle, self._refusal, clock=clock, limit=_LIMIT)

    @property
    def keys(self) -> tuple[Key, ...] | None:
        """The set that was fetched last, however old; None: there is none yet."""
        fetched = self._fetched
        return None if fetched is None else fetched.keys

    def for_key(self, key_id: str | None, deadline: float | None) -> tuple[Key, ...]:
        """Give the set, fetched anew if it is old, or has no key of that ``kid`` and one may have come.

        Args:
            deadline: A time on the monotonic clock by which to give up, or None.

        Raises:
            TokenSourceError: there is no set to be had (``no_keys``).
        """
        had = self._fetched
        if had is None:
            return self._newer_than(None, deadline).keys
        now = self._clock.monotonic()
        lacking = key_id is not None and not has_id(had.keys, key_id)
        if now < had.at + MAX_AGE and not (lacking and now >= self._turn_at):
            return had.keys
        return self._renewed(had, deadline).keys

    def beyond(self, keys: tuple[Key, ...], deadline: float | None) -> tuple[Key, ...] | None:
        """Give a set that came after ``keys``, which did not verify a token; None if there is none, or it is no time yet to ask for one.

        An issuer may have a new key under the old ``kid``, or without one: it is optional (RFC 7517 section 4.5).

        Args:
            deadline: A time on the monotonic clock by which to give up, or None.
        """
        had = self._fetched
        if had is None or (had.keys is keys and self._clock.monotonic() < self._turn_at):
            return None
        found = self._renewed(had, deadline).keys if had.keys is keys else had.keys
        return None if found is keys else found

    def _renewed(self, had: _Fetched, deadline: float | None) -> _Fetched:
        """Give the set fetched anew, or the old one if that fails."""
        try:
            return self._newer_than(had, deadline)
        except TokenSourceError as error:
            logger.debug("going on with the keys of %.0f s ago: %s", self._clock.monotonic() - had.at, error)
            return had

    def close(self) -> None:
        """Close the connections; a later fetch opens new ones."""
        self._flights.close()
        self._http.close()

    def _newer_than(self, had: _Fetched | None, deadline: float | None) -> _Fetched:
        def ready() -> _Fetched | None:
            if self._fetched is not had:
                return self._fetched
            if self._failed is not None and self._clock.monotonic() < self._failed.until:
                raise copy_of(self._failed.error)
            return None

        return self._flights.join(ready, deadline)

    # ---- the flight's work -----------------------------------------------------------------------------

    def _fetch(self, flight: Flight[_Fetched]) -> _Fetched:
        host = origin_of(self._url).host
        secrets = secret_texts(url=self._url)
        error: TokenSourceError
        try:
            answer = self._http.exchange(
                "GET",
                self._url,
                headers={"Accept": "application/jwk-set+json, application/json"},
                auth=userinfo(self._url),
                proxies={"no_proxy": host} if is_loopback(host) else None,
                timeout=flight.ends_at - self._clock.monotonic(),
            )
            return _Fetched(self._read(answer.status, answer.body), self._clock.monotonic())
        except PlainFailure as raised:
            error = self._error(f"there is no answer: {scrub(str(raised), secrets)}")
            error.__cause__ = safe_cause(raised, secrets, drop_requests=True)
        except (ValueError, OSError) as raised:
            error = self._error(f"the request is not possible: {describe(raised, secrets)}")
        try:
            raise error
        finally:
            del error  # else error, cause, traceback and frame hold each other

    def _read(self, status: int, body: bytes) -> tuple[Key, ...]:
        if status != 200:
            raise self._error(f"the server answered {status}", status)
        try:
            data: Any = _strict_json.loads(_strict_json.bare(body.decode("utf-8", "replace")))
        except ValueError:
            raise self._error("the answer is not JSON") from None
        if not isinstance(data, dict) or not isinstance(data.get("keys"), list):
            raise self._error(f"the answer is no key set; received {shape_of(data)}")
        # whatever is secret has no business at a URL, and would let its reader sign
        return tuple(key for key in keys_in(data) if is_public(key))

    def _error(self, message: str, status: int | None = None) -> TokenSourceError:
        return failure("no_keys", f"the keys to check tokens with cannot be had: {message}", source=self.name, status=status)

    def _settle(self, flight: Flight[_Fetched], fetched: _Fetched | None, error: AnimusError | None) -> None:
        if fetched is not None:
            if self._fetched is not None:
                self._turn_at = fetched.at + TURN
            self._fetched, self._failed = fetched, None
            logger.debug("%d keys from %s", len(fetched.keys), self.name)
        elif error is not None:
            self._failed = _Failed(error, self._clock.monotonic() + _MEMORY)

    def _refusal(self, why: Refusal) -> TokenSourceError:
        return self._error(f"no answer in time ({why.value})")

    def __repr__(self) -> str:
        return f"<KeySet {self.name}>"
