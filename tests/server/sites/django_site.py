"""A site in Django as a customer may have it: people log in with a session, and the database knows them.

Django is configured once in a process. What a test needs otherwise it overrides.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from animus.server import BearerUsers
from tests.server.sites.flask_site import SECRETS

TOKEN_PATH = "/api/get-animus-token"
HOSTS = ["127.0.0.1", "localhost", "testserver"]

_services = BearerUsers(SECRETS)


def configure(**further: Any) -> None:
    """Make Django ready, with a database of its own, if it is not yet."""
    if settings.configured:
        return
    folder = Path(tempfile.mkdtemp(prefix="django-site-"))
    atexit.register(_remove, folder, os.getpid())
    settings.configure(
        SECRET_KEY="signs the cookies of a test",
        ALLOWED_HOSTS=HOSTS,
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "animus.server.django"],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "site.sqlite3"), "OPTIONS": {"timeout": 30}}},
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        LOGGING_CONFIG=None,
        **further,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    for name in ("ada", "bob"):
        get_user_model().objects.create_user(name, password=f"password of {name}")


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # and no worker that was forked
        shutil.rmtree(folder, ignore_errors=True)


def authenticate(request: HttpRequest) -> Any:
    return request.user if request.user.is_authenticated else _services(request)


@csrf_exempt
def log_in(request: HttpRequest) -> HttpResponse:
    login(request, get_user_model().objects.get(username=request.POST["user"]))
    return HttpResponse(status=204)


urlpatterns = [path("login", log_in), path("api/", include("animus.server.django.urls"))]


def from_environment() -> Any:
    """Give the site for a server in a process of its own."""
    configure(ANIMUS_TOKEN={"CACHE": "organisation", "LIMIT": None, "AUTHENTICATE": f"{__name__}:authenticate"})
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
