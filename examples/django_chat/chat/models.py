"""Conversations: one for each time somebody logs in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import IntegrityError, models, transaction


class Conversation(models.Model):
    """What a user says and hears from login to logout."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    began = models.DateTimeField(auto_now_add=True, db_index=True)

    def entries(self) -> list[dict[str, Any]]:
        """Give all entries, oldest first."""
        return list(Entry.objects.filter(conversation=self).order_by("pk").values_list("body", flat=True))

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Append entries; after the conversation's end, do nothing: the user has logged out while an answer came."""
        try:
            with transaction.atomic():
                Entry.objects.bulk_create([Entry(conversation=self, body=entry) for entry in entries])
        except IntegrityError:
            if Conversation.objects.filter(pk=self.pk).exists():
                raise


class Entry(models.Model):
    """A message, as ``replies.Entry`` says."""

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE)
    body = models.JSONField()
