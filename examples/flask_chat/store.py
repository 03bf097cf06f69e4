"""Conversations in SQLite: one for each time somebody logs in."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversation (id TEXT PRIMARY KEY, user TEXT NOT NULL, began REAL NOT NULL);
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversation ON DELETE CASCADE,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_conversation ON entry (conversation);
"""
_LONGEST_LIFE = 7 * 24 * 3600.0  # seconds after which nobody who forgot to log out is logged in any more


class Store:
    """Conversations with their entries. Any number of threads and processes may share the file."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._connection() as connection:
            connection.executescript(_SCHEMA)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Give a connection of one's own, in a transaction."""
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            connection.execute("PRAGMA foreign_keys = ON")
            with connection:
                yield connection

    def begin(self, user: str) -> str:
        """Begin a conversation of ``user``; give its id, which nobody can guess."""
        conversation = secrets.token_urlsafe(32)
        with self._connection() as connection:
            connection.execute("DELETE FROM conversation WHERE began < ?", (time.time() - _LONGEST_LIFE,))
            connection.execute("INSERT INTO conversation VALUES (?, ?, ?)", (conversation, user, time.time()))
        return conversation

    def user_of(self, conversation: str) -> str | None:
        """Give whose conversation it is; None: there is none, or none any more."""
        with self._connection() as connection:
            sought = (conversation, time.time() - _LONGEST_LIFE)
            found = connection.execute("SELECT user FROM conversation WHERE id = ? AND began >= ?", sought).fetchone()
        return found[0] if found else None

    def entries(self, conversation: str) -> list[dict[str, Any]]:
        """Give all entries, oldest first."""
        with self._connection() as connection:
            rows = connection.execute("SELECT body FROM entry WHERE conversation = ? ORDER BY number", (conversation,)).fetchall()
        return [json.loads(body) for (body,) in rows]

    def add(self, conversation: str, entries: Sequence[dict[str, Any]]) -> None:
        """Append entries; after the conversation's end, do nothing: the user has logged out while an answer came."""
        with self._connection() as connection:
            for entry in entries:
                row = (conversation, json.dumps(entry), conversation)
                connection.execute(
                    "INSERT INTO entry (conversation, body) SELECT ?, ? WHERE EXISTS (SELECT 1 FROM conversation WHERE id = ?)", row
                )

    def end(self, conversation: str) -> None:
        """Forget a conversation, with all that was said."""
        with self._connection() as connection:
            connection.execute("DELETE FROM conversation WHERE id = ?", (conversation,))
