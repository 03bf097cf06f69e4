"""The proxy between here and a host, if there is one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

from requests.utils import get_environ_proxies, select_proxy

from animus._origin import is_loopback, origin_of
from animus._secret import bare_url
from animus.doctor.finding import Finding, failed, passed

_PORTS = {"http": 3128, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that requests to a host go through.

    Attributes:
        url: Its URL without userinfo.
        setting: Where that is set.
    """

    url: str
    setting: str


def proxy_for(url: str) -> Proxy | None:
    """Give the proxy that requests for ``url`` go through; origins on this machine never do."""
    origin = origin_of(url)
    if is_loopback(origin.host):
        return None
    found = select_proxy(url, get_environ_proxies(url))
    if not found:
        return None
    names = (f"{origin.scheme}_proxy", f"{origin.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    variable = next((name.upper() for name in names if os.environ.get(name) == found), None)
    return Proxy(bare_url(found if "://" in found else f"http://{found}"), variable or "the system's settings")


def check_proxy(check: str, url: str, proxy: Proxy | None, timeout: float) -> Finding:
    """Tell which proxy is in the way to ``url``, and whether it can be reached."""
    if proxy is None:
        return passed(check, _direct(url))
    scheme, _, rest = proxy.url.partition("://")
    host, _, port = rest.partition("/")[0].rpartition(":")
    if not port.isdigit():
        host, port = rest.partition("/")[0], str(_PORTS.get(scheme, 80))
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout).close()
    except (OSError, ValueError, OverflowError) as error:
        return failed(
            check,
            f"requests go through {proxy.url} ({proxy.setting}), which cannot be reached: {error}",
            reason="proxy_unreachable",
            advice=f"Correct {proxy.setting}, or name {origin_of(url).host} in NO_PROXY if it can be reached without the proxy",
        )
    return passed(
        check,
        f"requests go through {proxy.url} ({proxy.setting})",
        f"If something below fails: the proxy may refuse, or change, what passes; NO_PROXY={origin_of(url).host} goes around it",
        reason="proxy",
    )


def _direct(url: str) -> str:
    if is_loopback(origin_of(url).host):
        return "this machine is asked without a proxy, whatever the environment says"
    return "no proxy is in the way"
