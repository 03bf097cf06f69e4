"""From what people write as ``token_store`` to a store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from animus import _check, _fork
from animus._check import near_miss
from animus._clock import SYSTEM_CLOCK, Clock
from animus._secret import Secret
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from animus.stores.protocol import TokenStore

TOKEN_STORE = "ANIMUS_TOKEN_STORE"
_FORMS = '"memory", "file", "file:PATH", "redis://…", "rediss://…", "keyring" or a store object'
_MEMBERS = ("load", "save", "delete", "lock")


def as_token_store(value: object, *, environ: Mapping[str, str] | None = None, clock: Clock = SYSTEM_CLOCK) -> TokenStore | None:
    """Give the store that ``value`` means; None: each client keeps its token by itself.

    * ``"memory"``: none, whatever the environment says;
    * ``"file"``, ``"file:PATH"``: a :class:`~animus.FileTokenStore`, in the user's cache folder or in ``PATH``;
    * ``"redis://…"``, ``"rediss://…"``: a :class:`~animus.RedisTokenStore`;
    * ``"keyring"``: a :class:`~animus.KeyringTokenStore`;
    * an object with ``load``, ``save``, ``delete`` and ``lock``: itself;
    * None: what ``ANIMUS_TOKEN_STORE`` says, in one of the forms above; not set: none.

    Raises:
        ConfigurationError: none of these, or a package is missing. A text is not shown: it may have a password in it.
    """
    if value is None:
        environ = os.environ if environ is None else environ
        text = environ.get(TOKEN_STORE, "").strip()
        return _from_text(TOKEN_STORE, text, clock) if text else None
    if isinstance(value, str):
        return _from_text("token_store", value.strip(), clock)
    if isinstance(value, type):
        raise ConfigurationError(f"token_store is the class {value.__name__}, not an object of it", hint=f"Write {value.__name__}(…)")
    with _fork.forks_wait:
        from animus.stores.protocol import TokenStore

    if isinstance(value, TokenStore):
        return value
    lacking = [name for name in _MEMBERS if not hasattr(value, name)]
    hint = f"An object is a store if it has {', '.join(_MEMBERS)}; a {type(value).__name__} lacks {', '.join(lacking)}"
    raise _check.refuse("token_store", value, _FORMS, hint)


def _from_text(field: str, text: str, clock: Clock) -> TokenStore | None:
    kind, colon, rest = text.partition(":")
    kind = kind.lower()
    if kind == "memory" and not colon:
        return None
    if kind == "file" and not (colon and not rest.strip()):
        with _fork.forks_wait:
            from animus.stores.file import FileTokenStore

        return FileTokenStore(rest.strip() if colon else None, clock=clock)
    if kind in ("redis", "rediss") and rest.startswith("//"):
        with _fork.forks_wait:
            from animus.stores.redis import RedisTokenStore
            from animus.stores.redis_url import checked_redis_url

        url = checked_redis_url(field, text)
        return RedisTokenStore(UrlOfEnvironment(url) if field == TOKEN_STORE else url, clock=clock)
    if kind == "keyring" and not colon:
        with _fork.forks_wait:
            from animus.stores.keyring import KeyringTokenStore

        return KeyringTokenStore(clock=clock)
    hint = None
    if kind.isalpha() and len(kind) <= 10:  # nothing that could be a secret
        hint = near_miss(kind, ("memory", "file", "redis", "rediss", "keyring"))
    raise _check.refuse(field, text, _FORMS, hint)


class UrlOfEnvironment:
    """Gives the URL that ``ANIMUS_TOKEN_STORE`` was when the store was made.

    Pickling: without the URL; where it arrives it gives the one of there.
    """

    def __init__(self, url: str | None = None) -> None:
        self._url = Secret(_in_environment() if url is None else url)

    def __call__(self) -> str:
        return self._url or _in_environment()  # what arrives may do so before the environment is made

    def __reduce__(self) -> Any:
        return UrlOfEnvironment, ()


def _in_environment() -> str:
    return os.environ.get(TOKEN_STORE, "").strip()
