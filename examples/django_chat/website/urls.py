"""The chat, logging in and out, and the page's own files."""

from __future__ import annotations

import os

from chat import views
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import URLPattern, path, re_path
from django.views.static import serve

from website.settings import BASE_DIR

_LOGIN = {
    "template_name": "chat/login.html",
    "redirect_authenticated_user": True,
    "extra_context": {"hint": os.environ.get("CHAT_HINT")},
}

urlpatterns: list[URLPattern] = [
    path("", views.index, name="index"),
    path("login", LoginView.as_view(**_LOGIN), name="login"),
    path("logout", LogoutView.as_view(http_method_names=["post"]), name="logout"),
    path("messages", views.messages, name="messages"),
    path("chat", views.chat, name="chat"),
    path("api/get-animus-token", views.hand_out_token, name="token"),
    # four small files; where there are more, the web server in front of Django has them
    re_path(r"^static/(?P<path>.+)$", serve, {"document_root": BASE_DIR / "static"}),
]
