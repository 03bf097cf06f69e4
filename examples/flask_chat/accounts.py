"""Who may log in: the accounts of a variable of the environment. A real site asks its own database."""

from __future__ import annotations

import secrets

from werkzeug.security import check_password_hash, generate_password_hash


class Accounts:
    """Names and hashed passwords, of a text such as ``"ada:tides bob:stars"``."""

    def __init__(self, text: str) -> None:
        pairs = [pair.partition(":") for pair in text.split()]
        if not pairs or not all(name and password for name, _, password in pairs):
            raise ValueError("CHAT_USERS must have names and passwords: ada:tides bob:stars")
        self._hashes = {name: generate_password_hash(password) for name, _, password in pairs}
        self._nobodys = generate_password_hash(secrets.token_hex(16))

    def check(self, name: str, password: str) -> bool:
        """Tell whether somebody is who they say; whether the name is known cannot be told from the time it takes."""
        right = check_password_hash(self._hashes.get(name, self._nobodys), password)
        return right and name in self._hashes
