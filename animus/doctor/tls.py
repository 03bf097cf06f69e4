"""Whether a server's certificate is accepted: read off a real exchange, so that every setting of the client counts."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

from animus._origin import origin_of
from animus.doctor.finding import Finding, failed, passed, skipped

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# of OpenSSL's x509_vfy.h, which ssl gives as SSLCertVerificationError.verify_code
_BY_CODE = {
    9: "not_yet_valid",
    10: "certificate_expired",
    18: "self_signed",
    19: "unknown_authority",
    20: "unknown_authority",
    21: "unknown_authority",
    62: "wrong_host",
    64: "wrong_host",
}
_SAID = {
    "not_yet_valid": ("the certificate is not valid yet", "Check the clock of this machine; else the server got its certificate too early"),
    "certificate_expired": ("the certificate has expired", "Renew the server's certificate; check the clock of this machine, too"),
    "self_signed": (
        "the certificate is signed by nobody but itself",
        "Give its file as REQUESTS_CA_BUNDLE (or verify= of the token source), or have the server use a certificate of an authority",
    ),
    "unknown_authority": (
        "the certificate's authority is not known here",
        "Name the authority's file in REQUESTS_CA_BUNDLE (or verify=), as proxies of companies need it; "
        "or the server does not send the certificates in between: have it send the full chain",
    ),
    "wrong_host": ("the certificate is for another host", "Use the host name that the certificate is for, or get one for this host"),
    "no_tls": ("what listens there does not speak TLS", "Check scheme and port: http instead of https, or another port"),
    "ca_bundle": ("the file of authorities cannot be read", "Correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE (or verify=)"),
    "tls": ("no secure connection could be made", "Check host name and authorities (REQUESTS_CA_BUNDLE), and any proxy in between"),
}


def check_tls(check: str, url: str, error: BaseException | None) -> Finding:
    """Tell what an exchange with ``url`` says about TLS.

    Args:
        error: What the exchange ended in; None: in an answer.
    """
    origin = origin_of(url)
    if origin.scheme != "https":
        return skipped(check, "the URL is http")
    if error is None:
        return passed(check, f"the certificate of {origin.host} is accepted")
    if not is_tls_failure(error):
        return skipped(check, "the connection broke off before, or took too long")
    reason = _reason(error)
    text, advice = _SAID[reason]
    return failed(check, f"{text} ({origin.host}){_detail(error, reason)}", reason=reason, advice=advice + _bundle_advice(reason))


def is_tls_failure(error: BaseException) -> bool:
    """Tell whether the other side could not be trusted."""
    return getattr(error, "reason", None) == "tls" or any(isinstance(link, ssl.SSLError) for link in _behind(error))


def _reason(error: BaseException) -> str:
    for link in _behind(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return _BY_CODE.get(link.verify_code, "tls")
        if isinstance(link, ssl.SSLError) and link.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            return "no_tls"
    return "ca_bundle" if "CA certificate bundle" in str(error) else "tls"


def _detail(error: BaseException, reason: str) -> str:
    for link in _behind(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return f": {link.verify_message}"
        if isinstance(link, ssl.SSLError) and reason == "tls":
            return f": {link.reason or type(link).__name__}"
    return ""


def _bundle_advice(reason: str) -> str:
    named = [name for name in _BUNDLES if os.environ.get(name)]
    if named:
        return f". {named[0]} is set, and only the authorities in it are known"
    if reason in ("self_signed", "unknown_authority") and any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
        return ". SSL_CERT_FILE and SSL_CERT_DIR are not read by requests"
    return ""


def _behind(error: BaseException) -> Iterator[BaseException]:
    """Give ``error`` and all exceptions behind it: requests and urllib3 wrap in causes, arguments and reasons."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop()
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
