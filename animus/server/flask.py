"""The token endpoint as a Flask blueprint.

.. code-block:: python

    app.register_blueprint(token_blueprint(TokenIssuer(), authenticate=lambda request: session.get("user")))
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

try:
    from flask import Blueprint, Response, request as current_request
except ImportError as _error:
    raise ImportError('animus.server.flask needs Flask. Install it with: pip install "animus-client[flask]"', name="flask") from _error

from werkzeug.exceptions import HTTPException

from animus.server.endpoint import EndpointOptions, TokenEndpoint
from animus.server.issuer import TokenIssuer
from animus.server.refusal import NotAllowed

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_blueprint"]

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]  # all: what is not POST is answered in JSON, too


def token_blueprint(
    issuer: TokenIssuer,
    *,
    authenticate: Callable[[Any], Any],
    url: str = "/api/get-animus-token",
    name: str = "animus_token",
    **options: Unpack[EndpointOptions],
) -> Blueprint:
    """Give a blueprint with the one route that hands out tokens.

    Args:
        issuer: Where tokens come from.
        authenticate: Gets Flask's ``request`` and gives the user, or None; ``abort(401)`` and ``abort(403)`` in it do what they say.
        url: The route, below the blueprint's ``url_prefix``.
        name: The blueprint's name.
        options: ``origins``, ``credentials``, ``allow_headers``, ``limit``, ``authorize``, ``client_address``: see
            :class:`~animus.server.endpoint.TokenEndpoint`. Behind a proxy, use Werkzeug's ``ProxyFix``, and the address is right.

    Raises:
        ConfigurationError: a setting that is not possible.
    """
    endpoint = TokenEndpoint(issuer, authenticate=_with_aborts(authenticate), **options)
    blueprint = Blueprint(name, __name__)

    @blueprint.route(url, endpoint="token", methods=_METHODS, provide_automatic_options=False)
    def token() -> Response:
        request = current_request._get_current_object()  # type: ignore[attr-defined]
        answer = endpoint.answer(request.method, request.headers, request=request, remote_address=request.remote_addr)
        response = Response(answer.body, answer.status)
        for header, value in answer.headers:
            response.headers[header] = value
        return response

    return blueprint


def _with_aborts(authenticate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have ``abort(401)`` mean that nobody is signed in, and ``abort(403)`` that this user may not."""
    if not callable(authenticate):
        return authenticate

    @functools.wraps(authenticate, updated=())
    def call(request: Any) -> Any:
        try:
            return authenticate(request)
        except HTTPException as error:
            if error.code == 401:
                return None
            if error.code == 403:
                raise NotAllowed from None
            raise

    return call
