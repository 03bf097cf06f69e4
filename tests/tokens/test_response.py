"""What a source may answer, beyond the vectors."""

from __future__ import annotations

import json
import time
import traceback
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.errors import TokenSourceError
from animus.tokens.reasons import HINTS
from animus.tokens.response import read_answer, read_value
from animus.tokens.token import LiveKitDetails, Token
from tests.tokens.minting import SIGNATURE, mint, token_of

NOW = 1795600000.0
DATE = "Wed, 25 Nov 2026 09:46:40 GMT"  # the same moment
JWT = mint(NOW + 900)
SECRET = "the-canary-that-must-not-sing"


def answer(body: Any, status: int = 200, **headers: str) -> Token:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(status, headers, raw, now=NOW, source="https://back.end/token")


def reason_of(body: Any, status: int = 200, **headers: str) -> str:
    with pytest.raises(TokenSourceError) as caught:
        answer(body, status, **headers)
    error = caught.value
    assert error.hint == HINTS[error.reason]
    assert error.source == "https://back.end/token"
    shown = "".join(traceback.format_exception(error))
    assert SECRET not in shown
    assert SIGNATURE not in shown
    return error.reason


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "unauthorized"), (403, "unauthorized"), (404, "not_found"), (405, "method_not_allowed"), (429, "rate_limited"),
        (400, "client_error"), (402, "client_error"), (410, "client_error"), (418, "client_error"), (422, "client_error"),
        (500, "server_error"), (502, "server_error"), (504, "server_error"), (599, "server_error"),
        (300, "redirect_to_login"), (301, "redirect_to_login"), (302, "redirect_to_login"), (304, "redirect_to_login"),
    ],
)  # fmt: skip
def test_the_status_decides_before_the_body(status: int, reason: str) -> None:
    assert reason_of({"accessToken": JWT, "error": SECRET}, status) == reason


def test_a_redirect_tells_where_to_without_its_query() -> None:
    with pytest.raises(TokenSourceError, match=r"redirects to https://sso\.example/login") as caught:
        answer(b"", 302, Location=f"https://user:{SECRET}@sso.example/login?back={SECRET}#{SECRET}")
    assert SECRET not in str(caught.value)


def test_the_asked_wait_is_kept() -> None:
    with pytest.raises(TokenSourceError) as caught:
        read_answer(429, {}, b"", now=NOW, source="s", retry_after=7.5)
    assert caught.value.retry_after == 7.5


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><p>x", b"<!doctype   HTML>", b"<html lang=en>", b"\xef\xbb\xbf\r\n<HTML>", b"<!-- a --><!-- b -->\n<html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "">', b"<head>", b"<title>Sign in</title>", b"<script>x</script>",
        b"<br />\n<b>Fatal error</b>: Uncaught", b"<table>", b"<h2>Oops</h2>", b"<pre>Traceback", b"<noscript>", b"<IFRAME src=x>",
    ],
)  # fmt: skip
def test_a_page_is_called_a_page(body: bytes) -> None:
    assert reason_of(body) == "html_page"


@pytest.mark.parametrize(
    "body",
    [
        b"", b" \n", b"\xef\xbb\xbf", b"OK", b"undefined", b"<token>x</token>", b"<!-- never closed", b"{", b"{'accessToken': 'x'}", b"NaN",
        b'{"accessToken": NaN}', b"\x00\x01", b"\xff\xfe{\x00}\x00", b"[" * 100000, b"Bearer " + JWT.encode(), b"1.2.3", JWT.encode() * 2,
    ],
)  # fmt: skip
def test_what_is_no_json_is_called_so(body: bytes) -> None:
    assert reason_of(body) == "not_json"


def test_comments_without_end_are_read_in_no_time() -> None:
    start = time.perf_counter()
    assert reason_of(b"<!---->" * 100_000 + b"x") == "not_json"
    assert reason_of(b"<!--" * 200_000) == "not_json"
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    "body",
    [
        {}, [], None, 7, True, "text", JWT, [JWT], {"data": {"accessToken": JWT}}, {"id_token": JWT}, {"refresh_token": JWT}, {"jwt": JWT},
        {"AccessToken": JWT}, {"access-token": JWT}, {"animus": JWT}, {"animus": [JWT]}, {"animus": {"accessToken": JWT}},
        {"accessToken": [JWT]},
        {"livekit": {"voice": {"url": "wss://x", "token": JWT}}}, {"livekit": {"token": JWT}}, {"animus": {"token": None}}, {"token": ""},
        {"token": " \t"}, {"accessToken": False}, {"error": SECRET},
    ],
)  # fmt: skip
def test_no_token_at_a_documented_place(body: Any) -> None:
    assert reason_of(body) == "wrong_shape"


