"""The emulator for those commands that need it, or one line that says how to get it."""

from __future__ import annotations

from types import ModuleType

from animus.errors import ConfigurationError


def emulator_package() -> ModuleType:
    """Give :mod:`animus.emulator`.

    Raises:
        ConfigurationError: Flask is not installed.
    """
    try:
        import animus.emulator
    except ImportError as error:
        if error.name != "flask":
            raise
        raise ConfigurationError("this command needs Flask", hint='pip install "animus-client[cli,emulator]"') from error
    return animus.emulator
