"""Cookie jars in a forked child."""

from __future__ import annotations

import threading
from typing import Any


def free_lock_of(jar: Any) -> None:
    """Give a jar a new lock: the standard library's has one, which another thread of the parent may have held at the fork."""
    if hasattr(jar, "_cookies_lock"):
        jar._cookies_lock = threading.RLock()
