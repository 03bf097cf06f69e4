"""Checking tokens before they are used."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from animus import _check, _strict_json
from animus._cause import safe_cause
from animus._clock import SYSTEM_CLOCK, Clock
from animus._jwt import NotAJwt, NotTrusted, key_id, verified_claims
from animus._origin import checked_url
from animus._secret import Secret
from animus.errors import AnimusError, TokenSourceError
from animus.refresh.keys import KeySet
from animus.tokens.reasons import failure
from animus.tokens.token import Token
from animus.tokens.verification import TokenVerification

if TYPE_CHECKING:
    from animus._jwk import Key

_REASONS = {
    "algorithm": "bad_signature",
    "key": "bad_signature",
    "signature": "bad_signature",
    "audience": "bad_claims",
    "issuer": "bad_claims",
    "not_yet": "bad_claims",
    "end": "bad_claims",
    "over": "expired",
}


class TokenVerifier:
    """Checks tokens as a :class:`~animus.TokenVerification` says. One serves all identities of a client.

    Threads: any. Fork: works in the child. Pickling: travels if the verification does, without fetched keys.

    Args:
        verification: What to check.
        clock: The time.
        allow_insecure_http: Allow a key set on ``http`` on another machine.

    Raises:
        ConfigurationError: something else, or keys would cross the network in clear text.
    """

    def __init__(self, verification: TokenVerification, *, clock: Clock = SYSTEM_CLOCK, allow_insecure_http: bool = False) -> None:
        if not isinstance(verification, TokenVerification):
            raise _check.refuse("verification", verification, "a TokenVerification")
        self.verification = verification
        self._clock = clock
        self._allow_insecure_http = allow_insecure_http
        self._keys = verification.keys
        self._key_set: KeySet | None = None
        if verification.jwks_url is not None:
            url = checked_url("verification.jwks_url", verification.jwks_url, allow_insecure_http=allow_insecure_http)
            self._key_set = KeySet(Secret(url), clock=clock)

    def check(self, token: Token, *, source: str, deadline: float | None) -> Token:
        """Give the token if it is as wanted; it ends with its signed ``exp`` claim, if the source did not say earlier.

        Args:
            source: The name of the token's source, for errors.
            deadline: A time on the monotonic clock by which to give up fetching keys, or None.

        Raises:
            TokenSourceError: it is not (``bad_jwt``, ``bad_signature``, ``bad_claims``, ``expired``), or that cannot be told
                (``no_keys``).
        """
        error: TokenSourceError
        try:
            return self._checked(token, deadline)
        except NotTrusted as refused:
            error = failure(_REASONS[refused.why], f"the token is not to be trusted: {refused}", source=source)
        except NotAJwt as refused:
            hint = "With verification= only JWTs are used: an opaque token cannot be checked"
            error = failure("bad_jwt", f"the token cannot be checked: {refused}", source=source, hint=hint)
        except AnimusError:
            raise
        except Exception as raised:  # whatever else a token brings about: who waits for it must be told
            hint = "It is not used. The cause says what went wrong"
            error = failure("bad_jwt", f"the token cannot be checked ({type(raised).__name__})", source=source, hint=hint)
            error.__cause__ = safe_cause(raised, [token.value])
        try:
            raise error
        finally:
            del error  # else error, traceback and frame hold each other

    def close(self) -> None:
        """Close the connections; a later check opens new ones."""
        if self._key_set is not None:
            self._key_set.close()

    def _checked(self, token: Token, deadline: float | None) -> Token:
        claims = self._claims(token.value, deadline)
        issuers_time = self._clock.time() + token.skew
        self._check_beginning(claims.get("nbf"), issuers_time)
        return _with_end(token, claims, issuers_time)

    def _claims(self, text: str, deadline: float | None) -> dict[str, Any]:
        key_set = self._key_set
        if key_set is None:
            return self._verified(text, self._keys)
        had = key_set.keys
        keys = key_set.for_key(key_id(text), deadline)
        try:
            return self._verified(text, keys)
        except NotTrusted as refused:
            if refused.why not in ("key", "signature") or keys is not had:  # another set, which has just come, has no other keys
                raise
            newer = key_set.beyond(keys, deadline)
            if newer is None:
                raise
        return self._verified(text, newer)

    def _verified(self, text: str, keys: Sequence[Key]) -> dict[str, Any]:
        wanted = self.verification
        return verified_claims(text, keys, algorithms=wanted.algorithms, audience=wanted.audience, issuer=wanted.issuer)

    def _check_beginning(self, not_before: Any, issuers_time: float) -> None:
        if not_before is None:
            return
        beginning = _strict_json.number(not_before)
        if beginning is None:  # RFC 7519 section 4.1.5
            raise NotTrusted("not_yet", "its nbf claim is not a number")
        early = beginning - issuers_time - self.verification.leeway
        if not early <= 0:
            raise NotTrusted("not_yet", f"it is not valid before {early:.6g} s from now")

    def __repr__(self) -> str:
        return f"<TokenVerifier with {self._key_set or 'a key'}>"

    def __reduce__(self) -> Any:
        return _rebuilt, (self.verification, self._clock, self._allow_insecure_http)


def _with_end(token: Token, claims: dict[str, Any], issuers_time: float) -> Token:
    """Give the token with the end that is signed, if there is one."""
    if "exp" not in claims:
        return token
    end = _strict_json.number(claims["exp"])
    if end is None or not math.isfinite(end):
        raise NotTrusted("end", "its exp claim is not a finite number")
    if not end > issuers_time:  # RFC 7519 section 4.1.4: on or after; or a source does not know the time at all (NaN)
        raise NotTrusted("over", f"it was over {issuers_time - end:.6g} s before it came")
    if token.expires_at is not None and token.expires_at <= end:
        return token
    return dataclasses.replace(token, expires_at=end)


def _rebuilt(verification: TokenVerification, clock: Clock, allow_insecure_http: bool) -> TokenVerifier:
    return TokenVerifier(verification, clock=clock, allow_insecure_http=allow_insecure_http)
