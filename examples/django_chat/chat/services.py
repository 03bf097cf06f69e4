"""What a process has one of: the client, and the issuer of tokens. Both are made when they are first needed."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

from django.http.response import HttpResponseBase

from animus import AnimusClient
from animus.server import TokenIssuer
from animus.server.django import AnimusTokenView
from chat.replies import make_client


@functools.cache
def client() -> AnimusClient:
    """Give the client."""
    return make_client()


@functools.cache
def issuer() -> TokenIssuer:
    """Give the issuer."""
    return TokenIssuer(cache="user")


@functools.cache
def token_view() -> Callable[..., HttpResponseBase]:
    """Give the view of the token endpoint: for who is logged in, and pages of the listed origins."""
    origins = os.environ.get("CHAT_ORIGINS", "").split()
    return AnimusTokenView.as_view(issuer=issuer(), authenticate=lambda request: request.user, origins=origins)
