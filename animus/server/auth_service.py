"""The platform's auth service as a token source whose tokens keep the whole answer they came in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from animus import _strict_json
from animus._jwt import looks_like_jwt
from animus._secret import Secret
from animus.http.plain import PlainAnswer
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.variable import EnvironmentVariable
from animus.tokens.reasons import failure
from animus.tokens.token import Token

_SHORTEST_KEY = 6  # a shorter one would be found in ordinary words
_DEEPEST = 32  # levels of an answer that are passed along
_LIFETIMES = ("expiresIn", "expires_in")


@dataclass(frozen=True, slots=True)
class IssuedToken(Token):
    """A token, and the JSON object it came in.

    Attributes:
        answer: The object, with the token at both documented places. Never to be changed: it may be handed out again.
    """

    answer: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


class AuthService(ApiKeyTokenSource):
    """Asks the auth service with the API key; arguments as for :class:`~animus.sources.apikey.ApiKeyTokenSource`."""

    # who finds out that the token ends soon waits for the next one: what is handed out should live for long, and
    # servers that fork workers or count threads get none from us
    background = False

    @property
    def known_key(self) -> str | None:
        """The key, for hiding it; None if only a function knows it."""
        key = self._key() if isinstance(self._key, EnvironmentVariable) else self._key
        return key if isinstance(key, str) else None

    def _read(self, answer: PlainAnswer, key: str) -> Token:
        token = super()._read(answer, key)
        whole = _copied(_object_in(answer.body))
        if len(key) >= _SHORTEST_KEY and any(key in text for text in (token.value, *_texts(whole))):
            hint = "It echoes what it is sent: nothing of that may be handed out"
            raise failure("wrong_shape", "the answer of the auth service shows the API key", source=self.name, hint=hint)
        return IssuedToken(token.value, token.expires_at, token.skew, token.issued_at, token.livekit, normalised(whole, token.value))


def normalised(answer: Mapping[str, Any], token: str) -> dict[str, Any]:
    """Give the auth service's answer with the token at both places that clients look at, and all else as it came.

    ``accessToken`` is the documented place, ``animus.token`` that of the JavaScript SDK 1.21, which also wants the realtime details below
    ``livekit.voice``: where an older auth service has them right below ``livekit``, they are put there too.
    """
    whole = dict(answer)
    nested, livekit = whole.get("animus"), whole.get("livekit")
    whole["accessToken"] = Secret(token)
    whole["animus"] = {**(nested if isinstance(nested, dict) else {}), "token": Secret(token)}
    if isinstance(livekit, dict) and "voice" not in livekit and {"url", "token"} <= set(livekit):
        whole["livekit"] = {**livekit, "voice": {"token": livekit["token"], "url": livekit["url"]}}
    return whole


def answer_with(token: Token, now: float) -> dict[str, Any]:
    """Give the answer to hand out with ``token``, a copy for each who asks; a life beside the token is what is left of it at ``now``."""
    answer: dict[str, Any]
    if isinstance(token, IssuedToken):
        answer = _copied(token.answer)
    else:  # from a store, which keeps the realtime details but not the words around them
        voices = {context: {"token": details.token, "url": details.url} for context, details in token.livekit.items()}
        answer = normalised({"livekit": voices} if voices else {}, token.value)
    if token.usable_until is not None:
        for holder in (answer, answer["animus"]):
            for name in _LIFETIMES:
                if name in holder:
                    holder[name] = max(0, int(token.usable_until - now))
    return answer


def _object_in(body: bytes) -> dict[str, Any]:
    """Give the JSON object in a body that a token was read from; an empty one if it was the token alone."""
    text = body.decode("utf-8", "replace").strip().lstrip("\ufeff")
    try:
        data = json.loads(text)  # keeps long whole numbers as they are, if it can
    except ValueError:
        try:
            data = _strict_json.loads(text)
        except ValueError:
            return {}
    return data if isinstance(data, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _copied(value: Any, depth: int = 0) -> Any:
    """Give a JSON value in which tokens do not show themselves: it lies in local variables, which error trackers collect.

    Numbers that JSON does not have become null, and so does what lies deeper than any auth service puts anything.
    """
    if isinstance(value, str):
        return Secret(value) if looks_like_jwt(value) else value
    if isinstance(value, Mapping):
        return None if depth > _DEEPEST else {name: _copied(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return None if depth > _DEEPEST else [_copied(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
