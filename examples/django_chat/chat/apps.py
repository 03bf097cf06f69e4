"""The chat as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Connects what happens when somebody logs in or out."""

    name = "chat"

    def ready(self) -> None:
        from chat import sessions

        sessions.connect()
