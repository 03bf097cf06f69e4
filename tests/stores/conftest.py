from __future__ import annotations

from tests.redis_serving import redis_server

__all__ = ["redis_server"]
