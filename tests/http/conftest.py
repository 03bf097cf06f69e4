from __future__ import annotations

from tests.serving import authority, closing, full_backlog, serve, serve_raw, session_for

__all__ = ["authority", "closing", "full_backlog", "serve", "serve_raw", "session_for"]