def test_the_error_quotes_the_shape_and_the_documented_ones() -> None:
    with pytest.raises(TokenSourceError, match=r'received \{"data": \{"jwt": string\}, "n": number\}') as caught:
        answer({"data": {"jwt": SECRET}, "n": 3})
    assert '{"accessToken": "<jwt>"}' in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {"accessToken": JWT}, {"access_token": JWT}, {"token": JWT}, {"animus": {"token": JWT}}, {"animus": None, "token": JWT},
        {"animus": {"token": JWT}, "accessToken": "other", "token": "other"}, {"accessToken": JWT, "access_token": "o", "token": "o"},
        {"access_token": JWT, "token": "other"}, {"animus": {"token": ""}, "accessToken": JWT}, {"accessToken": 7, "token": JWT},
        {"accessToken": f" {JWT}\r\n"},
    ],
)  # fmt: skip
def test_the_first_documented_place_with_a_text_has_the_token(body: Any) -> None:
    token = answer(body)
    assert token.value == JWT
    assert (token.expires_at, token.skew, token.issued_at) == (NOW + 900, 0.0, NOW)


def test_a_bare_token_is_taken_and_a_broken_bare_token_is_called_so() -> None:
    assert answer(f"\ufeff {JWT}\n".encode()).value == JWT
    assert reason_of(token_of(b"no json").encode()) == "bad_jwt"


@pytest.mark.parametrize(
    "token",
    [
        f"Bearer {JWT}", JWT.replace(".", ".\n", 1), JWT.replace(".", " .", 1), f"{JWT}\x00", f"{JWT}\x7f", f"{JWT}\r\nX-Evil: 1",
        f'"{JWT}"',
        "abc", "a.b.c", "a.b.c.d.e", JWT + "=", token_of(b"[]"), token_of(b"\xff"), mint(NOW + 9).replace(".", "。"), "ключ", "sk-live-key",
        token_of(b'{"exp": 1e999}'), token_of(b'{"exp": -1e999}'), token_of(b'{"exp": ' + b"9" * 400 + b"}"),
    ],
)  # fmt: skip
def test_what_is_no_jwt_is_never_sent(token: str) -> None:
    assert reason_of({"accessToken": token}) == "bad_jwt"


@pytest.mark.parametrize("exp", [None, True, False, "1795600900", "soon", [], {}, "Wed, 25 Nov 2026 12:00:00 GMT"])
def test_an_end_that_is_no_number_is_none(exp: Any) -> None:
    assert reason_of({"accessToken": token_of(json.dumps({"exp": exp}).encode()), "expiresIn": 600}) == "no_exp"


@pytest.mark.parametrize(("given", "life"), [(600, 600), ("600", 600), (0.5, 0.5), ("1.5", 1.5), (600.0, 600)])
@pytest.mark.parametrize("name", ["expiresIn", "expires_in"])
def test_a_missing_end_is_taken_from_the_seconds_beside_it(name: str, given: Any, life: float) -> None:
    assert answer({"accessToken": mint(), name: given}).expires_at == NOW + life
    assert answer({"animus": {"token": mint(), name: given}}).expires_at == NOW + life


@pytest.mark.parametrize("given", [None, "", "soon", True, [], "1e400", "9" * 400, "-5", " ", "６００"])
def test_seconds_that_are_no_number_do_not_count(given: Any) -> None:
    assert reason_of({"accessToken": mint(), "expiresIn": given}) == "no_exp"


@pytest.mark.parametrize("seconds", [0, -1, "0", -1e300])
def test_seconds_that_are_over_are_over(seconds: Any) -> None:
    assert reason_of({"accessToken": mint(), "expires_in": seconds}) == "expired"


def test_the_claim_beats_the_seconds() -> None:
    assert answer({"accessToken": JWT, "expiresIn": 5}).expires_at == NOW + 900


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, -1, -1e300, NOW - 0.001])
def test_over_on_arrival(exp: float) -> None:
    assert reason_of({"accessToken": mint(exp)}) == "expired"


# ---- the provider's clock ------------------------------------------------------------------------------


def test_the_date_corrects_our_clock() -> None:
    token = read_answer(200, {"date": DATE}, JWT.encode(), now=NOW - 172800, source="s")
    assert (token.expires_at, token.skew, token.usable_until) == (NOW + 900, 172800, NOW - 172800 + 900)


