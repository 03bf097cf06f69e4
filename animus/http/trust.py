"""One TLS context for connections that trust the same file of authorities.

urllib3 reads all authorities again for every new connection: nine tenths of what one costs. Here they are read once, and again
when the file changes.

Safe, because a context is shared only between connections that would make the very same one (:func:`_shares`): they check
certificate and name, by the same file, and set nothing of their own; no client certificate, fingerprint, protocol version, proxy or
context of the caller. urllib3 *writes* to the context it gets (``verify_mode``, ``check_hostname``): what these connections
write is what stands there already, and a connection that does not check never sees it.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from urllib3 import connection as _urllib3
from urllib3.util import ssl_

from animus import _fork

_MOST = 8  # files; each context holds its authorities, half a megabyte
_UNSET = (
    "ssl_context",
    "assert_hostname",
    "assert_fingerprint",
    "ca_cert_dir",
    "ca_cert_data",
    "cert_file",
    "key_file",
    "key_password",
    "ssl_version",
    "ssl_minimum_version",
    "ssl_maximum_version",
    "proxy",
)


@contextlib.contextmanager
def sharing_trust(connection: Any) -> Iterator[None]:
    """Have ``connection`` use the shared context while it connects, if it may."""
    context = _contexts.get(connection.ca_certs) if _shares(connection) else None
    if context is None:
        yield
        return
    bundle = connection.ca_certs
    connection.ssl_context, connection.ca_certs = context, None
    try:
        yield
    finally:
        connection.ssl_context, connection.ca_certs = None, bundle


def _shares(connection: Any) -> bool:
    """Tell whether a connection checks certificates by a file of authorities, and there is nothing else to it."""
    missing = object()
    return (
        isinstance(getattr(connection, "ca_certs", None), str)
        and all(getattr(connection, name, missing) is None for name in _UNSET)
        and ssl_.resolve_cert_reqs(getattr(connection, "cert_reqs", None)) == ssl.CERT_REQUIRED
    )


class TrustedContexts:
    """Contexts by what they were made of.

    Threads: any; one reads a file, the others wait for it. Fork: a child keeps the contexts, and gets a lock of its own.
    """

    _lock = _fork.Lock()

    def __init__(self) -> None:
        self._contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
        self._lock = threading.RLock()
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        self._lock = threading.RLock()

    def get(self, bundle: str) -> ssl.SSLContext | None:
        """Give the context that trusts the authorities in a file; None if it cannot be made, or not shared: urllib3 then says why."""
        make: Any = getattr(_urllib3, "create_urllib3_context", None)
        key = _ingredients(bundle, make)
        if make is None or key is None:
            return None
        with self._lock:
            context = self._contexts.get(key)
            if context is None or not _is_strict(context):
                context = _made(bundle, make)
                if context is None:
                    return None
                if len(self._contexts) >= _MOST:
                    self._contexts.clear()
                self._contexts[key] = context
            return context


def _ingredients(bundle: str, make: Any) -> tuple[Any, ...] | None:
    """Give all that a context depends on: the file as it is now, the key log, and what truststore and others replace."""
    try:
        file = os.stat(bundle)
    except OSError:
        return None
    return bundle, file.st_ino, file.st_size, file.st_mtime_ns, os.environ.get("SSLKEYLOGFILE"), make, ssl_.SSLContext


def _made(bundle: str, make: Any) -> ssl.SSLContext | None:
    try:
        context: ssl.SSLContext = make(cert_reqs=ssl.CERT_REQUIRED)
        context.load_verify_locations(bundle)
    except (OSError, ValueError):  # SSLError is one; the connection meets it as well, and raises it
        return None
    return context if _is_strict(context) else None


def _is_strict(context: Any) -> bool:
    """Tell whether it is the standard library's, and checks certificate and name."""
    return type(context).__module__ == "ssl" and context.verify_mode == ssl.CERT_REQUIRED and bool(context.check_hostname)


_contexts = TrustedContexts()
