"""``animus ask``: one message, its reply on the terminal as it arrives."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from animus.cli.failures import reported
from animus.cli.options import connected, talking
from animus.cli.screen import Screen
from animus.cli.terminal import write

if TYPE_CHECKING:
    from animus.conversation.reply import Reply


@click.command()
@click.argument("text")
@talking
@click.option("--no-stream", is_flag=True, help="Ask for the whole reply at once.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, for a failure too.")
@reported
def ask(text: str, no_stream: bool, as_json: bool, **connection: Any) -> None:
    """Send TEXT and print the reply; "-" reads it from standard input.

    The token comes from --provider-url, or from ANIMUS_TOKEN_PROVIDER_URL, ANIMUS_ACCESS_TOKEN or ANIMUS_API_KEY.
    """
    message = sys.stdin.read() if text == "-" else text
    if not message.strip():
        raise click.UsageError("the message is blank")
    with connected(**connection) as client:
        if as_json:
            reply = client.chat.send(message, stream=not no_stream)
            click.echo(json.dumps(as_mapping(reply), ensure_ascii=False))
        elif no_stream:
            write(client.chat.send(message, stream=False).text + "\n")
        else:
            Screen().follow(client.chat.stream(message))


def as_mapping(reply: Reply) -> dict[str, Any]:
    """Give a reply for ``--json``."""
    return {
        "text": reply.text,
        "finish_reason": reply.finish_reason,
        "usage": dict(reply.usage),
        "reasoning": reply.reasoning,
        "tool_calls": list(reply.tool_calls),
        "compliance_violations": list(reply.compliance_violations),
        "conversation_id": reply.conversation_id,
    }
