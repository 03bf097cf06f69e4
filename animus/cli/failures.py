"""How a command fails: one line with a hint, and an exit code by class."""

from __future__ import annotations

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import click

from animus import errors
from animus._secret import scrub
from animus.cli.terminal import harmless

INTERRUPTED = 130  # 128 + SIGINT, as shells count
PIPE_CLOSED = 141  # 128 + SIGPIPE

# the first class that fits counts, so those that have two parents stand before the parent that does not decide
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.ConfigurationError, 2),
    (errors.AuthenticationError, 3),
    (errors.ApiTimeoutError, 7),
    (errors.StreamError, 8),
    (errors.ServerError, 5),
    (errors.ResponseDecodeError, 5),
    (errors.ApiError, 4),
    (errors.ApiConnectionError, 6),
)
CODES_TEXT = (
    "0 success, 1 anything else, 2 usage or configuration, 3 authentication, 4 refused by the API, 5 the API failed, "
    "6 no connection, 7 time-out, 8 broken stream, 130 interrupted"
)


def exit_code(error: BaseException) -> int:
    """Give the exit code for an exception.

    >>> exit_code(errors.RateLimitError("slow down", status=429))
    4
    >>> exit_code(errors.UnauthorizedError("no"))
    3
    >>> exit_code(ZeroDivisionError())
    1
    """
    return next((code for kind, code in _CODES if isinstance(error, kind)), 1)


def one_line(error: BaseException) -> str:
    """Give an exception as one line: what happened, the details, the hint; harmless, as much of it comes from elsewhere."""
    return harmless(f"{type(error).__name__}: {' '.join(scrub(str(error)).split())}")


def as_mapping(error: BaseException) -> dict[str, Any]:
    """Give an exception for ``--json``."""
    described = {"type": type(error).__name__, "message": scrub(str(getattr(error, "message", error)))}
    for name in ("hint", "status", "reason", "limit", "request_id", "retry_after"):
        value = getattr(error, name, None)
        if value is not None:
            described[name] = value
    return {"error": described, "exit_code": exit_code(error)}


def reported(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``--debug``, and have its failures reported instead of raised.

    With ``--json`` the report is a JSON object on standard output, else a line on standard error.
    """

    @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
    @functools.wraps(command)
    def run(*args: Any, debug: bool, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except BrokenPipeError:  # of standard output: those of sockets come as errors of the package
            return leave_pipe()
        except Exception as error:
            if debug:
                click.echo(scrub("".join(traceback.format_exception(error))), err=True, nl=False)
            if options.get("as_json"):
                click.echo(json.dumps(as_mapping(error), ensure_ascii=False))
            else:
                click.echo(f"animus: {one_line(error)}", err=True)
            return exit_code(error)

    return run


def leave_pipe() -> int:
    """Be quiet when the reader of standard output has left, also at the interpreter's last flush."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):  # standard output is no file here
        sys.stdout = None
    return PIPE_CLOSED