def test_the_date_ends_what_our_clock_would_still_send() -> None:
    with pytest.raises(TokenSourceError) as caught:
        read_answer(200, {"Date": DATE}, mint(NOW - 10).encode(), now=NOW - 3600, source="s")
    assert caught.value.reason == "expired"


def test_a_date_within_the_running_second_says_nothing() -> None:
    assert read_answer(200, {"Date": DATE}, JWT.encode(), now=NOW + 0.9, source="s").skew == 0.0
    assert read_answer(200, {"Date": DATE}, JWT.encode(), now=NOW + 1.5, source="s").skew == -1.5


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:10 GMT", "Fri, 01 May 2020 00:00:00 GMT", "yesterday", ""])
def test_a_date_that_the_token_contradicts_is_not_believed(date: str) -> None:
    token = read_answer(200, {"Date": date}, mint(NOW + 900, iat=NOW).encode(), now=NOW, source="s")
    assert token.skew == 0.0


def test_a_date_a_little_before_the_issue_is_believed_and_so_is_one_better_than_ours() -> None:
    assert read_answer(200, {"Date": DATE}, mint(NOW + 900, iat=NOW + 200).encode(), now=NOW + 200, source="s").skew == -200
    assert read_answer(200, {"Date": DATE}, mint(NOW + 9000, iat=NOW + 600).encode(), now=NOW - 1e8, source="s").skew == 1e8


# ---- LiveKit -------------------------------------------------------------------------------------------


def test_realtime_details_are_kept_apart() -> None:
    livekit = {"voice": {"url": "wss://rooms.example", "token": mint(NOW + 60)}, "video": {"url": "wss://x", "token": mint()}}
    token = answer({"animus": {"token": JWT}, "livekit": livekit})
    assert token.value == JWT
    assert token.livekit["voice"].url == "wss://rooms.example"
    assert token.livekit["voice"].expires_at == NOW + 60
    assert token.livekit["video"].expires_at is None
    assert SIGNATURE not in repr(token)


@pytest.mark.parametrize(
    "livekit",
    [
        None, [], "x", {}, {"voice": None}, {"voice": {"url": "wss://x"}}, {"voice": {"token": JWT}}, {"voice": {"url": 1, "token": JWT}},
        {"voice": {"url": "wss://x", "token": "broken"}}, {"voice": {"url": "javascript:x", "token": JWT}}, {"url": "wss://x"},
        {"url": "wss://x", "token": "broken"}, {"token": JWT},
    ],
)  # fmt: skip
def test_other_realtime_details_do_not_matter(livekit: Any) -> None:
    assert answer({"animus": {"token": JWT}, "livekit": livekit}).livekit == {}


def test_the_oldest_form_has_realtime_details_without_a_context() -> None:
    livekit: dict[str, Any] = {"url": "wss://old", "token": mint(NOW + 60)}
    assert answer({"animus": {"token": JWT}, "livekit": livekit}).livekit["voice"].url == "wss://old"
    livekit["voice"] = {"url": "wss://new", "token": mint(NOW + 60)}
    assert answer({"animus": {"token": JWT}, "livekit": livekit}).livekit["voice"].url == "wss://new"


# ---- values from sources that are no URL ---------------------------------------------------------------


def value(given: Any, *, opaque_ok: bool = True) -> Token:
    return read_value(given, now=NOW, source="a function", opaque_ok=opaque_ok)


def value_reason(given: Any, *, opaque_ok: bool = True) -> str:
    with pytest.raises(TokenSourceError) as caught:
        value(given, opaque_ok=opaque_ok)
    assert SECRET not in str(caught.value)
    return caught.value.reason


def test_an_opaque_text_has_no_known_end() -> None:
    token = value(" sk-live|key:1\n")
    assert (token.value, token.expires_at) == ("sk-live|key:1", None)
    assert value_reason("sk-live", opaque_ok=False) == "bad_jwt"


def test_a_jwt_without_end_is_taken_from_a_function_but_not_from_a_provider() -> None:
    assert value(mint(sub="u")).expires_at is None
    assert value({"token": mint(sub="u")}).expires_at is None
    assert value_reason(mint(sub="u"), opaque_ok=False) == "no_exp"


def test_a_jwt_with_an_end_has_that_end() -> None:
    assert value(JWT).expires_at == NOW + 900
    assert value_reason(mint(NOW - 1)) == "expired"


