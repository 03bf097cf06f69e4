"""The token endpoint as a Django application: ``animus.server.django`` in ``INSTALLED_APPS``, ``animus.server.django.urls`` in the URLs.

Settings stand in one mapping, ``ANIMUS_TOKEN``; all are optional (:mod:`animus.server.django.configuration`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animus.server.django.views import AnimusTokenView

__all__ = ["AnimusTokenView"]


# Django imports this package before it is ready for views
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load the view (PEP 562)."""
        if name in __all__:
            from animus.server.django import views

            return getattr(views, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
