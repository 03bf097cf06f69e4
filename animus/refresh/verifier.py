"""Checking tokens before they are used."""

from __future__ import annotations

from typing import Any

from animus import _check
from animus._clock import SYSTEM_CLOCK, Clock
from animus._jwt import NotAJwt, NotTrusted, key_id, verified_claims
from animus._origin import checked_url
from animus._secret import Secret
from animus.errors import TokenSourceError
from animus.refresh.keys import KeySet
from animus.tokens.reasons import failure
from animus.tokens.token import Token
from animus.tokens.verification import TokenVerification

_REASONS = {
    "algorithm": "bad_signature",
    "key": "bad_signature",
    "signature": "bad_signature",
    "audience": "bad_claims",
    "issuer": "bad_claims",
    "not_yet": "bad_claims",
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
        self._key_set: KeySet | None = None
        if verification.jwks_url is not None:
            url = checked_url("verification.jwks_url", verification.jwks_url, allow_insecure_http=allow_insecure_http)
            self._key_set = KeySet(Secret(url), clock=clock)

    def check(self, token: Token, *, source: str, deadline: float | None) -> None:
        """Do nothing if the token is as wanted.

        Args:
            source: The name of the token's source, for errors.
            deadline: A time on the monotonic clock by which to give up fetching keys, or None.

        Raises:
            TokenSourceError: it is not (``bad_jwt``, ``bad_signature``, ``bad_claims``), or that cannot be told (``no_keys``).
        """
        error: TokenSourceError
        try:
            self._check(token, deadline)
            return
        except NotTrusted as refused:
            error = failure(_REASONS[refused.why], f"the token is not to be trusted: {refused}", source=source)
        except NotAJwt as refused:
            hint = "With verification= only JWTs are used: an opaque token cannot be checked"
            error = failure("bad_jwt", f"the token cannot be checked: {refused}", source=source, hint=hint)
        try:
            raise error
        finally:
            del error  # else error, traceback and frame hold each other

    def close(self) -> None:
        """Close the connections; a later check opens new ones."""
        if self._key_set is not None:
            self._key_set.close()

    def _check(self, token: Token, deadline: float | None) -> None:
        wanted = self.verification
        keys = wanted.keys if self._key_set is None else self._key_set.for_key(key_id(token.value), deadline)
        claims = verified_claims(token.value, keys, algorithms=wanted.algorithms, audience=wanted.audience, issuer=wanted.issuer)
        self._check_beginning(claims.get("nbf"), token.skew)

    def _check_beginning(self, not_before: Any, skew: float) -> None:
        if not_before is None:
            return
        if isinstance(not_before, bool) or not isinstance(not_before, (int, float)):  # RFC 7519 section 4.1.5
            raise NotTrusted("not_yet", "its nbf claim is not a number")
        early = not_before - (self._clock.time() + skew) - self.verification.leeway
        if early > 0:
            raise NotTrusted("not_yet", f"it is not valid before {early:.6g} s from now")

    def __repr__(self) -> str:
        return f"<TokenVerifier with {self._key_set or 'a key'}>"

    def __reduce__(self) -> Any:
        return _rebuilt, (self.verification, self._clock, self._allow_insecure_http)


def _rebuilt(verification: TokenVerification, clock: Clock, allow_insecure_http: bool) -> TokenVerifier:
    return TokenVerifier(verification, clock=clock, allow_insecure_http=allow_insecure_http)
