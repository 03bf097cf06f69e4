"""Names, connections, certificates, proxies and netrc: what stands between here and an answer."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from animus.doctor import examine
from animus.emulator import Emulator
from tests.authority import Authority
from tests.doctor.asking import Doctor
from tests.servers import Answer, HttpServer, Peer, RawServer, unused_port
from tests.tokens.minting import mint

Serve = Callable[..., HttpServer]
ServeRaw = Callable[..., RawServer]
FAR = 4102444800
TOKEN = Answer(200, {"Content-Type": "application/json"}, f'{{"accessToken": "{mint(FAR)}"}}'.encode())


@pytest.fixture
def secure(serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Callable[[ssl.SSLContext | None], str]:
    """Serve tokens over TLS, with the authority known; gives the URL."""

    def secure(context: ssl.SSLContext | None = None) -> str:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority.bundle)
        return f"{serve(lambda request: TOKEN, tls=context or authority.server_context()).url}/token"

    return secure


def test_a_certificate_that_is_accepted(secure: Callable[..., str], emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(secure(), "--api-base-url", emulator.api_base_url)
    assert (found.status("provider.tls"), found.status("provider.answer")) == ("ok", "ok")


@pytest.mark.parametrize(
    ("reason", "days", "cure"),
    [("certificate_expired", (-3, -1), "Renew the server's certificate"), ("not_yet_valid", (1, 3), "Check the clock")],
)
def test_certificates_out_of_their_time(
    secure: Callable[..., str], authority: Authority, emulator: Emulator, doctor: Doctor, reason: str, days: tuple[int, int], cure: str
) -> None:
    found = doctor(secure(authority.server_context(days=days)), "--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.tls") == ("failed", reason)
    assert cure in found["provider.tls"]["advice"]
    assert (found.code, found.failed) == (1, ["provider.tls"]), "one fault is one cross"
    assert (found.status("provider.answer"), found.status("api.token")) == ("skipped", "skipped")


def test_a_certificate_for_another_host(tmp_path: Path, serve: Serve, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Authority(tmp_path, ("elsewhere.test",))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", elsewhere.bundle)
    server = serve(lambda request: TOKEN, tls=elsewhere.server_context())
    for url in (server.url, f"https://localhost:{server.port}"):
        assert doctor(f"{url}/token").outcome("provider.tls") == ("failed", "wrong_host")


def test_a_certificate_of_nobody_known(serve: Serve, authority: Authority, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", authority.bundle)
    url = f"{serve(lambda request: TOKEN, tls=authority.server_context()).url}/token"
    found = doctor(url)
    assert found.outcome("provider.tls") == ("failed", "unknown_authority")
    assert "REQUESTS_CA_BUNDLE" in found["provider.tls"]["advice"]
    assert "SSL_CERT_FILE and SSL_CERT_DIR are not read" in found["provider.tls"]["advice"]


def test_a_certificate_signed_by_itself(serve: Serve, authority: Authority, doctor: Doctor) -> None:
    url = f"{serve(lambda request: TOKEN, tls=authority.self_signed_context()).url}/token"
    assert doctor(url).outcome("provider.tls") == ("failed", "self_signed")


def test_a_bundle_that_is_not_there(serve: Serve, authority: Authority, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "nowhere.pem")
    url = f"{serve(tls=authority.server_context()).url}/token"
    assert doctor(url).outcome("provider.tls") == ("failed", "ca_bundle")


def test_https_where_there_is_no_tls(emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(emulator.token_url.replace("http:", "https:"), "--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.tls") == ("failed", "no_tls")


def test_certificates_of_the_api(serve: Serve, authority: Authority, emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(emulator.token_url, "--api-base-url", f"{serve(tls=authority.server_context()).url}/v3")
    assert found.outcome("api.tls") == ("failed", "unknown_authority")
    assert (found.status("provider.answer"), found.status("api.answer"), found.failed) == ("ok", "skipped", ["api.tls"])


def test_nobody_listens(emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(f"http://127.0.0.1:{unused_port()}/token", "--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.connect") == ("failed", "refused")
    assert (found.failed, found.status("provider.answer")) == (["provider.connect"], "skipped")
    assert found.status("api.answer") == "ok", "what can be checked is"


def test_a_host_that_drops_what_is_sent(full_backlog: str, emulator: Emulator, doctor: Doctor) -> None:
    found = doctor(f"{full_backlog}/token", "--api-base-url", emulator.api_base_url, "--timeout", "0.1")
    assert found.outcome("provider.connect") == ("failed", "timeout")


def test_names_without_an_address(doctor: Doctor) -> None:
    found = doctor("https://backend.invalid/token", "--api-base-url", "https://api.invalid/v3")
    assert found.failed == ["provider.dns", "api.dns"]
    assert found.outcome("provider.dns") == ("failed", "unresolvable")
    assert [found.status(check) for check in ("provider.connect", "provider.tls", "provider.answer")] == ["skipped"] * 3


@pytest.mark.parametrize("url", ["https://bücher.invalid/token", f"https://{'a' * 70}.invalid/token"])
def test_odd_names_are_findings(doctor: Doctor, url: str) -> None:
    found = doctor(url, "--api-base-url", "https://api.invalid/v3")
    assert (found.code, found.failed[0]) == (1, "provider.dns")


# ---- netrc -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["NETRC", "HOME"])
def test_netrc_is_told_and_not_used(
    emulator: Emulator, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    file = tmp_path / (".netrc" if way == "HOME" else "other")
    file.write_text("machine 127.0.0.1 login ada password canary-of-netrc\n")
    file.chmod(0o600)
    monkeypatch.setenv(way, str(tmp_path if way == "HOME" else file))
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)
    assert (found.code, found.outcome("netrc")) == (0, ("ok", "netrc_entry"))
    assert "does not use it" in found["netrc"]["text"]
    assert "auth=" in found["netrc"]["advice"]
    assert "canary" not in str(found.report)
    assert all("Basic" not in request.headers.get("Authorization", "") for request in emulator.requests)


def test_netrc_explains_why_others_are_signed_in(
    emulator: Emulator, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("default login ada password canary-of-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    emulator.require_user = {"Authorization": "Basic YWRhOng="}
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)
    assert "Other tools sign in with your .netrc" in found["provider.answer"]["advice"]


def test_a_netrc_that_cannot_be_read(emulator: Emulator, doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 canary-of-netrc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    found = doctor(emulator.token_url, "--api-base-url", emulator.api_base_url)
    assert found.outcome("netrc") == ("failed", "netrc_unreadable")
    assert "canary" not in str(found.report)


# ---- proxies ---------------------------------------------------------------------------------------


def refuse_connect(status: bytes) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")

    return script


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"403 Forbidden"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_refuses(
    serve_raw: ServeRaw, emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, status: bytes, variable: str
) -> None:
    proxy = serve_raw(refuse_connect(status))
    monkeypatch.setenv(variable, f"http://ada:canary-password@127.0.0.1:{proxy.port}")
    found = doctor("https://backend.invalid/token", "--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.proxy") == ("ok", "proxy")
    assert f"http://127.0.0.1:{proxy.port} ({variable.upper()})" in found["provider.proxy"]["text"]
    assert "NO_PROXY=backend.invalid" in found["provider.proxy"]["advice"]
    assert (found.status("provider.dns"), found.status("provider.connect")) == ("skipped", "skipped")
    assert found.outcome("provider.answer") == ("failed", "unreachable")
    assert status[:3].decode() in found["provider.answer"]["text"]
    assert found["api.proxy"]["reason"] is None, "this machine is asked directly"
    assert "canary" not in str(found.report)


def test_a_proxy_that_is_not_there(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    found = doctor("https://backend.invalid/token", "--api-base-url", emulator.api_base_url)
    assert found.outcome("provider.proxy") == ("failed", "proxy_unreachable")
    assert "Correct HTTPS_PROXY" in found["provider.proxy"]["advice"]
    assert found.failed == ["provider.proxy"]


@pytest.mark.parametrize("value", ["http://127.0.0.1:99999999", "http://:0", "nonsense://[", "http://127.0.0.1:x"])
def test_a_proxy_that_is_none(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    found = doctor("https://backend.invalid/token", "--api-base-url", emulator.api_base_url)
    assert found.code == 1
    assert {"provider.proxy", "provider.answer"} & set(found.failed)


def test_no_proxy_goes_around_it(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("NO_PROXY", "backend.invalid")
    found = doctor("https://backend.invalid/token", "--api-base-url", emulator.api_base_url)
    assert (found.status("provider.proxy"), found.failed) == ("ok", ["provider.dns"])


@pytest.mark.parametrize(("answer", "reason"), [(TOKEN, None), (Answer(407), "client_error")])
def test_a_proxy_that_answers(
    serve: Serve, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str | None
) -> None:
    proxy = serve(lambda request: answer)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    report = examine("http://backend.test/token", api_base_url=emulator.api_base_url, allow_insecure_http=True)
    assert report["provider.proxy"].reason == "proxy"
    assert report["provider.answer"].reason == reason
    assert {request.target for request in proxy.requests} == {"http://backend.test/token"}


def test_loopback_needs_no_proxy(emulator: Emulator, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    assert doctor(emulator.token_url, "--api-base-url", emulator.api_base_url).code == 0
