"""``animus doctor``: the whole way, step by step, with what is wrong and what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from animus.cli.failures import reported
from animus.cli.terminal import write
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from animus.doctor import Finding

_LONGEST_FILE = 65536  # characters


@click.command()
@click.argument("url", required=False)
@click.option("--origin", metavar="ORIGIN", help="Check CORS, too, for pages of this origin (https://app.example.com).")
@click.option("-H", "--header", "headers", metavar="HEADER", multiple=True, help='"Name: value" to send, or @FILE with such lines.')
@click.option("--method", default="POST", show_default=True, help="How the provider is asked.")
@click.option("--api-base-url", metavar="URL", envvar="ANIMUS_API_BASE_URL", show_envvar=True, help="The API, if not the platform's own.")
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True, help="For each step."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@reported
def doctor(
    url: str | None, origin: str | None, headers: tuple[str, ...], method: str, api_base_url: str | None, timeout: float, as_json: bool
) -> int:
    """Find out why no token or no reply comes. URL is the token provider; without it, the environment says where tokens come from.

    Every line is a check: what was seen and, behind an arrow, what to do. Nothing secret is shown.

    Exit codes: 0 nothing wrong was found, 1 a check failed, 2 wrong usage.
    """
    from animus.doctor import examine
    from animus.doctor.report import summary_of

    print_finding = _printer()
    report = examine(
        url,
        origin=origin,
        headers=_headers(headers),
        method=method,
        api_base_url=api_base_url,
        timeout=timeout,
        on_finding=None if as_json else print_finding,
    )
    code = 0 if report.healthy else 1
    if as_json:
        click.echo(json.dumps({**report.to_dict(), "exit_code": code}, ensure_ascii=False))
    else:
        write(f"{summary_of(report.findings)}\n")
    return code


class _Printer:
    """Prints findings with marks that standard output can show."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        self._marks = marks

    def __call__(self, finding: Finding) -> None:
        from animus.doctor.report import lines_of

        for line in lines_of(finding, self._marks):
            write(f"{_encodable(line)}\n")


def _printer() -> _Printer:
    from animus.doctor.report import MARKS, PLAIN_MARKS

    shown = "".join(MARKS.values())
    return _Printer(MARKS if _encodable(shown) == shown else PLAIN_MARKS)


def _encodable(text: str) -> str:
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _headers(given: tuple[str, ...]) -> dict[str, str] | None:
    """Give the headers of all ``-H``; none is ever shown."""
    headers = {}
    for text in given:
        for line in _lines(text[1:]) if text.startswith("@") else [text]:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise ConfigurationError('--header must be "Name: value", or @FILE with such lines')
            headers[name.strip()] = value.strip()
    return headers or None


def _lines(path: str) -> list[str]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return [line for line in file.read(_LONGEST_FILE).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--header: the file cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}") from None
