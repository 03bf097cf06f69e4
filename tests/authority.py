"""A certificate authority that lives as long as a test run."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NOW = datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """Files of one authority: ``bundle`` is what ``verify`` wants; ``client`` the certificate and key for ``cert``.

    Args:
        folder: Where the files go.
        names: The host names that its server certificate is for.
    """

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder = folder
        self._names = names
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "animus test authority")])
        authority = (
            self._builder(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = self._write("authority.pem", authority.public_bytes(serialization.Encoding.PEM))
        self._server = self._issue("server", names, ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self._issue("client", ("client",), ExtendedKeyUsageOID.CLIENT_AUTH)

    def server_context(self, *, demand_client: bool = False, days: tuple[int, int] | None = None) -> ssl.SSLContext:
        """Give what a server needs; ``days``, counted from today, are the first and the last of another certificate's life."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self._server if days is None else self._issue("other", self._names, ExtendedKeyUsageOID.SERVER_AUTH, days)
        context.load_cert_chain(*certificate)
        if demand_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.bundle)
        return context

    def self_signed_context(self) -> ssl.SSLContext:
        """Give what a server needs whose certificate is signed by nobody else: that of the authority itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pem = self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        context.load_cert_chain(self.bundle, self._write("authority.key", pem))
        return context

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int] = (-1, 1)
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW + datetime.timedelta(days=days[0]))
            .not_valid_after(_NOW + datetime.timedelta(days=days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _issue(
        self, label: str, names: tuple[str, ...], usage: x509.ObjectIdentifier, days: tuple[int, int] = (-1, 1)
    ) -> tuple[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)]), key, days)
            .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._write(f"{label}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{label}.key", pem),
        )

    def _write(self, name: str, content: bytes) -> str:
        path = self._folder / name
        path.write_bytes(content)
        return str(path)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
