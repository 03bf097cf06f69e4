"""What a token must show to be used, for those who want to check it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from animus import _check
from animus._jwk import KIND_OF, Key, is_public, usable
from animus._origin import checked_url
from animus._secret import Secret, bare_url
from animus.errors import ConfigurationError
from animus.tokens.given_key import check_fit, forgeable, read_key


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerification:
    """What a token must show to be used. Without one, only its life is read, and the API judges it.

    ``AnimusClient(…, verification=TokenVerification(jwks_url="https://auth.example/jwks.json", algorithms=["RS256"],
    audience="animus"))`` checks each token once, wherever it comes from: any source, or a shared store. One that does not pass is
    never sent; the error is a :class:`~animus.TokenSourceError` with reason ``bad_jwt`` (not even a JWT), ``bad_signature`` (signature,
    algorithm or key), ``bad_claims`` (audience, issuer, not yet valid, an ``exp`` that is no number), ``expired`` or ``no_keys`` (the key
    set cannot be had). A token ends when its ``exp`` says so, even if its source says later. Tokens for LiveKit are not checked.

    Pickling: travels with public keys or a URL without query and user; a literal secret is refused.

    Attributes:
        key: A PEM text (a public key, or a certificate, whose dates are not looked at), a JWK or JWKS (a mapping, or its JSON text), or
            the text of a shared secret; of a private key the public half is used. Hidden in ``repr``, and read at once.
        jwks_url: Instead of ``key``: where the keys are. They are fetched when they are needed, kept for an hour, and fetched anew
            when none of them verifies a token, at most twice a minute. User and password in it are sent as Basic.
        algorithms: Those that are accepted, such as ``["RS256"]``. There is no default, and ``none`` is none of them. Each must fit
            the key: a shared secret for HS256, HS384 and HS512, an RSA key for RS256, RS384 and RS512, an EC key for the others, on the
            curve of the algorithm.
        audience: Must be among the token's ``aud``. None: any, or none; it must be said.
        issuer: Must be the token's ``iss``; None: any, or none.
        leeway: Seconds that a token may come before its ``nbf``, for clocks that differ. Its end has no leeway.

    Raises:
        ConfigurationError: one of them is not possible, cannot be read or does not fit another; or there is neither a key nor a URL, or
            both.
        TypeError: ``algorithms`` or ``audience`` is left out.
    """

    algorithms: tuple[str, ...]
    audience: str | None
    key: Key | None = field(default=None, repr=False, hash=False)
    jwks_url: str | None = field(default=None, repr=False)
    issuer: str | None = None
    leeway: float = 60.0

    def __post_init__(self) -> None:
        if (self.key is None) == (self.jwks_url is None):
            raise ConfigurationError("verification needs one of key and jwks_url", hint="Give the key, or the URL of the key set")
        _set(self, algorithms=_algorithms(self.algorithms))
        for name in ("audience", "issuer"):
            if getattr(self, name) is not None:
                _check.text(f"verification.{name}", getattr(self, name))
        _check.seconds("verification.leeway", self.leeway)
        if self.key is not None:
            _set(self, key=read_key(self.key))
            check_fit(self.key, self.algorithms)
        else:
            # whether http is allowed is the client's to say
            _set(self, jwks_url=Secret(checked_url("verification.jwks_url", self.jwks_url, allow_insecure_http=True)))
            for algorithm in self.algorithms:
                if KIND_OF[algorithm] == "oct":
                    raise forgeable(algorithm, "keys at a URL can be seen by anybody")

    @property
    def keys(self) -> list[Key]:
        """The keys that tokens are checked with, as JWKs without their private parts, or the shared secret; none if they are at a URL."""
        return [] if self.key is None else usable(self.key)

    @property
    def is_public(self) -> bool:
        """Whether nothing in it is a secret."""
        if self.jwks_url is not None:
            return str(self.jwks_url) == bare_url(self.jwks_url)
        return self.key is not None and is_public(self.key)

    def __copy__(self) -> TokenVerification:
        return self

    def __deepcopy__(self, memo: object) -> TokenVerification:
        return self

    def __reduce__(self) -> Any:
        if not self.is_public:
            raise TypeError("a TokenVerification with a secret in its key or URL is not pickled; make one in each process")
        settings = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in ("key", "jwks_url"):  # hidden, not secret
            if isinstance(settings[name], str):
                settings[name] = str(settings[name])
        return functools.partial(TokenVerification, **settings), ()


def _set(verification: TokenVerification, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(verification, name, value)


def _algorithms(given: Any) -> tuple[str, ...]:
    allowed = f"a list of algorithms, of {', '.join(KIND_OF)}"
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise _check.refuse("verification.algorithms", given, allowed)
    algorithms = tuple(given)
    if not algorithms or not all(isinstance(name, str) and name in KIND_OF for name in algorithms):
        hint = '"none" means unsigned: anybody could make such a token' if "none" in [str(name).lower() for name in algorithms] else None
        raise _check.refuse("verification.algorithms", given, allowed, hint)
    return algorithms
