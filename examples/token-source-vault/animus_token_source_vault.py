"""Tokens from a HashiCorp Vault: ``token_source="vault:secret/data/animus"``."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, ReadTimeoutError

from animus import ConfigurationError, TokenRequest, TokenSourceError

_FIELDS = ("accessToken", "access_token", "token", "api_key")
_LARGEST = 1 << 20  # bytes of an answer
_PIECE = 65536


class _VaultAuth(AuthBase):
    """Puts in Vault's own header. An auth, because requests asks ``~/.netrc`` where there is none."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Vault-Token"] = self._token
        return request


class VaultTokenSource:
    """Reads a token from a Vault, anew for each fetch.

    The secret has it in a field ``accessToken``, ``access_token``, ``token`` or ``api_key``; a JWT says itself how long it lives, and any
    other text lives as long as its lease, if it has one.

    Threads: any. Fork: works in the child. Pickling: the path travels; the Vault's own token comes from the environment.

    Args:
        path: The path of the secret, as in Vault's HTTP API: ``secret/data/animus`` for version 2 of the key-value store.

    Raises:
        ConfigurationError: there is no path.
    """

    timeout = 10.0  # seconds for a fetch
    # a fetch that hangs is left behind all the same: nothing here bounds how long a Vault may take for the head of its answer
    own_thread = True

    def __init__(self, path: str) -> None:
        path = path.strip().strip("/")
        if not path:
            raise ConfigurationError("vault: there is no path", hint='Write token_source="vault:secret/data/animus"')
        self.path = path
        self.name = f"vault:{path}"

    @property
    def fingerprint(self) -> str:
        """Equal for equal configuration in every process, and no secret in it; the Vault's own token tells users apart."""
        who = hashlib.sha256(os.environ.get("VAULT_TOKEN", "").encode()).hexdigest()[:32]
        return f"vault:{_address()}:{os.environ.get('VAULT_NAMESPACE', '')}:{self.path}#{who}"

    def fetch(self, request: TokenRequest) -> str | Mapping[str, Any]:
        """Ask the Vault once; the client decides whether to ask again.

        Raises:
            TokenSourceError: there is no token, with one of the reasons that class lists.
        """
        token = os.environ.get("VAULT_TOKEN", "").strip()
        if not os.environ.get("VAULT_ADDR", "").strip() or not token:
            # "not here": a chain of sources goes on to the next one
            raise self._failure("not_available", "VAULT_ADDR or VAULT_TOKEN is not set", "Sign in with: vault login")
        if not _address():
            raise self._failure("unreachable", "VAULT_ADDR is no URL", "It looks like https://vault.example:8200")
        if not _is_safe(_address()):
            raise self._failure("tls", "VAULT_ADDR is http, so that secrets would cross the network in clear text", "Use https")
        # force means that the API has refused the last token: a cache between us and the Vault must not answer
        headers = {"X-Vault-Request": "true", **({"Cache-Control": "no-cache"} if request.force else {})}
        namespace = os.environ.get("VAULT_NAMESPACE", "").strip()
        if namespace:
            headers["X-Vault-Namespace"] = namespace
        timeout = self.timeout if request.left is None else min(self.timeout, request.left)
        if timeout <= 0:
            raise self._failure("timeout", "there was no time left to ask the Vault")
        ends_at = time.monotonic() + timeout
        url = f"{_address()}/v1/{quote(self.path)}"
        try:
            with requests.Session() as session:
                session.auth = _VaultAuth(token)
                with session.get(url, headers=headers, timeout=timeout, allow_redirects=False, stream=True) as response:
                    body = _body(response, ends_at)
        except (requests.RequestException, HTTPError) as error:  # the second while the body is read
            reason, hint = _why(error, ends_at)
            failure = self._failure(reason, f"no answer from the Vault ({type(error).__name__})", hint)
        else:
            return self._read(response, body)
        raise failure  # here and not above: it would keep the exception, which has the request, which has the header

    def _read(self, response: requests.Response, body: bytes) -> str | Mapping[str, Any]:
        status = response.status_code
        if status in (401, 403):
            raise self._failure("unauthorized", "the Vault refuses", "VAULT_TOKEN is over or may not read this path", status)
        if status == 404:
            raise self._failure("not_found", "the Vault has nothing there", "Version 2 of the store wants /data/ in the path", status)
        if status == 429:
            seconds = response.headers.get("Retry-After", "")
            failure = self._failure("rate_limited", "the Vault is asked too often", "Share one client instead of making many", status)
            failure.retry_after = float(seconds) if seconds.isascii() and seconds.isdigit() else None
            raise failure
        if status != 200:
            raise self._failure("server_error" if status >= 500 else "client_error", f"the Vault answered {status}", None, status)
        if len(body) > _LARGEST:
            raise self._failure("too_large", f"the answer is larger than {_LARGEST} bytes", "Check VAULT_ADDR and the path")
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, Mapping):
            raise self._failure("not_json", "the answer is not a JSON object", "Check VAULT_ADDR")
        text = _find(answer.get("data"))
        if text is None:
            raise self._failure("wrong_shape", "the secret has no token in it", f"It must have one of the fields {', '.join(_FIELDS)}")
        return _with_lease(text, answer.get("lease_duration"))

    def _failure(self, reason: str, message: str, hint: str | None = None, status: int | None = None) -> TokenSourceError:
        return TokenSourceError(message, reason=reason, source=self.name, status=status, hint=hint)

    def __repr__(self) -> str:
        return f"VaultTokenSource({self.path!r})"


def _address() -> str:
    """Give the Vault's URL without a user or query, which would be shown by logs; blank if there is none."""
    try:
        parts = urlsplit(os.environ.get("VAULT_ADDR", "").strip())
    except ValueError:  # a host such as [bad; the fingerprint is asked for when a client is made, and must not raise
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1")


def _body(response: requests.Response, ends_at: float) -> bytes:
    """Give the body of an answer, of a large one the beginning.

    The timeout of requests is for one read: a Vault that drips keeps each of them, and never comes to an end.
    """
    body = b""
    # read1() gives what there is; iter_content() would wait until a piece is full
    while len(body) <= _LARGEST and (piece := response.raw.read1(_PIECE, decode_content=True)):
        body += piece
        if time.monotonic() >= ends_at:
            raise requests.Timeout
    return body


def _why(error: Exception, ends_at: float) -> tuple[str, str]:
    """Give reason and hint for an exchange that failed."""
    if isinstance(error, requests.exceptions.SSLError):
        return "tls", "Check the Vault's certificate, and REQUESTS_CA_BUNDLE"
    if isinstance(error, (requests.Timeout, ReadTimeoutError)) or time.monotonic() >= ends_at:
        return "timeout", "Look into why the Vault is slow"
    return "unreachable", "Check VAULT_ADDR"


def _find(data: Any) -> str | None:
    """Give the token in a secret; version 2 of the store has the fields one level deeper."""
    for fields in (data.get("data"), data) if isinstance(data, Mapping) else ():
        if not isinstance(fields, Mapping):
            continue
        for name in _FIELDS:
            found = fields.get(name)
            if isinstance(found, str) and found.strip():
                return found.strip()
    return None


def _with_lease(text: str, seconds: Any) -> str | Mapping[str, Any]:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0 or text.count(".") == 2:
        return text  # a JWT is read by the client; all else is kept until the API refuses it
    return {"token": text, "expires_in": seconds}
