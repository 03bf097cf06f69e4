"""``animus demo``: the main job in a few seconds, against the embedded emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from animus.cli.failures import reported
from animus.cli.heard import Heard
from animus.cli.needs import emulator_package
from animus.cli.options import DEFAULT_MODEL, DEFAULT_SYSTEM_MESSAGE
from animus.cli.screen import Screen
from animus.cli.terminal import write

if TYPE_CHECKING:
    from animus.conversation.chat import Conversation

_MESSAGE = "Tell me something about the sea."


def get_tide(harbour: str) -> dict[str, Any]:
    """Give the next high tide.

    Args:
        harbour: Where.
    """
    return {"harbour": harbour, "high_tide": "18:42", "metres": 3.4}


@click.command()
@click.argument("text", nargs=-1)
@click.option(
    "--pace",
    metavar="SECONDS",
    type=click.FloatRange(min=0, max=2),
    default=0.03,
    show_default=True,
    help="Between the pieces of a streamed reply, so that one sees it arrive; turns take ten times as long.",
)
@reported
def demo(text: tuple[str, ...], pace: float) -> int:
    """Show the main job against an emulator on this machine; TEXT is your own message.

    A token from a provider URL, a streamed reply, a whole one, turns, an image, a tool, a token that is revoked and replaced,
    and what the events said. Needs no account and no network.
    """
    from animus.client import AnimusClient

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
        write(f"The API is {emulator.api_base_url}, tokens come from {emulator.token_url}\n")
        show = _Show(console, client.chat)
        show.part("A streamed reply, printed as it arrives", " ".join(text) or _MESSAGE)
        show.whole("A whole reply, of the same conversation", "And in one sentence?")
        turns = {"max_turns": 4, "min_delay": 5 * pace, "max_delay": 15 * pace, "follow_up_delay": 10 * pace}
        show.part("Turns, said like a person types, and a follow-up", "Tell me a story.", auto_turn=turns)
        show.image("An image that the reply promises", "Draw a lighthouse at dusk.")
        show.part("A Python function as a tool", "When is the next high tide at Lisbon?", tools=[get_tide])
        emulator.revoke_tokens()
        show.part("The token is revoked, and the next message does not notice", "Are you still there?")
        show.title("What the events said")
        write("\n".join(heard.table(console.width)) + "\n")
        return _verdict(console, heard)


class _Show:
    """Shows parts with numbers, each a message and what comes of it."""

    def __init__(self, console: Console, conversation: Conversation) -> None:
        self._console = console
        self._conversation = conversation
        self._number = 0

    def title(self, title: str) -> None:
        self._number += 1
        self._console.print(f"\n[bold]{self._number}. {title}[/]")

    def part(self, title: str, message: str, **options: Any) -> None:
        self.title(title)
        write(f"> {message}\n")
        Screen().follow(self._conversation.stream(message, **options))

    def whole(self, title: str, message: str) -> None:
        self.title(title)
        write(f"> {message}\n")
        write(self._conversation.send(message, stream=False).text + "\n")

    def image(self, title: str, message: str) -> None:
        self.title(title)
        write(f"> {message}\n")
        reply = self._conversation.send(message, check_image_generation=True)
        write(reply.text + "\n")
        for image in reply.images:
            write(f"{image.url} ({len(image.fetch())} bytes of PNG)\n")


def _verdict(console: Console, heard: Heard) -> int:
    counts = [
        (len(heard.named("message_complete")), 10, "messages said"),
        (sum(getattr(event, "turn_index", None) is not None for event in heard.named("message_complete")), 3, "of them turns"),
        (len(heard.named("image_generation_complete")), 1, "image made"),
        (len(heard.named("tool_call_complete")), 1, "tool called"),
        (len(heard.named("token_refreshed")), 2, "tokens fetched"),
        (sum(getattr(event, "status", None) == 401 for event in heard.named("request_complete")), 1, "request refused and repeated"),
    ]
    console.print("\n" + ", ".join(f"{count} {what}" for count, _, what in counts), soft_wrap=True)
    return 0 if all(count == expected for count, expected, _ in counts) else 1
