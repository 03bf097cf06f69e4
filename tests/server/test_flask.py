"""The token endpoint in Flask."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort

from animus.emulator import Emulator
from animus.errors import ConfigurationError
from animus.server import TokenIssuer
from animus.server.flask import token_blueprint
from tests.server.sites import flask_site
from tests.server.sites.flask_site import SECRETS, TOKEN_PATH
from tests.tokens.minting import SIGNATURE, mint

APP = "https://app.example.com"
FAR = 4102444800
MakeIssuer = Callable[..., TokenIssuer]


def visitor(site: Flask, user: str | None = None) -> Any:
    client = site.test_client()
    if user is not None:
        client.post("/login", data={"user": user})
    return client


def test_five_lines_are_enough(emulator: Emulator, issuer: TokenIssuer) -> None:
    site = Flask("site")
    site.register_blueprint(token_blueprint(issuer, authenticate=lambda request: request.headers.get("X-User")))
    answer = site.test_client().post(TOKEN_PATH, headers={"X-User": "ada"})
    assert answer.status_code == 200
    assert emulator.tokens.read(answer.json["accessToken"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content_type == "application/json"


def test_session_and_bearer_sign_a_user_in(issuer: TokenIssuer) -> None:
    site = flask_site.create(issuer)
    assert visitor(site).post(TOKEN_PATH).status_code == 401
    assert visitor(site, "ada").post(TOKEN_PATH).status_code == 200
    for secret, status in ((SECRETS["service"], 200), ("the secret of no service at all", 401)):
        assert visitor(site).post(TOKEN_PATH, headers={"Authorization": f"Bearer {secret}"}).status_code == status


def test_the_layer_adds_nothing_but_what_flask_does(issuer: TokenIssuer) -> None:
    answer = visitor(flask_site.create(issuer, origins=[APP]), "ada").post(TOKEN_PATH, headers={"Origin": APP})
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert {part.strip() for value in answer.headers.getlist("Vary") for part in value.split(",")} == {"Origin", "Cookie"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_405(issuer: TokenIssuer, method: str) -> None:
    answer = visitor(flask_site.create(issuer), "ada").open(TOKEN_PATH, method=method, headers={"X-HTTP-Method-Override": "POST"})
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    assert answer.content_type == "application/json"


def test_a_preflight_is_the_endpoints_not_flasks(issuer: TokenIssuer) -> None:
    client = visitor(flask_site.create(issuer, origins=[APP]))
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = client.options(TOKEN_PATH, headers=asked)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    refused = client.options(TOKEN_PATH, headers={**asked, "Origin": "https://evil.example"})
    assert (refused.status_code, "Access-Control-Allow-Origin" in refused.headers) == (403, False)


@pytest.mark.parametrize(("code", "status"), [(401, 401), (403, 403), (404, 500), (500, 500)])
def test_abort_means_what_it_says(issuer: TokenIssuer, code: int, status: int) -> None:
    site = flask_site.create(issuer, authenticate=lambda request: abort(code))
    assert visitor(site).post(TOKEN_PATH).status_code == status


def test_a_path_of_ones_own_and_two_endpoints(issuer: TokenIssuer) -> None:
    site = Flask("site")
    for name in ("a", "b"):
        blueprint = token_blueprint(issuer, authenticate=lambda request, name=name: name, url="/token", name=name)
        site.register_blueprint(blueprint, url_prefix=f"/{name}")
    assert [site.test_client().post(path).status_code for path in ("/a/token", "/b/token", "/token")] == [200, 200, 404]


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_is_no_page_for_developers(make_issuer: MakeIssuer, debug: bool, caplog: pytest.LogCaptureFixture) -> None:
    key = "canary-key-that-must-not-sing"

    def fail(request: Any) -> Any:
        secret = mint(FAR)  # a page for developers would show it
        raise RuntimeError(f"{key} {secret}")

    site = flask_site.create(make_issuer(key), authenticate=fail)
    site.debug = site.testing = debug
    site.config["PROPAGATE_EXCEPTIONS"] = debug
    with caplog.at_level(logging.DEBUG):
        answer = visitor(site).post(TOKEN_PATH)
    assert (answer.status_code, answer.json) == (500, {"error": "Failed to generate token", "reason": "server_error"})
    shown = answer.get_data(as_text=True) + str(answer.headers) + caplog.text.replace('raise RuntimeError(f"{key} {secret}")', "")
    assert key not in shown
    assert SIGNATURE not in shown


def test_the_address_is_the_one_flask_knows(issuer: TokenIssuer) -> None:
    from werkzeug.middleware.proxy_fix import ProxyFix

    heard: list[Any] = []
    issuer.on("token_issued", heard.append)
    site = flask_site.create(issuer)
    client = visitor(site, "ada")
    client.post(TOKEN_PATH, headers={"X-Forwarded-For": "203.0.113.9"})
    site.wsgi_app = ProxyFix(site.wsgi_app)  # type: ignore[method-assign]
    client.post(TOKEN_PATH, headers={"X-Forwarded-For": "203.0.113.9"})
    assert [event.remote_address for event in heard] == ["127.0.0.1", "203.0.113.9"]


@pytest.mark.parametrize("options", [{"origins": "*"}, {"limit": "x"}, {"authenticate": None}])
def test_impossible_settings_are_refused_at_start(issuer: TokenIssuer, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        token_blueprint(issuer, **{"authenticate": lambda request: None, **options})
    with pytest.raises(TypeError):
        token_blueprint(issuer, authenticate=lambda request: None, orgins=[])  # type: ignore[call-arg]


def test_without_flask_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['flask'] = None\nimport animus.server.flask"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "animus-client[flask]"' in result.stderr
