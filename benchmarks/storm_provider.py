"""The token provider of the storms: a process of its own that takes its time, and counts.

    python -m benchmarks.storm_provider

The first line of output tells the port. ``/set?delay=0.2&status=200&life=3600`` begins to count anew, ``/count`` tells how many
fetches came; every other request is one. The answer has a token in the forms that the libraries of the bench read.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys
import time
from urllib.parse import parse_qsl, urlsplit


def _jwt(life: float, number: int) -> str:
    claims = {"sub": f"token {number}", "exp": time.time() + life}
    parts = ({"alg": "none"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts), "c2ln"])


class Provider:
    """What is answered, and how often that was asked for."""

    def __init__(self) -> None:
        self.delay, self.status, self.life = 0.2, 200, 3600.0
        self.fetches = 0
        self._numbers = itertools.count(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                size = next((int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length:")), 0)
                await reader.readexactly(size)
                status, body = await self._answer(lines[0].split(" ")[1])
                text = json.dumps(body).encode()
                head = b"HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(text))
                writer.write(head + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has left
        finally:
            writer.close()

    async def _answer(self, target: str) -> tuple[int, object]:
        url = urlsplit(target)
        if url.path == "/count":
            return 200, self.fetches
        if url.path == "/set":
            given = dict(parse_qsl(url.query))
            self.delay, self.status, self.life = float(given["delay"]), int(given["status"]), float(given["life"])
            self.fetches = 0
            return 200, None
        self.fetches += 1
        status, token = self.status, _jwt(self.life, next(self._numbers))
        await asyncio.sleep(self.delay)
        if status != 200:
            return status, {"error": "temporarily_unavailable"}
        return 200, {"accessToken": token, "access_token": token, "refresh_token": "r", "token_type": "Bearer", "expires_in": self.life}


async def _main() -> None:
    server = await asyncio.start_server(Provider().serve, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    # it ends with the process that started it, which holds the other end of its input
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
