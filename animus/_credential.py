"""Names under which credentials go."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?i)auth(?!or(?!iz))|cookie|credential|key|passw|secret|token")


def names_credential(name: str) -> bool:
    """Tell whether something of that name, such as a header or a parameter, is likely to be a secret.

    >>> names_credential("X-Api-Key"), names_credential("Authorization"), names_credential("X-Author")
    (True, True, False)
    """
    return _NAME.search(name) is not None
