"""Checking who signed a token, for those who want to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from animus import _check
from animus._jwt import verified_claims


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureCheck:
    """What a token must show to be accepted from a provider. Without one, only its life is read: the API judges it.

    Attributes:
        key: A PEM text, a JWK, a JWKS (a mapping with ``keys``), or a shared secret; hidden in ``repr``.
        algorithms: Those that are accepted, such as ``("RS256",)``; never ``none``.
        audience: Must be among the token's ``aud``.
        issuer: Must be the token's ``iss``; None: any.

    Raises:
        ConfigurationError: one of them is missing or not allowed.
    """

    key: str | Mapping[str, Any] = field(repr=False)
    algorithms: tuple[str, ...]
    audience: str
    issuer: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.key, (str, Mapping)) or not self.key:
            raise _check.refuse("signature.key", self.key, "a PEM text, a JWK or a JWKS")
        given = self.algorithms
        if isinstance(given, str) or not given or not all(isinstance(a, str) and a and a.lower() != "none" for a in given):
            raise _check.refuse("signature.algorithms", given, 'a list such as ["RS256"], without "none"')
        object.__setattr__(self, "algorithms", tuple(given))
        _check.text("signature.audience", self.audience)
        if self.issuer is not None:
            _check.text("signature.issuer", self.issuer)

    @property
    def is_public(self) -> bool:
        """Whether the key may be seen by anybody."""
        if isinstance(self.key, str):
            return "PUBLIC KEY-----" in self.key or "CERTIFICATE-----" in self.key
        keys = self.key.get("keys", [self.key])
        return isinstance(keys, list) and all(isinstance(k, Mapping) and not {"k", "d"} & k.keys() for k in keys)

    def check(self, token: str) -> None:
        """Do nothing if the token is as wanted.

        Raises:
            NotAJwt: it is not.
        """
        verified_claims(token, self.key, algorithms=self.algorithms, audience=self.audience, issuer=self.issuer)
