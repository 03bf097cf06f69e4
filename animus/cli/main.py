"""The entry point: loads the commands if what they need is installed."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_NEEDED = ("click", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command ``animus`` with ``arguments`` (those of the process, without any) and give its exit code."""
    try:
        from animus.cli.commands import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        sys.stderr.write(f'animus: the command line needs {" and ".join(_NEEDED)}: pip install "animus-client[cli]"\n')
        return 2
    return run(arguments)
