"""``animus chat``: a conversation on the terminal."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from animus.cli.failures import reported
from animus.cli.lines import Lines
from animus.cli.options import connected, talking
from animus.cli.screen import Screen
from animus.cli.slash import load
from animus.cli.talk import Talk


@click.command()
@talking
@click.option("--history-size", metavar="COUNT", type=click.IntRange(min=0), default=50, show_default=True, help="Messages to remember.")
@click.option("--load", "saved", metavar="PATH", help="Go on with a conversation that was saved.")
@click.option("--turns/--no-turns", default=False, show_default=True, help="Have answers said in turns, like a person types.")
@click.option("--images/--no-images", default=True, show_default=True, help="Have pictures made that an answer promises.")
@click.option("--tool", "tools", metavar="PACKAGE:FUNCTION", multiple=True, help="A function the model may call; again for more.")
@reported
def chat(history_size: int, saved: str | None, turns: bool, images: bool, tools: tuple[str, ...], **connection: Any) -> int:
    """Talk with the model; /help lists the commands.

    Ctrl-C cuts the answer that is being given. Without a terminal every line of standard input is a message.
    """
    history = None if saved is None else load(saved)
    settings: dict[str, Any] = {"history_size": history_size, "auto_turn": turns, "tools": _functions(tools) or None}
    if images:
        settings["check_image_generation"] = True
    with connected(**connection, chat=settings) as client:
        screen, lines = Screen(), Lines()
        if lines.interactive:
            screen.note(f"You talk with {connection['model']}. /help lists the commands, Ctrl-D leaves.")
        if history is not None:
            screen.note(f"{client.chat.set_chat_history(history)} messages loaded")
        return Talk(client.chat, screen, lines).run()


def _functions(names: tuple[str, ...]) -> list[Any]:
    from animus.server.loading import load_function

    if names:
        sys.path.insert(0, os.getcwd())  # as token-server does: the function is most often in a module beside
    return [load_function("--tool", name) for name in names]
