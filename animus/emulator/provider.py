"""Who gets a token, and in which shape."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from animus.emulator.recording import RecordedRequest
from animus.emulator.state import EmulatorState

LIVEKIT_URL = "wss://livekit.animus-emulator.invalid"
API_KEY_USER = "organisation"

_USER_NAME = re.compile(r"user-[A-Za-z0-9_-]{1,40}")


def token_answer(state: EmulatorState, user: str) -> dict[str, Any]:
    """Give the body with a new token for ``user``, in the shape that is set."""

    def mint(purpose: Any) -> str:
        return state.tokens.mint(user, now=state.now, lifetime=state.token_lifetime, purpose=purpose)

    token = mint("api")
    if state.token_shape == "flat":
        return {"accessToken": token}
    if state.token_shape == "livekit_flat":
        return {"animus": {"token": token}, "livekit": {"url": LIVEKIT_URL, "token": mint("livekit")}}
    nested = {"animus": {"token": token}, "livekit": {"voice": {"token": mint("livekit"), "url": LIVEKIT_URL}}}
    return nested if state.token_shape == "nested" else {"accessToken": token, **nested}


def user_of(state: EmulatorState, request: RecordedRequest) -> str | None:
    """Give the name of the user who asks for a token, or None if nobody may have one by this request.

    A function or mapping given as ``require_user`` decides. Otherwise a user whose credential (bearer, ``X-User`` header or a cookie)
    reads ``user-…`` has that name, any other credential gives ``user-`` and some digits of its hash, and none gives ``user``.
    """
    check = state.require_user
    if check is None:
        return _name_by_credential(request)
    if not isinstance(check, Mapping):
        return check(request) or None
    names: list[str] = []
    for where, wanted in check.items():
        given = request.headers.get(where) or request.cookies.get(where)
        if given is None or (given not in wanted if isinstance(wanted, Mapping) else given != wanted):
            return None
        if isinstance(wanted, Mapping):
            names.append(wanted[given])
    return names[0] if names else _name_by_credential(request)


def _name_by_credential(request: RecordedRequest) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    credentials = [text for text in (bearer or scheme, request.headers.get("X-User", ""), *request.cookies.values()) if text]
    for credential in credentials:
        if _USER_NAME.fullmatch(credential):
            return str(credential)
    # the name goes into tokens, recordings and logs, where a session id or password has no business
    return f"user-{hashlib.sha256(''.join(credentials).encode()).hexdigest()[:8]}" if credentials else "user"
