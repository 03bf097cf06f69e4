"""A site in Flask as a customer may have it: people log in with a cookie, services have a bearer."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, request, session

from animus.server import BearerUsers, TokenIssuer
from animus.server.flask import token_blueprint

SECRETS = {"service": "the secret of the only service"}
TOKEN_PATH = "/api/get-animus-token"

_services = BearerUsers(SECRETS)


def authenticate(request: Any) -> Any:
    return session.get("user") or _services(request)


def create(issuer: TokenIssuer, **options: Any) -> Flask:
    site = Flask(__name__)
    site.secret_key = "signs the cookies of a test"
    options.setdefault("authenticate", authenticate)
    site.register_blueprint(token_blueprint(issuer, **options))

    @site.post("/login")
    def login() -> Response:
        session["user"] = request.form["user"]
        return Response(status=204)

    return site


def from_environment() -> Flask:
    """Give the site for a server in a process of its own."""
    return create(TokenIssuer(cache="organisation", store=os.environ.get("SITE_STORE")), limit=None)
