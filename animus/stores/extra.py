"""Packages that only some stores need."""

from __future__ import annotations

from importlib.util import find_spec

from animus.errors import ConfigurationError


def require(package: str, *, extra: str, store: str) -> None:
    """See to it that ``package`` is installed; it is not imported.

    Raises:
        ConfigurationError: it is not; the hint names the extra that brings it.
    """
    if find_spec(package) is None:
        raise ConfigurationError(f"the {store} token store needs the package {package}", hint=f'pip install "animus-client[{extra}]"')
