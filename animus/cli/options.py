"""Options of all commands that talk to the platform."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from animus.client import AnimusClient

DEFAULT_MODEL = "vivian-llama3.1-70b-1.0-fp8"
DEFAULT_SYSTEM_MESSAGE = "You are a helpful assistant."

_OPTIONS = (
    click.option("--model", envvar="ANIMUS_MODEL", default=DEFAULT_MODEL, show_default=True, show_envvar=True, help="The model's id."),
    click.option(
        "--system",
        envvar="ANIMUS_SYSTEM_MESSAGE",
        default=DEFAULT_SYSTEM_MESSAGE,
        show_default=True,
        show_envvar=True,
        help="The system message.",
    ),
    click.option("--provider-url", metavar="URL", help="Where tokens come from; without it, the environment says."),
    click.option(
        "--api-base-url", metavar="URL", envvar="ANIMUS_API_BASE_URL", show_envvar=True, help="The API, if not the platform's own."
    ),
    click.option("--timeout", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), help="Limit of each whole call."),
)


def talking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that :func:`connected` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def connected(
    *,
    model: str,
    system: str,
    provider_url: str | None,
    api_base_url: str | None,
    timeout: float | None,
    chat: Mapping[str, Any] | None = None,
) -> AnimusClient:
    """Give the client that the options of :func:`talking` mean.

    Args:
        chat: Further chat settings.

    Raises:
        ConfigurationError: a setting is missing or not allowed.
    """
    from animus.client import AnimusClient

    return AnimusClient(
        provider_url,
        api_base_url=api_base_url,
        chat={"model": model, "system_message": system, **(chat or {})},
        timeouts=None if timeout is None else {"deadline": timeout},
    )
