"""Why there is no usable token: a fixed word for each case, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from animus.errors import TokenSourceError

DOCUMENTED_SHAPES = '{"accessToken": "<jwt>"} or {"animus": {"token": "<jwt>"}}'

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "unauthorized": "The back end did not accept its own user: give the token source the headers=, cookies= or auth= "
        "that sign the user in, and check that the session is not over",
        "not_found": "Check the URL of the token provider: path and method must be those of the back end's route",
        "method_not_allowed": 'The route exists, but not for this method: try UrlTokenSource(url, method="GET")',
        "rate_limited": "The token provider asks to be called less often: share one client between threads instead of making many",
        "client_error": "The token provider refuses the request as it is: check headers=, json= and data= of the token source",
        "server_error": "The token provider failed: look into the back end's log; its API key may be missing or wrong",
        "redirect_to_login": "Redirects are not followed. A login page redirects who is not signed in: give headers=, cookies= or auth=; "
        "or the URL is not exactly the route's (http for https, a slash at the end)",
        "html_page": "The URL is a web page (a login page, or a single-page app that answers every path), not the token endpoint: "
        "check URL and sign-in",
        "not_json": f"The token endpoint must answer JSON: {DOCUMENTED_SHAPES}",
        "wrong_shape": f"Documented are {DOCUMENTED_SHAPES}",
        "bad_jwt": "The token must be a JWT (three parts of base64url, joined by dots), alone: no 'Bearer ', no white space, no quotes",
        "no_exp": "The token must say how long it is valid: an exp claim (Unix seconds), or expiresIn (seconds) beside it",
        "expired": "The provider must not keep old tokens, a fixed one must be replaced, and the clocks of provider and issuer must agree",
        "bad_signature": "The token must be signed by the issuer whose key or jwks_url is given, with one of the algorithms given: "
        "check both, and that provider and issuer belong to the same platform",
        "bad_claims": "Check audience= and issuer= of the verification against the claims of a token, whether its exp and nbf are numbers, "
        "and the clocks",
        "no_keys": "Check jwks_url= of the verification: the server must answer 200 and a JSON object with keys (RFC 7517)",
        "unreachable": "Check host and port of the token provider, the network, and any proxy",
        "timeout": "The token source took too long: raise its timeout=, or look into why the back end is slow",
        "tls": "The provider's certificate was not accepted: check host name and CA bundle (verify=)",
        "too_large": "An answer of that size is no token: check the URL of the token provider",
        "not_available": "Set it, or give the client another token_source",
        "failed": "The token source raised an exception: see the cause",
    }
)


def failure(
    reason: str,
    message: str,
    *,
    source: str,
    status: int | None = None,
    retry_after: float | None = None,
    hint: str | None = None,
) -> TokenSourceError:
    """Give the error for one of the reasons, with its usual hint unless another is given."""
    return TokenSourceError(message, reason=reason, source=source, status=status, retry_after=retry_after, hint=hint or HINTS.get(reason))
