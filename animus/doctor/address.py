"""The address of a host, and whether something listens there."""

from __future__ import annotations

import socket

from animus._origin import origin_of
from animus.doctor.finding import Finding, failed, passed

_SHOWN = 3


def check_name(check: str, url: str) -> Finding:
    """Look the host of ``url`` up. Takes as long as the system's resolver does."""
    origin = origin_of(url)
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return failed(
            check,
            f"{origin.host} has no address: {getattr(error, 'strerror', None) or error}",
            reason="unresolvable",
            advice="Check the host name for a slip of the pen, then the network, VPN and DNS of this machine",
        )
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    further = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    return passed(check, f"{origin.host} is {', '.join(addresses[:_SHOWN])}{further}")


def check_connection(check: str, url: str, timeout: float) -> Finding:
    """Connect to the host and port of ``url``, within ``timeout`` seconds for each address."""
    origin = origin_of(url)
    where = f"port {origin.port} of {origin.host}"
    try:
        socket.create_connection((origin.host, origin.port), timeout).close()
    except ConnectionRefusedError:
        advice = "Start the server, or correct the port in the URL"
        return failed(check, f"nobody listens on {where}", reason="refused", advice=advice)
    except TimeoutError:
        advice = "A firewall drops what is sent there, or the host is down: check the address, VPN and firewall"
        return failed(check, f"no answer from {where} within {timeout:g} s", reason="timeout", advice=advice)
    except (OSError, UnicodeError) as error:
        advice = "Check host, port and network"
        return failed(check, f"{where} cannot be reached: {getattr(error, 'strerror', None) or error}", reason="unreachable", advice=advice)
    return passed(check, f"{where} accepts connections")
