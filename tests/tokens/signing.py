"""Keys, and tokens signed with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jwk, jwt

FAR = 4102444800


@dataclass(frozen=True)
class Keys:
    """A pair of keys: PEM texts, and the public one as JWK."""

    private: str
    public: str
    jwk: dict[str, Any]
    algorithm: str
    openssh: str = field(default="", repr=False)

    @classmethod
    def rsa(cls) -> Keys:
        return cls._of(rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256")

    @classmethod
    def curve(cls) -> Keys:
        return cls._of(ec.generate_private_key(ec.SECP256R1()), "ES256")

    @classmethod
    def _of(cls, key: Any, algorithm: str) -> Keys:
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        openssh = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        described = jwk.construct(public, algorithm).to_dict()
        plain = {name: value.decode() if isinstance(value, bytes) else value for name, value in described.items() if name != "alg"}
        return cls(private, public, plain, algorithm, openssh)

    def sign(self, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Give a token that is sound but for what ``claims`` change; None leaves one out."""
        whole = {"aud": "animus", "iss": "auth", "exp": FAR, **claims}
        present = {name: value for name, value in whole.items() if value is not None}
        token: str = jwt.encode(present, self.private, algorithm=self.algorithm, headers=headers)
        return token
