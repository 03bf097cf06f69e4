"""TLS: ``verify`` and ``cert`` as plain requests."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from urllib3.exceptions import InsecureRequestWarning

from tests.authority import Authority
from tests.servers import HttpServer

pytestmark = pytest.mark.usefixtures("way")

Serve = Callable[..., HttpServer]


@pytest.fixture
def server(serve: Serve, authority: Authority) -> HttpServer:
    return serve(tls=authority.server_context())


def test_an_unknown_authority_is_refused(server: HttpServer, session: requests.Session) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        session.post(server.url)
    assert server.requests == []


@pytest.mark.parametrize("way", ["call", "session", "environment", "curl"])
def test_an_authority_can_be_given(
    server: HttpServer, session: requests.Session, authority: Authority, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {}
    if way == "call":
        options["verify"] = authority.bundle
    elif way == "session":
        session.verify = authority.bundle
    else:
        monkeypatch.setenv({"environment": "REQUESTS_CA_BUNDLE", "curl": "CURL_CA_BUNDLE"}[way], authority.bundle)
    assert session.get(server.url, **options).content == b"fine"


def test_verification_can_be_switched_off(server: HttpServer, session: requests.Session) -> None:
    with pytest.warns(InsecureRequestWarning):
        assert session.get(server.url, verify=False).content == b"fine"


def test_the_name_counts(server: HttpServer, session: requests.Session, authority: Authority, name_hosts: Callable[..., None]) -> None:
    name_hosts({("wrong.test", server.port): server.port})
    with pytest.raises(requests.exceptions.SSLError):
        session.post(f"https://wrong.test:{server.port}", verify=authority.bundle)


def test_a_bundle_that_is_not_there(server: HttpServer, session: requests.Session) -> None:
    with pytest.raises(OSError, match="TLS CA certificate bundle"):
        session.post(server.url, verify="nowhere.pem")


@pytest.mark.parametrize("way", ["call", "session"])
def test_client_certificates(serve: Serve, session: requests.Session, authority: Authority, way: str) -> None:
    server = serve(tls=authority.server_context(demand_client=True))
    session.verify = authority.bundle
    with pytest.raises((requests.exceptions.SSLError, requests.ConnectionError)):
        session.post(server.url)
    if way == "session":
        session.cert = authority.client
        assert session.get(server.url).content == b"fine"
    else:
        assert session.get(server.url, cert=authority.client).content == b"fine"
    assert len(server.requests) == 1
