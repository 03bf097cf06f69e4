"""Keeping a test on this machine."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from animus._origin import is_loopback

if TYPE_CHECKING:
    import pytest

_INTERNET = (socket.AF_INET, socket.AF_INET6)


class NetworkRefused(RuntimeError):
    """A test tried to reach another machine. It is no OSError, so that no code takes it for an outage and tries again."""


def refuse_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have connections, datagrams and name look-ups for other machines raise :class:`NetworkRefused` until ``monkeypatch`` is undone."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        _check(host)
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))


def _guarded(method: Any) -> Any:
    def guarded(sock: socket.socket, *args: Any) -> Any:
        if sock.family in _INTERNET:
            _check(args[-1][0])
        return method(sock, *args)

    return guarded


def _check(host: Any) -> None:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name and not is_loopback(name):  # no name at all means this machine
        raise NetworkRefused(f"This test may not reach {name}: it asked for animus_no_network")
