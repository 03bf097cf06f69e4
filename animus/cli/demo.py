"""``animus demo``: the main job in a few seconds, against the embedded emulator."""

from __future__ import annotations

import click
from rich.console import Console

from animus.cli.ask import DEFAULT_MODEL, DEFAULT_SYSTEM_MESSAGE, show
from animus.cli.failures import reported
from animus.cli.heard import Heard
from animus.cli.needs import emulator_package
from animus.cli.terminal import write

_MESSAGE = "Tell me something about the sea."


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--pace",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=0.03,
    show_default=True,
    help="Between the pieces of a streamed reply, so that one sees it arrive.",
)
@reported
def demo(text: tuple[str, ...], pace: float) -> int:
    """Show the main job against an emulator on this machine; TEXT is your own message.

    A token from a provider URL, a streamed reply, a whole one, a token that is revoked and replaced, and what the events
    said. Needs no account and no network.
    """
    from animus.client import AnimusClient

    message = " ".join(text) or _MESSAGE
    console = Console(highlight=False)
    with (
        emulator_package().Emulator(chunk_delay=pace) as emulator,
        AnimusClient(
            emulator.token_url,
            api_base_url=emulator.api_base_url,
            chat={"model": DEFAULT_MODEL, "system_message": DEFAULT_SYSTEM_MESSAGE, "history_size": 20},
        ) as client,
    ):
        heard = Heard(client)
        write(f"The API is {emulator.api_base_url}, tokens come from {emulator.token_url}\n\n")

        console.print("[bold]1. A streamed reply, printed as it arrives[/]")
        write(f"> {message}\n")
        show(client, message)

        console.print("\n[bold]2. A whole reply, of the same conversation[/]")
        write("> And in one sentence?\n")
        write(client.chat.send("And in one sentence?", stream=False).text + "\n")

        console.print("\n[bold]3. The token is revoked, and the next message does not notice[/]")
        emulator.revoke_tokens()
        write("> Are you still there?\n")
        show(client, "Are you still there?")

        console.print("\n[bold]4. What the events said[/]")
        console.print(heard.table(console.width))
        return _verdict(console, heard)


def _verdict(console: Console, heard: Heard) -> int:
    fetched = len(heard.named("token_refreshed"))
    refused = sum(getattr(event, "status", None) == 401 for event in heard.named("request_complete"))
    answered = len(heard.named("message_complete"))
    console.print(f"\n{answered} replies, {fetched} tokens fetched, {refused} request refused with 401 and repeated")
    return 0 if (answered, fetched, refused) == (3, 2, 1) else 1
