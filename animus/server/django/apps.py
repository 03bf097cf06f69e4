"""The application for ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class AnimusTokenConfig(AppConfig):
    """Has ``manage.py check`` look at the setting ``ANIMUS_TOKEN``."""

    name = "animus.server.django"
    label = "animus_token"

    def ready(self) -> None:
        """Register the checks."""
        from animus.server.django.checks import check_settings

        checks.register(check_settings, checks.Tags.security)
