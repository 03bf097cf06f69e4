"""``animus emulator``: the emulator in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from animus.cli.failures import reported
from animus.cli.needs import emulator_package
from animus.cli.terminal import write

if TYPE_CHECKING:
    from animus.emulator import Emulator, RecordedRequest


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="The port; 0 for a free one.")
@click.option("--script", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="Answers to give, in order (JSON).")
@click.option("--upstream", metavar="URL", help="Relay chat to this OpenAI-compatible server.")
@click.option("--upstream-key", metavar="KEY", envvar="ANIMUS_UPSTREAM_KEY", show_envvar=True, help="Its API key.")
@click.option("--token-lifetime", metavar="SECONDS", type=float, default=3600, show_default=True, help="How long a token lives.")
@click.option("--chunk-delay", metavar="SECONDS", type=click.FloatRange(min=0), default=0.03, show_default=True, help="Between pieces.")
@reported
def emulator(**options: Any) -> None:
    """Serve the platform's chat API and token service on this machine, until interrupted.

    Every request is a line on standard output.
    """
    emulator_package().serve(**options, on_ready=_greet, on_request=_log)


def _greet(emulator: Emulator) -> None:
    write(
        f"The emulator answers on {emulator.url}; Ctrl-C ends it. In another shell:\n\n"
        f"  export ANIMUS_TOKEN_PROVIDER_URL={emulator.token_url}\n"
        f"  export ANIMUS_API_BASE_URL={emulator.api_base_url}\n"
        '  animus ask "Hello"\n\n'
    )


def _log(request: RecordedRequest) -> None:
    outcome = "no answer" if request.status is None else request.status
    write(f"{request.method} {request.path} {outcome}{' (the client left)' if request.aborted else ''}\n")
