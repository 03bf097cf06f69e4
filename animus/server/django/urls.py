"""``path("api/", include("animus.server.django.urls"))`` gives ``/api/get-animus-token``, by the setting ``ANIMUS_TOKEN``."""

from __future__ import annotations

from django.urls import URLPattern, path

from animus.server.django.views import AnimusTokenView

app_name = "animus"
urlpatterns: list[URLPattern] = [path("get-animus-token", AnimusTokenView.as_view(), name="token")]
