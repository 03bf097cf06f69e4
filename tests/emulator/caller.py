"""A plain HTTP client for the emulator."""

from __future__ import annotations

from typing import Any

import requests

from animus.emulator import Emulator

CHAT = "/chat/completions"


class Caller:
    """A plain HTTP client with a token: the other side, as far from ours as can be."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {emulator.issue_token()}"

    def post(self, path: str, **options: Any) -> requests.Response:
        return self.session.post(f"{self.emulator.api_base_url}{path}", timeout=20, **options)

    def chat(self, text: str = "Hello", **fields: Any) -> requests.Response:
        return self.post(CHAT, json={"messages": [{"role": "user", "content": text}], **fields})

    def stream(self, text: str = "Hello") -> requests.Response:
        """Ask for a streamed answer and leave its reading to the caller."""
        return self.post(CHAT, json={"messages": [{"role": "user", "content": text}], "stream": True}, stream=True)

    def message(self, text: str = "Hello", **fields: Any) -> dict[str, Any]:
        response = self.chat(text, **fields)
        assert response.status_code == 200, response.text
        message: dict[str, Any] = response.json()["choices"][0]["message"]
        return message
