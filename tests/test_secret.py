"""Hiding: what looks like a token is never shown, and neither is what is known to be one."""

from __future__ import annotations

import copy
import json
import pickle
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, strategies as st

from animus._secret import REDACTED, Secret, bare_url, scrub, scrub_deep, shape_of

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLWNhbmFyeQ"


# ---- Secret --------------------------------------------------------------------------------------------


def test_a_secret_is_its_text_but_does_not_show_it() -> None:
    secret = Secret("canary-0123")
    assert secret == "canary-0123"
    assert f"Bearer {secret}" == "Bearer canary-0123"
    shown = [repr(secret), repr([secret]), repr({"a": (secret,)}), f"{secret!r}", "%r" % secret]  # noqa: UP031
    assert all("canary" not in text and REDACTED in text for text in shown)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    for value in (Secret("canary"), {"headers": [Secret("canary")]}):
        with pytest.raises(TypeError, match="pickle the source it came from"):
            pickle.dumps(value, protocol)


def test_a_secret_is_copied_as_itself() -> None:
    secret = Secret("canary")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"a": [secret]})["a"][0] is secret


def test_json_can_write_it() -> None:
    assert json.dumps({"token": Secret("x")}) == '{"token": "x"}'


# ---- scrub ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("all is well", "all is well"),
        (f"token {JWT} refused", f"token {REDACTED} refused"),
        (f'{{"token":"{JWT}"}}', f'{{"token":"{REDACTED}"}}'),
        (f"{JWT},{JWT}", f"{REDACTED},{REDACTED}"),
        (JWT.rpartition(".")[0], REDACTED),
        ("Authorization: Bearer opaque-0123456789", f"Authorization: Bearer {REDACTED}"),
        ("bearer   opaque-0123456789", f"bearer   {REDACTED}"),
        ("Basic dXNlcjpwYXNz", f"Basic {REDACTED}"),
        ("basic", "basic"),
        ("a bearer of news", "a bearer of news"),
        ("the eyes of they.them", "the eyes of they.them"),
        ("https://keycloak.example.com/token", "https://keycloak.example.com/token"),
        ("install the keyrings.alt package", "install the keyrings.alt package"),
    ],
)
def test_what_looks_like_a_token(text: str, shown: str) -> None:
    assert scrub(text) == shown


def test_known_secrets_and_their_parts() -> None:
    assert scrub("key=sk-canary-1 or sk-canary-1x", ["sk-canary-1"]) == f"key={REDACTED} or {REDACTED}x"
    _, payload, signature = JWT.split(".")
    assert scrub(f"{signature} and {payload}", [JWT]) == f"{REDACTED} and {REDACTED}"


def test_short_secrets_would_blank_out_words() -> None:
    assert scrub("an apple", ["a", "", "appl"]) == "an apple"


_SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-_", min_size=8, max_size=30)


@given(_SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_no_known_secret_survives(secret: str, before: str, after: str) -> None:
    assert secret not in scrub(f"{before}{secret}{after}", [secret])


_PARTS = st.binary(min_size=3, max_size=20).map(lambda raw: urlsafe_b64encode(raw).decode().rstrip("="))


@given(_PARTS, _PARTS, st.sampled_from(["", " ", "'", '"', "=", "/", ">", "\n"]))
def test_no_jwt_survives_whatever_is_around_it(payload: str, signature: str, around: str) -> None:
    token = f"eyJhbGciOiJIUzI1NiJ9.{payload}.{signature}"
    text = scrub(f"x{around}{token}{around}x" if around else token)
    assert token not in text
    assert f".{payload}" not in text


def test_deep_values_are_scrubbed_in_keys_and_values() -> None:
    value = {"a": [JWT, 1, None, {"b": f"x {JWT}"}], JWT: True, 5: 1.5}
    assert scrub_deep(value) == {"a": [REDACTED, 1, None, {"b": f"x {REDACTED}"}], REDACTED: True, 5: 1.5}


# ---- bare_url and shape_of -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://user:canary@api.example/v3/x?key=canary#canary", "https://api.example/v3/x"),
        ("http://127.0.0.1:80/token", "http://127.0.0.1:80/token"),
        ("http://[::1]:8080/a?b", "http://[::1]:8080/a"),
        ("https://api.example", "https://api.example"),
        ("http://[broken", "<unreadable URL>"),
        ("http://host:port/", "<unreadable URL>"),
        ("", ""),
    ],
)
def test_a_bare_url_has_no_secret_in_it(url: str, bare: str) -> None:
    assert bare_url(url) == bare


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (None, "null"),
        (True, "boolean"),
        (1.5, "number"),
        ("canary", "string"),
        ([], "[]"),
        (["canary"], "[string]"),
        ([1, 2], "[number, …]"),
        ({"a": {"b": {"c": "canary"}}}, '{"a": {"b": {…}}}'),
        ({JWT: 1}, f'{{"{REDACTED}": number}}'),
        ({str(n): n for n in range(13)}, "{" + ", ".join(f'"{n}": number' for n in range(12)) + ", …}"),
        (b"canary", "bytes"),
        ({"accessToken": "x", "max_tokens_2": 1, "@type": None}, '{"accessToken": string, "max_tokens_2": number, "@type": null}'),
        ({"canary-0123456789abcdef": 1, "sk-live-9f8e7d6c": [1], "a" * 60: 1}, "{…: number, …: [number], …: number}"),
    ],
)
def test_a_shape_has_no_values(value: object, shape: str) -> None:
    assert shape_of(value) == shape
