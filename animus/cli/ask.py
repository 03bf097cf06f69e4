"""``animus ask``: one message, its reply on the terminal as it arrives."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from animus.cli.failures import reported
from animus.cli.terminal import write
from animus.events import MessageTokens

if TYPE_CHECKING:
    from animus.client import AnimusClient
    from animus.conversation.reply import Reply

DEFAULT_MODEL = "vivian-llama3.1-70b-1.0-fp8"
DEFAULT_SYSTEM_MESSAGE = "You are a helpful assistant."


@click.command()
@click.argument("text")
@click.option("--model", envvar="ANIMUS_MODEL", default=DEFAULT_MODEL, show_default=True, show_envvar=True, help="The model's id.")
@click.option(
    "--system",
    envvar="ANIMUS_SYSTEM_MESSAGE",
    default=DEFAULT_SYSTEM_MESSAGE,
    show_default=True,
    show_envvar=True,
    help="The system message.",
)
@click.option("--provider-url", metavar="URL", help="Where tokens come from; without it, the environment says.")
@click.option("--api-base-url", metavar="URL", envvar="ANIMUS_API_BASE_URL", show_envvar=True, help="The API, if not the platform's own.")
@click.option("--no-stream", is_flag=True, help="Ask for the whole reply at once.")
@click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help="Limit of the whole call.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, for a failure too.")
@reported
def ask(
    text: str,
    model: str,
    system: str,
    provider_url: str | None,
    api_base_url: str | None,
    no_stream: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Send TEXT and print the reply; "-" reads it from standard input.

    The token comes from --provider-url, or from ANIMUS_TOKEN_PROVIDER_URL, ANIMUS_ACCESS_TOKEN or ANIMUS_API_KEY.
    """
    from animus.client import AnimusClient

    message = sys.stdin.read() if text == "-" else text
    if not message.strip():
        raise click.UsageError("the message is blank")
    with AnimusClient(
        provider_url,
        api_base_url=api_base_url,
        chat={"model": model, "system_message": system},
        timeouts=None if timeout is None else {"deadline": timeout},
    ) as client:
        if as_json:
            reply = client.chat.send(message, stream=not no_stream)
            click.echo(json.dumps(as_mapping(reply), ensure_ascii=False))
        elif no_stream:
            write(client.chat.send(message, stream=False).text + "\n")
        else:
            show(client, message)


def show(client: AnimusClient, message: str) -> None:
    """Print a reply as it arrives, and end the line, also where the reply breaks off."""
    began = False
    try:
        for event in client.chat.stream(message):
            if isinstance(event, MessageTokens):
                began = True
                write(event.content)
    finally:
        if began:
            write("\n")


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
