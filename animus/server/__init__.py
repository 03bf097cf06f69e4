"""The back end's side of the token-provider pattern: it holds the API key, knows its users, and hands out tokens.

* :class:`TokenIssuer` asks the platform's auth service, :class:`TokenEndpoint` answers one HTTP request without any framework.
* ``animus.server.flask``, ``animus.server.django`` and ``animus.server.wsgi`` are the thin layers for frameworks, each imported on its own.
* :class:`RateLimit`, :class:`BearerUsers` and :class:`NotAllowed` are for their arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from animus.server.bearer import BearerUsers
    from animus.server.endpoint import EndpointAnswer, TokenEndpoint
    from animus.server.issuer import TokenGrant, TokenIssuer
    from animus.server.limit import RateLimit
    from animus.server.refusal import NotAllowed

__all__ = ["BearerUsers", "EndpointAnswer", "NotAllowed", "RateLimit", "TokenEndpoint", "TokenGrant", "TokenIssuer"]


# who wants only the WSGI layer of a framework should not pay for the others; requests comes with the issuer
if not TYPE_CHECKING:
    _MODULES = {
        "BearerUsers": "bearer",
        "EndpointAnswer": "endpoint",
        "NotAllowed": "refusal",
        "RateLimit": "limit",
        "TokenEndpoint": "endpoint",
        "TokenGrant": "issuer",
        "TokenIssuer": "issuer",
    }

    def __getattr__(name: str) -> Any:
        """Load a public name (PEP 562)."""
        from importlib import import_module

        from animus import _fork

        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with _fork.forks_wait:
            value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
