"""JSON for the wire."""

from __future__ import annotations

import json
from typing import Any


def encode(value: Any) -> bytes:
    """Give a JSON value as bytes. ASCII alone, so that lone surrogates in what the auth service gave do no harm."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
