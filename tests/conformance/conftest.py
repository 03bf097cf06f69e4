from __future__ import annotations

from tests.serving import authority, closing, name_hosts, serve, serve_raw

__all__ = ["authority", "closing", "name_hosts", "serve", "serve_raw"]
