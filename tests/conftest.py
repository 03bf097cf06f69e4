"""What every test gets: a clean environment, an empty home, no network but loopback."""

from __future__ import annotations

import gc
import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.redis_serving import redis_url

__all__ = ["redis_url"]

# a slow machine is no fault of the code, and CI must not fail on a new example that nobody's change made
hypothesis.settings.register_profile(
    "animus",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("animus")

_FOREIGN = {"NETRC", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"}
_UNRESOLVED = (".invalid", ".test", ".example")  # RFC 6761: never names of real hosts


def _is_foreign(name: str) -> bool:
    return name in _FOREIGN or name.startswith("ANIMUS_") or name.lower().endswith("_proxy")


@pytest.fixture(scope="session")
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, _empty_home: Path) -> None:
    """Take away what the machine's settings would change: proxies, CA bundles, netrc, our own variables."""
    for name in [name for name in os.environ if _is_foreign(name)]:
        monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(_empty_home))


def _is_here(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.decode() if isinstance(host, bytes) else str(host).partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test leave the machine, and fail the one that tried, whatever the code under test made of it."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo
    tried: list[object] = []

    def check(address: Any) -> None:
        if isinstance(address, tuple) and not _is_here(address[0]):
            tried.append(address)
            raise OSError(f"tests may not connect to {address}")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_here(host):
            name = host.decode() if isinstance(host, bytes) else str(host)
            if not name.rstrip(".").endswith(_UNRESOLVED):
                tried.append(host)
            raise socket.gaierror(socket.EAI_NONAME, f"tests do not resolve {name}")
        return getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield
    if tried:
        pytest.fail(f"the test tried to reach {tried}")


@pytest.fixture(scope="module")
def few_objects() -> Iterator[None]:
    """Make collections quick: what is there already is left out of them. A run of all tests has a million objects."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
