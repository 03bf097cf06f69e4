"""``animus token-server``: a token endpoint in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import click

from animus.cli.failures import reported
from animus.cli.terminal import write
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from animus.events import TokenEndpointEvent
    from animus.server.wsgi import TokenApplication

_LARGEST_BODY = 65536  # bytes that waitress reads before anybody looks at the request
_PROXY_HEADERS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}


@click.command("token-server")
@click.option("--authenticate", metavar="PACKAGE:FUNCTION", required=True, help="Gets the WSGI environment, gives the user or None.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", default=3001, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 for a free one.")
@click.option("--path", default="/api/get-animus-token", show_default=True, help="The path that hands out tokens.")
@click.option("--origin", "origins", metavar="ORIGIN", multiple=True, help="An origin whose pages may ask; may be given several times.")
@click.option("--limit", default="30/minute", show_default=True, help='How often a user may ask; "none" for no limit.')
@click.option("--limit-storage", metavar="URI", default="memory://", show_default=True, help="Where that is counted (redis://…).")
@click.option("--cache", type=click.Choice(["organisation", "user"]), help="Keep tokens: one for all, or one for each user.")
@click.option("--auth-url", metavar="URL", help="The auth service; by default the platform's, or that of ANIMUS_API_BASE_URL.")
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1), help="How many requests are answered at once.")
@click.option("--trusted-proxy", metavar="ADDRESS", help="The proxy in front, whose X-Forwarded-For is believed.")
@reported
def token_server(**options: Any) -> None:
    """Hand out tokens to your users, with the API key in ANIMUS_API_KEY, until interrupted.

    Every request for a token is a line on standard output.
    """
    listening = {name: options.pop(name) for name in ("host", "port", "threads", "trusted_proxy")}
    application = _application(**options)
    with application.issuer as issuer:
        issuer.on("token_issued", _log)
        issuer.on("token_refused", _log)
        _serve(application, path=options["path"], **listening)


def _application(
    *, authenticate: str, path: str, origins: tuple[str, ...], limit: str, limit_storage: str, cache: Any, auth_url: str | None
) -> TokenApplication:
    from animus.server.issuer import TokenIssuer
    from animus.server.limit import RateLimit
    from animus.server.loading import load_function
    from animus.server.wsgi import TokenApplication

    sys.path.insert(0, os.getcwd())  # as other servers do: the function is most often in a module beside
    return TokenApplication(
        TokenIssuer(auth_url=auth_url, cache=cache),
        authenticate=load_function("--authenticate", authenticate),
        path=path,
        origins=origins,
        limit=None if limit == "none" else RateLimit(limit, storage=limit_storage),
    )


def _serve(application: TokenApplication, *, path: str, host: str, port: int, threads: int, trusted_proxy: str | None) -> None:
    try:
        import waitress  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigurationError("this command needs waitress", hint='pip install "animus-client[token-server]"') from error
    proxy: dict[str, Any] = {}
    if trusted_proxy:
        proxy = {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": _PROXY_HEADERS, "clear_untrusted_proxy_headers": True}
    with _listening(host, port) as listener:
        server = waitress.create_server(
            application, sockets=[listener], threads=threads, max_request_body_size=_LARGEST_BODY, ident=None, **proxy
        )
        signal.signal(signal.SIGTERM, _leave)
        shown = f"[{host}]" if ":" in host else host
        write(f"Tokens are handed out on http://{shown}:{listener.getsockname()[1]}{path}; Ctrl-C ends it.\n")
        try:
            server.run()
        finally:
            server.close()


def _listening(host: str, port: int) -> socket.socket:
    # not waitress's own: it leaves files open when the port is in use
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror or error}", hint="Choose another --port") from None


def _leave(*signal_and_frame: object) -> None:
    raise SystemExit(0)  # waitress ends its threads on it


def _log(event: TokenEndpointEvent) -> None:
    who = event.user or "nobody"
    write(f"{event.name} {event.reason} {who!r} {event.remote_address or '-'}\n")
