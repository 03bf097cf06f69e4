"""One TLS context for those that would make the very same one, and for nobody else."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import ssl_

from animus.http.connection import GuardedHTTPSConnection
from animus.transport.session import AnimusSession
from tests.authority import Authority
from tests.servers import HttpServer

Serve = Callable[..., HttpServer]
SessionFor = Callable[..., AnimusSession]


@pytest.fixture
def server(serve: Serve, authority: Authority) -> HttpServer:
    return serve(tls=authority.server_context())


@pytest.fixture
def bundle(authority: Authority, tmp_path: Path) -> str:
    """A file of its own, of which no other test has made a context."""
    return str(shutil.copy(authority.bundle, str(tmp_path / "bundle.pem")))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[ssl.SSLContext]:
    """The contexts that are made from here on."""
    made, make = list[ssl.SSLContext](), ssl_.create_urllib3_context

    def make_and_note(*args: Any, **options: Any) -> ssl.SSLContext:
        made.append(make(*args, **options))
        return made[-1]

    monkeypatch.setattr("urllib3.connection.create_urllib3_context", make_and_note)
    return made


def _connect(server: HttpServer, closing: contextlib.ExitStack, bundle: str | None, **options: Any) -> ssl.SSLContext:
    options = {"cert_reqs": "CERT_REQUIRED", "ca_certs": bundle, **options}
    connection = GuardedHTTPSConnection("127.0.0.1", server.port, **options)
    closing.callback(connection.close)
    connection.connect()
    assert connection.ca_certs == bundle
    assert connection.ssl_context is options.get("ssl_context")
    assert isinstance(connection.sock, ssl.SSLSocket)
    return connection.sock.context


def test_connections_that_trust_the_same_share_a_context(server: HttpServer, closing: contextlib.ExitStack, bundle: str) -> None:
    first = _connect(server, closing, bundle)
    assert _connect(server, closing, bundle) is first
    assert first.verify_mode == ssl.CERT_REQUIRED
    assert first.check_hostname


def test_the_context_has_what_urllib3_gives_it(server: HttpServer, closing: contextlib.ExitStack, bundle: str) -> None:
    shared = _connect(server, closing, bundle)
    alone = _connect(server, closing, bundle, ssl_minimum_version=ssl.TLSVersion.TLSv1_2)
    for name in ("options", "verify_flags", "minimum_version", "maximum_version", "check_hostname", "hostname_checks_common_name"):
        assert getattr(shared, name) == getattr(alone, name)
    assert shared.get_ciphers() == alone.get_ciphers()
    assert shared.get_ca_certs() == alone.get_ca_certs()


_OTHERS: dict[str, Callable[[Authority], dict[str, Any]]] = {
    "no check": lambda authority: {"cert_reqs": "CERT_NONE", "bundle": None},
    "no check, but a file": lambda authority: {"cert_reqs": "CERT_NONE"},
    "check if there is something": lambda authority: {"cert_reqs": "CERT_OPTIONAL"},
    "another name": lambda authority: {"assert_hostname": "127.0.0.1"},
    "no name": lambda authority: {"assert_hostname": False},
    "client certificate": lambda authority: {"cert_file": authority.client[0], "key_file": authority.client[1]},
    "protocol version": lambda authority: {"ssl_maximum_version": ssl.TLSVersion.TLSv1_2},
    "more authorities": lambda authority: {"ca_cert_data": Path(authority.bundle).read_text(encoding="ascii")},
    "own context": lambda authority: {"ssl_context": ssl.create_default_context(cafile=authority.bundle), "bundle": None},
}


@pytest.mark.parametrize("case", _OTHERS)
def test_others_have_their_own(
    server: HttpServer, closing: contextlib.ExitStack, authority: Authority, bundle: str, case: str
) -> None:
    shared = _connect(server, closing, bundle)
    other = _connect(server, closing, **{"bundle": bundle, **_OTHERS[case](authority)})
    assert other is not shared
    assert (shared.verify_mode, shared.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert _connect(server, closing, bundle) is shared


def test_a_file_that_changed_is_read_again(
    server: HttpServer, session_for: SessionFor, authority: Authority, tmp_path: Path, bundle: str
) -> None:
    strange = Authority(tmp_path, ("127.0.0.1",))
    session = session_for(server)
    assert session.get("/", verify=bundle).ok
    server.drop_connections()
    shutil.copy(strange.bundle, bundle)
    with pytest.raises(requests.exceptions.SSLError):
        session.get("/", verify=bundle)
    shutil.copy(authority.bundle, bundle)
    assert session.get("/", verify=bundle).ok


def test_a_file_without_certificates_is_refused_as_ever(server: HttpServer, session_for: SessionFor, tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing", encoding="ascii")
    with requests.Session() as plain, pytest.raises(requests.exceptions.SSLError) as theirs:
        plain.get(server.url, verify=str(file))
    with pytest.raises(requests.exceptions.SSLError) as ours:
        session_for(server, retry=0).get("/", verify=str(file))
    assert str(ours.value.args[0].reason) == str(theirs.value.args[0].reason)


def test_a_context_that_somebody_weakened_is_thrown_away(server: HttpServer, closing: contextlib.ExitStack, bundle: str) -> None:
    weakened = _connect(server, closing, bundle)
    weakened.check_hostname = False
    assert _connect(server, closing, bundle) is not weakened


def test_who_asks_for_a_key_log_later_gets_it(
    server: HttpServer, closing: contextlib.ExitStack, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _connect(server, closing, bundle)
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    _connect(server, closing, bundle)
    assert "SECRET" in log.read_text(encoding="ascii")
    monkeypatch.delenv("SSLKEYLOGFILE")
    assert _connect(server, closing, bundle).keylog_filename is None


def test_contexts_made_by_other_tools_are_theirs(
    server: HttpServer, closing: contextlib.ExitStack, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = _connect(server, closing, bundle)

    class Context(ssl.SSLContext):  # as truststore's, which may look elsewhere for authorities
        pass

    monkeypatch.setattr("urllib3.util.ssl_.SSLContext", Context)
    first, second = _connect(server, closing, bundle), _connect(server, closing, bundle)
    assert type(first) is type(second) is Context
    assert len({id(context) for context in (shared, first, second)}) == 3


def test_many_threads_read_the_file_once(
    server: HttpServer, closing: contextlib.ExitStack, bundle: str, made: list[ssl.SSLContext]
) -> None:
    gate, found = threading.Barrier(16), list[ssl.SSLContext]()

    def run() -> None:
        gate.wait()
        found.append(_connect(server, closing, bundle))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(found) == 16
    assert {id(context) for context in found} == {id(made[0])}


def test_a_call_that_checks_nothing_weakens_no_other(
    server: HttpServer, session_for: SessionFor, authority: Authority, tmp_path: Path
) -> None:
    strange = Authority(tmp_path, ("127.0.0.1",)).bundle
    session = session_for(server, retry=0)
    for _ in range(3):
        with pytest.raises(requests.exceptions.SSLError):
            session.get("/", verify=strange)
        with pytest.warns(InsecureRequestWarning):
            assert session.get("/", verify=False).ok
        assert session.get("/", verify=authority.bundle).ok
        server.drop_connections()
