"""What the environment says about proxies and certificates, remembered as long as it says the same.

``Session.merge_environment_settings`` walks all of ``os.environ`` four times per call: a sixth of a call with a handful
of variables, more than half with four hundred. Here the few variables that matter are read each time, so that a change
is seen at once, and the walk is repeated only when one of them changed.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

# what getproxies_environment(), proxy_bypass_environment() and requests look at; REQUEST_METHOD is the httpoxy guard
_NAMES = (
    *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
    *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "REQUEST_METHOD",
)
_MOST = 64

# os.environ.get() encodes the name and decodes the value, 1.2 us each; the mapping below it holds bytes
_data: Any = getattr(os.environ, "_data", None)
_KEYS: tuple[Any, ...] = tuple(os.fsencode(name) for name in _NAMES)


def _is_usable(data: Any) -> bool:
    """Tell whether the private mapping is what it was found to be: bytes to bytes, the same as ``os.environ``."""
    if not isinstance(data, dict) or os.name != "posix":
        return False
    return {os.fsencode(k): os.fsencode(v) for k, v in os.environ.items()} == data


_USES_DATA = _is_usable(_data)


def variables() -> tuple[Any, ...]:
    """Give the values of the variables that matter, for comparison."""
    if _USES_DATA:
        get = _data.get
        return tuple([get(key) for key in _KEYS])
    return tuple([os.environ.get(name) for name in _NAMES])


def is_environment_all() -> bool:
    """Tell whether the environment is the only place proxies come from; macOS and Windows have system settings too."""
    return sys.platform not in ("darwin", "win32", "cygwin") and urllib.request.getproxies is urllib.request.getproxies_environment


class SettingsMemo:
    """Remembers merged settings by all that goes into them.

    Threads: any; one tuple is stored under one key, so a reader never sees half of a pair.
    """

    def __init__(self) -> None:
        self._memo: dict[Any, Mapping[str, Any]] = {}

    def get(self, key: Any, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Give the settings for ``key`` (and the environment as it is), made by ``make`` the first time; a copy."""
        full = (key, variables())
        found = self._memo.get(full)
        if found is None:
            found = make()
            if len(self._memo) >= _MOST:
                self._memo.clear()
            self._memo[full] = found
        return {**found, "proxies": dict(found["proxies"])}
