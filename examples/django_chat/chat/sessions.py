"""The conversation of a session: it begins when somebody logs in, and is gone when they log out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from django.utils import timezone

from chat import services
from chat.models import Conversation

_KEY = "conversation"


def conversation_of(request: HttpRequest) -> Conversation | None:
    """Give the conversation of who is logged in; None: nobody is."""
    if not request.user.is_authenticated or _KEY not in request.session:
        return None
    return Conversation.objects.filter(pk=request.session[_KEY], user=request.user).first()


def connect() -> None:
    """Listen to logins and logouts, whichever way they happen."""
    user_logged_in.connect(_begin)
    user_logged_out.connect(_end)


def _begin(request: HttpRequest, user: Any, **signal: Any) -> None:
    oldest = timezone.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    Conversation.objects.filter(began__lt=oldest).delete()  # of those who never logged out
    request.session[_KEY] = Conversation.objects.create(user=user).pk


def _end(request: HttpRequest, user: Any, **signal: Any) -> None:
    if _KEY in request.session:
        Conversation.objects.filter(pk=request.session[_KEY]).delete()
    if user is not None:
        services.issuer().clear(user)
