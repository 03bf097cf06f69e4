from __future__ import annotations

from tests.doctor.asking import doctor
from tests.server.conftest import issuer, make_issuer
from tests.serving import authority, closing, full_backlog, name_hosts, serve, serve_raw
from tests.wired import emulator, emulator_process

__all__ = [
    "authority",
    "closing",
    "doctor",
    "emulator",
    "emulator_process",
    "full_backlog",
    "issuer",
    "make_issuer",
    "name_hosts",
    "serve",
    "serve_raw",
]
