"""The chat examples under gunicorn, and a visitor without a browser."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from animus.emulator import Emulator
from tests.server.hosting import gunicorn_serving

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SITES = {"flask_chat": "app:create_app()", "django_chat": "run:make_application()"}
PASSWORDS = {"ada": "tides", "bob": "stars"}
_CSRF = re.compile(r'(?:name="csrf-token" content|name="csrf\w+" value)="([^"]+)"')


def environment_of(emulator: Emulator, folder: Path) -> dict[str, str]:
    """Give the variables that have an example talk to ``emulator``, as they would have it talk to the platform."""
    return {
        "ANIMUS_API_KEY": emulator.api_key,
        "ANIMUS_API_BASE_URL": emulator.api_base_url,
        "ANIMUS_TOKEN_PROVIDER_URL": "",
        "ANIMUS_ACCESS_TOKEN": "",
        "CHAT_SECRET_KEY": "signs the cookies of a test, and is long enough for that",
        "CHAT_USERS": " ".join(f"{name}:{password}" for name, password in PASSWORDS.items()),
        "CHAT_DATABASE": str(folder / "chat.sqlite3"),
        "CHAT_INSECURE_COOKIES": "1",
    }


@contextlib.contextmanager
def serving(site: str, environment: Mapping[str, str], *, workers: int = 2) -> Iterator[str]:
    """Serve an example until the block is left; gives the origin."""
    with gunicorn_serving(SITES[site], environment, "--preload", f"--chdir={EXAMPLES / site}", workers=workers) as origin:
        yield origin


class Visitor:
    """Somebody with a cookie jar, who does what the page's script does."""

    def __init__(self, origin: str, user: str | None = None) -> None:
        self.origin = origin
        self.browser = requests.Session()
        self.browser.trust_env = False
        self.browser.headers["Connection"] = "close"  # the server closes idle ones, which may be just when a request goes out
        if user is not None:
            assert self.log_in(user).url == f"{origin}/"

    def get(self, path: str) -> requests.Response:
        return self.browser.get(f"{self.origin}{path}", timeout=30)

    def post(self, path: str, *, csrf: str | None = None, **given: Any) -> requests.Response:
        headers = {"X-CSRFToken": self.csrf() if csrf is None else csrf, **given.pop("headers", {})}
        return self.browser.post(f"{self.origin}{path}", headers=headers, timeout=30, **given)

    def csrf(self) -> str:
        """Give the token that the page in front of this visitor has."""
        found = _CSRF.search(self.get("/").text)
        assert found is not None
        return found[1]

    def log_in(self, user: str, password: str | None = None, path: str = "/login") -> requests.Response:
        return self.post(path, data={"username": user, "password": password or PASSWORDS[user]})

    def log_out(self) -> requests.Response:
        return self.post("/logout")

    def asking(self, text: str, mode: str = "stream") -> requests.Response:
        """Say something, and give the response that is still open."""
        return self.post("/chat", json={"text": text, "mode": mode}, stream=True)

    def ask(self, text: str, mode: str = "stream") -> list[tuple[str, dict[str, Any]]]:
        """Say something, and give the events of the answer."""
        with self.asking(text, mode) as response:
            assert (response.status_code, response.headers["Content-Type"].partition(";")[0]) == (200, "text/event-stream")
            return list(events_of(response))

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/messages").json()
        return found

    def token(self, **given: Any) -> requests.Response:
        return self.browser.post(f"{self.origin}/api/get-animus-token", timeout=30, **given)

    def close(self) -> None:
        self.browser.close()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def events_of(response: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response.iter_lines(chunk_size=1):
        if line.startswith(b"event: "):
            name = line[7:].decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])
