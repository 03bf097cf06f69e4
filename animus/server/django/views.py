"""The view that hands out tokens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from animus.errors import ConfigurationError
from animus.server.django.configuration import CONFIGURED, make_endpoint
from animus.server.endpoint import EndpointAnswer, TokenEndpoint, unconfigured

logger: logging.Logger = logging.getLogger(__name__)


@method_decorator(csrf_exempt, name="dispatch")
class AnimusTokenView(View):
    """Hands out tokens to users who are logged in.

    ``AnimusTokenView.as_view()`` goes by the setting ``ANIMUS_TOKEN``; ``as_view(issuer=…, authenticate=…, origins=…, …)`` by its
    arguments, which are those of :class:`~animus.server.endpoint.TokenEndpoint`.

    It wants no CSRF token, and needs none. That protection is for requests that change something in the user's name; this one changes
    nothing, and its answer is worth something only to who can read it. A page of another site cannot: the browser keeps answers without
    CORS headers from it, and requests of foreign pages are refused before the session is looked at. Clients such as the JavaScript SDK
    have no way to send a CSRF token.
    """

    endpoint: TokenEndpoint | None = None

    @classmethod
    def as_view(cls, **arguments: Any) -> Callable[..., HttpResponseBase]:
        """Give the view as a function.

        Raises:
            ConfigurationError: an argument that is not possible.
        """
        if arguments and "endpoint" not in arguments:
            if "issuer" not in arguments:
                raise ConfigurationError("as_view() needs issuer= with other arguments", hint="Without any, it goes by ANIMUS_TOKEN")
            arguments = {"endpoint": make_endpoint(**arguments)}
        return super().as_view(**arguments)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer, whatever the method."""
        answer = self._answer(request)
        response = HttpResponse(answer.body, status=answer.status, content_type=None)
        del response.headers["Content-Type"]  # of Django's choice
        for name, value in answer.headers:
            response.headers[name] = value
        return response

    # who is not logged in gets a 401, and no page to log in (LoginRequiredMiddleware)
    dispatch.login_required = False  # type: ignore[attr-defined]

    def _answer(self, request: HttpRequest) -> EndpointAnswer:
        try:
            endpoint = self.endpoint or CONFIGURED.get()
        except ConfigurationError as error:
            # not raised: the page that Django shows with DEBUG has the settings among the variables
            logger.error("the setting ANIMUS_TOKEN is wrong: %s", error)
            return unconfigured()
        method, address = request.method or "", request.META.get("REMOTE_ADDR") or None
        return endpoint.answer(method, request.headers, request=request, remote_address=address)
