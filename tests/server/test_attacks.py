"""What strangers send, byte by byte, to real sites: none of it gets a token, the key, or a word of its own into a header."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from animus.emulator import Emulator
from animus.server import TokenIssuer
from animus.server.wsgi import TokenApplication
from tests.server.hosting import waitress_serving
from tests.server.sites import flask_site
from tests.server.test_hosts import TOKEN_PATH, credentials, django_application

APP = "https://app.example.com"
SECRET = flask_site.SECRETS["service"]
GOOD = f"Authorization: Bearer {SECRET}"


def flask_application(issuer: TokenIssuer) -> Any:
    site = flask_site.create(issuer, limit=None, origins=[APP])
    site.debug = True
    return site


def wsgi_application(issuer: TokenIssuer) -> Any:
    return TokenApplication(issuer, authenticate=flask_site._services, limit=None, origins=[APP])


SITES: dict[str, Callable[[TokenIssuer], Any]] = {"flask": flask_application, "django": django_application, "wsgi": wsgi_application}


@pytest.fixture(params=SITES)
def site(request: pytest.FixtureRequest, issuer: TokenIssuer) -> Iterator[tuple[str, str, str]]:
    """Give the name of a site, its origin, and a header of a user who is signed in."""
    with waitress_serving(SITES[request.param](issuer), max_request_body_size=100_000) as origin:
        good = GOOD
        if request.param == "django":
            cookies = credentials(origin, "django")["cookies"]()
            good = "Cookie: " + "; ".join(f"{name}={value}" for name, value in cookies.items())
        yield request.param, origin, good
    if request.param == "django":
        from django.db import connections

        connections.close_all()


def send(origin: str, *lines: str, method: str = "POST", target: str = TOKEN_PATH, body: bytes = b"", host: str | None = None) -> str:
    """Send a request as it is, and give all that comes back."""
    address = origin.removeprefix("http://")
    name, _, port = address.partition(":")
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host or address}", "Connection: close", *lines, "", ""])
    pieces = []
    with socket.create_connection((name, int(port)), timeout=20) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head.encode("latin-1") + body)  # a server need not read all of it
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces).decode("latin-1")


def status_of(answer: str) -> int:
    found = re.match(r"HTTP/1\.[01] (\d{3}) ", answer)
    assert found, answer
    return int(found[1])


def test_the_good_request_is_good(site: tuple[str, str, str], emulator: Emulator) -> None:
    _, origin, good = site
    answer = send(origin, good)
    assert (status_of(answer), "accessToken" in answer) == (200, True)
    assert emulator.api_key not in answer


ATTACKS: dict[str, dict[str, Any]] = {
    "no user": {"lines": []},
    "an empty bearer": {"lines": ["Authorization: Bearer "]},
    "a bearer that ends too early": {"lines": [f"Authorization: Bearer {SECRET[:-1]}"]},
    "a foreign page": {"lines": ["{good}", "Origin: https://evil.example"]},
    "a foreign page and a foreign host": {"lines": ["{good}", "Origin: https://evil.example", "X-Forwarded-Host: evil.example"]},
    "two origins, one of them listed": {"lines": ["{good}", f"Origin: {APP}", "Origin: https://evil.example"]},
    "an origin that begins like a listed one": {"lines": ["{good}", f"Origin: {APP}.evil.example"]},
    "an origin with a tail": {"lines": ["{good}", f"Origin: {APP}%0d%0aX-Evil:1"]},
    "no page's origin": {"lines": ["{good}", "Origin: null"]},
    "a form of another site": {
        "lines": ["{good}", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", "Content-Type: text/plain", "Content-Length: 3"],
        "body": b"a=1",
    },
    "GET": {"lines": ["{good}"], "method": "GET"},
    "a method in disguise": {"lines": ["{good}", "X-HTTP-Method-Override: POST", "X-Method-Override: POST"], "method": "GET"},
    "a method in the query": {"lines": ["{good}"], "method": "GET", "target": f"{TOKEN_PATH}?_method=POST"},
    "TRACE": {"lines": ["{good}"], "method": "TRACE"},
    "a method nobody knows": {"lines": ["{good}"], "method": "GIVE"},
    "a large body": {"lines": ["{good}", "Content-Length: 90000"], "body": b"x" * 90000},
    "a very large body": {"lines": ["{good}", "Content-Length: 2000000000"]},
    "a length that is none": {"lines": ["{good}", "Content-Length: 1e3"]},
    "two lengths": {"lines": ["{good}", "Content-Length: 0", "Content-Length: 5"], "body": b"12345"},
    "a length and chunks": {"lines": ["{good}", "Content-Length: 5", "Transfer-Encoding: identity, chunked"], "body": b"0\r\n\r\n"},
    "a header too large": {"lines": ["{good}", "X-Large: " + "x" * 300_000]},
    "a path with a line's end": {"lines": ["{good}"], "target": f"{TOKEN_PATH}%0d%0aX-Evil:%201"},
    "another host in the path": {"lines": ["{good}"], "target": f"//evil.example{TOKEN_PATH}"},
    "a slash too much": {"lines": ["{good}"], "target": f"{TOKEN_PATH}/"},
    "where to go next": {"lines": [], "target": f"{TOKEN_PATH}?next=https://evil.example&url=//evil.example"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_gets_anything(
    site: tuple[str, str, str], attack: str, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    _, origin, good = site
    given = dict(ATTACKS[attack])
    lines = [line.replace("{good}", good) for line in given.pop("lines")]
    with caplog.at_level(logging.DEBUG):
        answer = send(origin, *lines, **given)
    head = answer.partition("\r\n\r\n")[0]
    assert not answer or 400 <= status_of(answer) < 502, head
    assert "accessToken" not in answer
    assert emulator.requests.count(kind="auth") == 0
    assert not re.search(r"(?im)^(location|x-evil|access-control-allow-origin):", head)
    assert "evil" not in head
    assert emulator.api_key not in answer + caplog.text
    assert SECRET not in answer + caplog.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "a b", "evil.example@127.0.0.1", ""])
def test_the_host_header_is_in_no_answer(site: tuple[str, str, str], host: str, emulator: Emulator) -> None:
    name, origin, good = site
    for lines in ([], [good], [good, "Origin: https://app2.example.com"]):
        answer = send(origin, *lines, host=host or " ")
        head = answer.partition("\r\n\r\n")[0]
        assert "evil" not in head
        assert "Location" not in head
        assert emulator.api_key not in answer
        assert status_of(answer) in ((400, 200, 403) if name == "django" else (200, 401, 403))


def test_the_listed_page_alone_is_named(site: tuple[str, str, str]) -> None:
    name, origin, good = site
    if name == "django":
        pytest.skip("this site lists no page; test_django does")
    answer = send(origin, good, f"Origin: {APP}", "Access-Control-Request-Headers: x-evil")
    assert re.findall(r"(?im)^access-control-allow-origin: (.*)\r$", answer) == [APP]
    preflight = send(origin, f"Origin: {APP}", "Access-Control-Request-Headers: x-evil", method="OPTIONS")
    assert (status_of(preflight), "evil" in preflight) == (204, False)


def test_key_and_tokens_are_in_no_log(site: tuple[str, str, str], emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    _, origin, good = site
    with caplog.at_level(logging.DEBUG):
        answer = send(origin, good)
        emulator.arm(kind="auth", status=401, body={"error": emulator.api_key}, headers={"X-Key": emulator.api_key})
        refused = send(origin, good)
    tokens = re.findall(r"ey[\w-]+\.[\w-]+\.[\w-]+", answer)
    assert len(tokens) == 3  # two places, and the realtime one
    assert status_of(refused) == 502
    shown = caplog.text + refused
    for secret in (emulator.api_key, SECRET, *tokens, *(token.rpartition(".")[2] for token in tokens)):
        assert secret not in shown
