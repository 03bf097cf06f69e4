"""Headers that every response gets. The Flask and the Django example have the same file."""

from __future__ import annotations

import os
from urllib.parse import urlsplit


def page_headers() -> dict[str, str]:
    """Give headers by which a browser runs no script but ours, and keeps no page after the user has left it."""
    # pictures come from the platform's storage; the emulator, which is on http, has them itself
    api = urlsplit(os.environ.get("ANIMUS_API_BASE_URL", ""))
    pictures = f" {api.scheme}://{api.netloc}" if api.netloc else ""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": f"'self' https:{pictures}",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