def test_a_mapping_is_read_like_an_answer() -> None:
    assert value({"access_token": "opaque-one", "expires_in": 60}).expires_at == NOW + 60
    assert value({"animus": {"token": JWT}}).value == JWT


@pytest.mark.parametrize("given", [f"Bearer {JWT}", "two words", "line\nbreak", "nul\0", "тайна", "\x7f"])
def test_a_text_that_cannot_stand_in_a_header_is_refused(given: str) -> None:
    assert value_reason(given) == "bad_jwt"


@pytest.mark.parametrize(
    "given", [None, "", "  ", b"bytes", 7, [JWT], object(), {}, {"x": SECRET}, f'{{"accessToken":"{SECRET}"}}', "<html>"]
)
def test_other_values_have_the_wrong_shape(given: Any) -> None:
    assert value_reason(given) == "wrong_shape"


def test_what_cannot_stand_in_a_header_is_told_as_such() -> None:
    for text, said in (("two words", "white space"), ("caf\xe9-key", "other characters than visible ASCII"), ('"quoted"', "in quotes")):
        with pytest.raises(TokenSourceError, match=said) as caught:
            value(text)
        assert text not in str(caught.value)
    for text, said in (("two words", "white space"), ("caf\xe9", "visible ASCII"), ("", "empty")):
        with pytest.raises(TokenSourceError, match=said):
            value(Token(text))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"value": None}, r"Token\.value must be a text, not None"),
        ({"value": b"abc"}, r"Token\.value must be a text, not a bytes"),
        ({"value": ["x"]}, r"Token\.value must be a text, not a list"),
        ({"value": "x", "expires_at": "soon"}, r"Token\.expires_at must be a number of seconds, not a str"),
        ({"value": "x", "expires_at": True}, r"Token\.expires_at must be a number of seconds, not a bool"),
        ({"value": "x", "skew": "0"}, r"Token\.skew"),
        ({"value": "x", "issued_at": object()}, r"Token\.issued_at"),
        ({"value": "x", "livekit": None}, r"Token\.livekit must be a mapping"),
        ({"value": "x", "livekit": {"voice": "wss://x"}}, r"Token\.livekit must be a mapping"),
    ],
)
def test_a_token_is_made_of_what_it_should_be(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(TypeError, match=field):
        Token(**fields)


def test_a_number_of_too_many_digits_is_no_end() -> None:
    with pytest.raises(ValueError, match="not one of 401 digits"):
        Token("x", 10**400)


def test_realtime_details_are_made_of_what_they_should_be() -> None:
    for fields in ((None, "t"), ("wss://x", None), ("wss://x", b"t"), ("wss://x", "t", "soon")):
        with pytest.raises(TypeError, match=r"LiveKitDetails\."):
            LiveKitDetails(*fields)  # type: ignore[arg-type]


def test_the_scheme_of_a_room_may_be_written_in_any_case() -> None:
    answered = {"token": JWT, "livekit": {"voice": {"url": "WSS://x", "token": JWT}}}
    assert value(answered).livekit["voice"].url == "WSS://x"


def test_a_token_gets_what_it_lacks() -> None:
    assert value(Token("opaque", NOW + 5)).issued_at == NOW
    assert value(Token("opaque", NOW + 5, issued_at=NOW - 5)).issued_at == NOW - 5
    assert value(Token(JWT)).expires_at == NOW + 900
    assert value(Token(mint())).expires_at is None


def test_a_token_that_cannot_be_used_is_refused() -> None:
    assert value_reason(Token("opaque", NOW)) == "expired"
    assert value_reason(Token("opaque", float("nan"))) == "no_exp"
    assert value_reason(Token("two words", NOW + 5)) == "bad_jwt"
    assert value(Token("opaque", NOW - 5, skew=-60)).usable_until == NOW + 55


# ---- anything ------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.just(JWT) | st.just(mint()),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["animus", "token", "accessToken", "access_token", "expiresIn", "expires_in", "livekit", "voice", "url", "x"]),
            children,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(json_values | st.binary(max_size=60), st.integers(100, 999), st.text(max_size=40))
def test_any_answer_is_a_token_or_a_reason(body: Any, status: int, date: str) -> None:
    try:
        token = answer(body, status, Date=date)
    except TokenSourceError as error:
        assert error.reason in HINTS
        return
    assert token.usable_until is not None
    assert token.usable_until > NOW


@given(json_values)
def test_any_value_is_a_token_or_a_reason(given_value: Any) -> None:
    try:
        token = value(given_value)
    except TokenSourceError as error:
        assert error.reason in HINTS
        return
    assert token.value.isascii()
