from __future__ import annotations

from tests.wired import emulator, emulator_process, make_client

__all__ = ["emulator", "emulator_process", "make_client"]
