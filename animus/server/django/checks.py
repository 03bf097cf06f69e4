"""What ``manage.py check`` says about the setting ``ANIMUS_TOKEN``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from django import conf
from django.core.checks import CheckMessage, Error, Warning

from animus._origin import is_loopback, origin_of
from animus.errors import ConfigurationError
from animus.server.django.configuration import SETTING, endpoint_from_settings, given_settings
from animus.server.issuer import API_KEY

_AUTHENTICATION = "AuthenticationMiddleware"


def check_settings(app_configs: Any = None, **further: Any) -> Sequence[CheckMessage]:
    """Look at the settings.

    * ``animus.E001``: one of them is wrong.
    * ``animus.E002``: users are to be those who are logged in, but no middleware says who is.
    * ``animus.W001``: there is no API key here. No error, since machines that build and test have none.
    * ``animus.W002``: pages of an origin without TLS may ask for tokens.
    """
    found: list[CheckMessage] = []
    stand_ins = {}
    try:
        given = given_settings()
        if given.get("API_KEY") is None and not os.environ.get(API_KEY, "").strip():
            hint = f"Set the environment variable {API_KEY}, or {SETTING}['API_KEY']"
            found.append(Warning("There is no API key to issue tokens with.", hint=hint, id="animus.W001"))
            stand_ins = {"API_KEY": "none, to look at all the rest"}
        endpoint_from_settings(**stand_ins).issuer.close()
    except ConfigurationError as error:
        return [*found, Error(error.message, hint=error.hint, id="animus.E001")]
    if given.get("AUTHENTICATE") is None and not any(name.endswith(_AUTHENTICATION) for name in conf.settings.MIDDLEWARE):
        hint = f"Add django.contrib.auth.middleware.{_AUTHENTICATION} to MIDDLEWARE, or set {SETTING}['AUTHENTICATE']"
        found.append(Error("Nothing tells the token endpoint who is logged in.", hint=hint, id="animus.E002"))
    return [*found, *_open_origins(given.get("ORIGINS", ()))]


def _open_origins(origins: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for text in [origins] if isinstance(origins, str) else origins:
        if text == "*":
            continue
        origin = origin_of(text)
        if origin.scheme == "http" and not is_loopback(origin.host):
            message = f"{SETTING}['ORIGINS'] has {origin}: whoever is in that network can write pages of that origin, and read tokens."
            found.append(Warning(message, hint="Serve the page by https", id="animus.W002"))
    return found
