"""Tokens in the keyring of the operating system."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

from animus import _check, _fork
from animus._clock import SYSTEM_CLOCK, Clock
from animus.stores.extra import require
from animus.stores.file import FileTokenStore
from animus.stores.protocol import StoredToken


class KeyringTokenStore:
    """Keeps tokens in the keyring: macOS Keychain, Windows Credential Locker, Secret Service, KWallet.

    It needs ``pip install "animus-client[keyring]"``. The package ``keyring`` is imported, and the keyring asked, when a token is first
    looked for and not before: finding a keyring can take seconds, and the desktop may ask its user. A machine without a keyring
    costs one warning; the client fetches for itself.

    Keyrings know no locks: those are files without content in the folder of :class:`~animus.FileTokenStore`. Windows keeps at most
    1,280 characters; a longer token is not kept there, which costs one warning, too. A failure of the source is not put into a
    keyring: each process finds out for itself.

    Threads, processes: any, as far as the keyring allows it. Fork: works in the child, as far as the keyring does.
    Pickling: the name of the service travels.

    Args:
        service: Under which name they are kept.
        clock: For tests.

    Raises:
        ConfigurationError: the packages for it are not installed, ``service`` is blank, or the user has no folder for the locks.
    """

    def __init__(self, service: str = "animus-client", *, clock: Clock = SYSTEM_CLOCK) -> None:
        require("keyring", extra="keyring", store="keyring")
        self.service: str = _check.text("service", service)
        self._clock = clock
        self._locks = FileTokenStore(clock=clock)

    def load(self, key: str) -> StoredToken | None:
        """Give what was saved last under ``key``, or None.

        Raises:
            Exception: whatever the keyring raises.
            ValueError: what is there is damaged.
        """
        with _fork.forks_wait:
            import keyring

        text = keyring.get_password(self.service, key)
        if text is None:
            return None
        stored = StoredToken.from_json(text)
        if stored is None:
            raise ValueError(f"an entry of {self.service} in the keyring is damaged, or none of ours; it will be replaced")
        return stored

    def save(self, key: str, stored: StoredToken) -> None:
        """Keep ``stored`` under ``key``.

        Raises:
            Exception: whatever the keyring raises.
        """
        with _fork.forks_wait:
            import keyring

        keyring.set_password(self.service, key, stored.to_json())

    def delete(self, key: str) -> None:
        """Forget what is under ``key``.

        Raises:
            Exception: whatever the keyring raises.
        """
        with _fork.forks_wait:
            import keyring

        if keyring.get_password(self.service, key) is None:
            return
        try:
            keyring.delete_password(self.service, key)
        except keyring.errors.PasswordDeleteError:
            if keyring.get_password(self.service, key) is not None:  # not somebody else who was quicker
                raise

    def lock(self, key: str, timeout: float) -> AbstractContextManager[None]:
        """Hold the lock of ``key`` among all processes of this machine; see :meth:`animus.FileTokenStore.lock`."""
        return self._locks.lock(key, timeout)

    def __repr__(self) -> str:
        return f"<KeyringTokenStore {self.service!r}>"

    def __copy__(self) -> KeyringTokenStore:
        return self

    def __deepcopy__(self, memo: object) -> KeyringTokenStore:
        return self

    def __reduce__(self) -> Any:
        return functools.partial(type(self), self.service, clock=self._clock), ()
