"""JSON bodies of requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from animus.errors import ConfigurationError


def encode_body(body: Mapping[str, Any]) -> bytes:
    """Give a request's body as JSON.

    Raises:
        ConfigurationError: something in it has no JSON form.
    """
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, OverflowError):
        # lone surrogates and huge integers: legal JSON, which only the slower encoder writes
        try:
            return json.dumps(body, allow_nan=False).encode("ascii")
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"the request cannot be written as JSON: {error}") from None
