"""Try the page: ``python run.py``, against the emulator, or with ``ANIMUS_API_KEY`` and ``CHAT_USERS`` against the platform."""

from __future__ import annotations

import os
from typing import Any

from demo import run


def make_application() -> Any:
    """Bring the database up to date, make the accounts of ``CHAT_USERS`` that are not there yet, and give the application."""
    from django.core.wsgi import get_wsgi_application

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "website.settings")
    application = get_wsgi_application()

    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name, _, password in (pair.partition(":") for pair in os.environ.get("CHAT_USERS", "").split()):
        if not users.filter(username=name).exists():
            users.create_user(name, password=password)
    return application


if __name__ == "__main__":
    run(make_application)
