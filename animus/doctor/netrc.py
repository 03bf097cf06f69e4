"""A ``.netrc`` that has credentials for one of the hosts."""

from __future__ import annotations

import os
from collections.abc import Iterable

from requests.utils import get_netrc_auth

from animus._origin import origin_of
from animus.doctor.finding import Finding, failed, passed

CHECK = "netrc"


def check_netrc(urls: Iterable[str]) -> Finding:
    """Tell whether the file has an entry for the host of one of ``urls``: this package never uses it, others do."""
    try:
        asked = dict.fromkeys(origin_of(url).host for url in urls)
        hosts = [host for host in asked if get_netrc_auth(f"https://{host}/", raise_errors=True)]
    except Exception as error:  # netrc.NetrcParseError, and whatever reading a file may raise
        return failed(
            CHECK,
            f"{_file()} cannot be read ({type(error).__name__})",
            reason="netrc_unreadable",
            advice="This package does not use it, but other tools stumble over it: mend it",
        )
    if not hosts:
        return passed(CHECK, "no entry for these hosts")
    return passed(
        CHECK,
        f"{_file()} has an entry for {' and '.join(hosts)}; this package does not use it",
        "Plain requests and curl --netrc sign in with it, and requests puts it in the place of a token: what works or fails "
        "there says nothing about here. Give the token source auth= if the back end wants these credentials; else take the entry out",
        reason="netrc_entry",
    )


def has_entry(url: str) -> bool:
    """Tell whether a ``.netrc`` has credentials for the host of ``url``."""
    return get_netrc_auth(f"https://{origin_of(url).host}/") is not None


def _file() -> str:
    return "the file in NETRC" if os.environ.get("NETRC") else "~/.netrc"
