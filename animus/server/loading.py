"""Functions that are named in settings."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from animus import _check
from animus.errors import ConfigurationError


def load_function(field: str, spec: object) -> Callable[..., Any]:
    """Give the function that ``package:function`` (or ``package.function``) names; a function is given back as it is.

    Raises:
        ConfigurationError: there is none; ``field`` says in which setting.
    """
    if callable(spec):
        return spec
    text = _check.text(field, spec).strip()
    module_name, _, name = text.partition(":") if ":" in text else text.rpartition(".")
    if not module_name or not name:
        raise _check.refuse(field, text, 'a function such as "package.module:function"', hint=f"{text!r} is none")
    try:
        found: Any = importlib.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"{field}: there is no {text!r}", hint=f"{type(error).__name__}: {error}") from error
    if not callable(found):
        raise _check.refuse(field, found, f"a function; {text!r} is none")
    return found  # type: ignore[no-any-return]
