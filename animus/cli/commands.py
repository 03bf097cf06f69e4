"""The command ``animus`` and its parts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from animus import __version__
from animus.cli import failures
from animus.cli.ask import ask
from animus.cli.chat import chat
from animus.cli.demo import demo
from animus.cli.doctor import doctor
from animus.cli.emulator import emulator
from animus.cli.token_server import token_server


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: {failures.CODES_TEXT}.",
)
@click.version_option(__version__, prog_name="animus")
def animus() -> None:
    """Talk to the Animus AI platform."""


animus.add_command(ask)
animus.add_command(chat)
animus.add_command(demo)
animus.add_command(doctor)
animus.add_command(emulator)
animus.add_command(token_server)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; nothing is raised."""
    try:
        code = animus.main(args=None if arguments is None else list(arguments), prog_name="animus", standalone_mode=False)
        sys.stdout.flush()  # here, and not at the interpreter's end, so that a closed pipe is still ours to handle
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return failures.INTERRUPTED
    except BrokenPipeError:
        return failures.leave_pipe()
    return code if isinstance(code, int) else 0
