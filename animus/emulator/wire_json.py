"""JSON as it goes on the wire."""

from __future__ import annotations

import json
from typing import Any


def encode_json(value: Any) -> bytes:
    """Give ``value`` as compact JSON: characters as UTF-8, halves of surrogate pairs (which UTF-8 cannot hold) as escapes."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()
