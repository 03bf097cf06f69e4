"""The chat examples under gunicorn, with workers and threads, and people without a browser."""

from __future__ import annotations

import contextlib
import filecmp
import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from animus.emulator import Emulator
from tests.examples.gate import AFTER, BEFORE, HaltingModel
from tests.examples.visitor import EXAMPLES, PASSWORDS, SITES, Visitor, environment_of, events_of, serving

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed here")

_ROOT = EXAMPLES.parent
_SAME = {  # of the Flask example -> of the Django example
    "demo.py": "demo.py",
    "replies.py": "chat/replies.py",
    "headers.py": "chat/headers.py",
    "static/chat.js": "static/chat.js",
    "static/chat.css": "static/chat.css",
    "static/icon.svg": "static/icon.svg",
}


class Site(NamedTuple):
    name: str
    origin: str
    database: Path

    def _table(self, name: str) -> str:
        return f"chat_{name}" if self.name == "django_chat" else name

    def count(self, table: str) -> int:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            count: int = connection.execute(f"SELECT COUNT(*) FROM {self._table(table)}").fetchone()[0]
        return count

    def forget_everything(self) -> None:
        with contextlib.closing(sqlite3.connect(self.database)) as connection, connection:
            for table in ("entry", "conversation"):
                connection.execute(f"DELETE FROM {self._table(table)}")


@pytest.fixture(scope="module", params=SITES)
def served(request: pytest.FixtureRequest, emulator_process: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with serving(request.param, environment_of(emulator_process, folder)) as origin:
        yield Site(request.param, origin, folder / "chat.sqlite3")


@pytest.fixture
def site(served: Site, emulator: Emulator) -> Site:
    return served


def said(events: list[tuple[str, dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    return [data for kind, data in events if kind == name]


def marks_of(text: str) -> set[str]:
    return set(re.findall(r"mark-\d+", text))


# ---- chatting ------------------------------------------------------------------------------------------


def test_an_answer_is_streamed_and_kept(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        with ada.asking("Tell me about tides") as response:
            assert response.headers["X-Accel-Buffering"] == "no"
            assert "no-store" in response.headers["Cache-Control"]
            events = list(events_of(response))
        [whole] = said(events, "message")
        assert events[0] == ("start", {})
        assert events[-1] == ("done", {})
        assert "".join(data["text"] for data in said(events, "tokens")) == whole["text"]
        assert len(said(events, "tokens")) > 3
        assert ada.messages() == [
            {"role": "user", "text": "Tell me about tides", "image": None},
            {"role": "assistant", "text": whole["text"], "image": None},
        ]


def test_the_model_is_told_what_was_said_before(site: Site, emulator: Emulator) -> None:
    with Visitor(site.origin, "ada") as ada:
        ada.ask("My name is Ada")
        assert said(ada.ask("What is my name?"), "message")[0]["text"] == "Your name is Ada."
        assert [message["role"] for message in emulator.requests.last(path="/chat/completions").json["messages"]] == [
            "system",
            "user",
            "assistant",
            "user",
        ]


def test_an_answer_in_turns_comes_at_once_and_asks_for_no_more(site: Site, emulator: Emulator) -> None:
    with Visitor(site.origin, "ada") as ada:
        events = ada.ask("Tell me a story", "turns")
        assert [(data["turn"], data["turns"]) for data in said(events, "message")] == [(0, 2), (1, 2)]
        assert emulator.requests.count(path="/chat/completions", status=200) == 1  # no follow-up
        assert [entry["text"] for entry in ada.messages()[1:]] == [data["text"] for data in said(events, "message")]


def test_a_picture_is_shown_again_when_the_page_is_loaded(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        events = ada.ask("Draw a lighthouse", "turns")
        assert said(events, "drawing") == [{"prompt": "a lighthouse"}]
        [image] = said(events, "image")
        assert requests.get(image["url"], timeout=30).content.startswith(b"\x89PNG")
        assert [message["image"] for message in ada.messages()] == [None, None, image]
        assert image["url"].rpartition("/images/")[0] in ada.get("/").headers["Content-Security-Policy"]


def test_a_failure_is_an_event_that_tells_nothing(site: Site, emulator: Emulator) -> None:
    secret = "a detail for nobody"
    emulator.arm(path="/chat/completions", status=500, body={"detail": secret}, times=None)
    with Visitor(site.origin, "ada") as ada:
        events = ada.ask("Hello")
        assert events[-1] == ("error", {"text": "Something went wrong. Please try again."})
        assert secret not in str(events)
        assert emulator.api_key not in str(events)
        assert ada.messages() == []


def test_part_of_an_answer_arrives_before_its_end(site: Site, halting_model: HaltingModel) -> None:
    with Visitor(site.origin, "ada") as ada, ada.asking("Tell me about tides") as response:
        events = events_of(response)
        assert [next(events), next(events)] == [("start", {}), ("tokens", {"text": BEFORE})]
        halting_model.go_on.set()
        assert [data["text"] for name, data in events if name == "message"] == [BEFORE + AFTER]


def test_a_browser_that_leaves_ends_the_request_to_the_platform(site: Site, emulator: Emulator) -> None:
    emulator.script([{"chunks": ["word "] * 2000, "chunk_delay": 0.01}])
    with Visitor(site.origin, "ada") as ada:
        with ada.asking("Tell me everything") as response:
            assert next(data for name, data in events_of(response) if name == "tokens")
        emulator.requests.wait_until_idle()
        assert emulator.requests.last(path="/chat/completions").aborted
        assert ada.messages() == []


# ---- logging in and out --------------------------------------------------------------------------------


def test_logging_out_forgets_everything_whatever_cookie_comes_back(site: Site) -> None:
    before = site.count("conversation"), site.count("entry")
    with Visitor(site.origin, "ada") as ada:
        ada.ask("Hello")
        assert site.count("entry") == before[1] + 2
        kept = ada.browser.cookies.copy()
        assert ada.log_out().url.startswith(f"{site.origin}/login")
        assert (site.count("conversation"), site.count("entry")) == before
        for cookies in (None, kept):
            if cookies is not None:
                ada.browser.cookies = cookies
            assert ada.get("/messages").status_code == 401
            assert ada.get("/").url.startswith(f"{site.origin}/login")
            assert ada.token().status_code == 401
        ada.browser.cookies.clear()
        ada.log_in("ada")
        assert ada.messages() == []


def test_logging_out_while_an_answer_comes_leaves_nothing_behind(site: Site, halting_model: HaltingModel) -> None:
    before = site.count("conversation"), site.count("entry")
    with Visitor(site.origin, "ada") as ada, ada.asking("Tell me about tides") as response:
        events = events_of(response)
        assert next(name for name, _ in events if name == "tokens")
        ada.log_out()
        halting_model.go_on.set()
        assert list(events)[-1] == ("done", {})
    assert (site.count("conversation"), site.count("entry")) == before


def test_a_session_whose_conversation_was_deleted_may_log_in_again(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        site.forget_everything()
        assert ada.get("/messages").status_code == 401
        assert ada.get("/").url.startswith(f"{site.origin}/login")
        assert ada.log_in("ada").url == f"{site.origin}/"
        assert ada.messages() == []


def test_a_cookie_from_before_the_login_is_nobodys(site: Site) -> None:
    with Visitor(site.origin) as visitor:
        visitor.csrf()
        planted = visitor.browser.cookies.copy()
        assert planted
        assert visitor.log_in("ada").url == f"{site.origin}/"
        assert visitor.get("/messages").status_code == 200
        visitor.browser.cookies = planted
        assert visitor.get("/messages").status_code == 401


def test_wrong_names_and_passwords_are_told_apart_by_nobody(site: Site) -> None:
    with Visitor(site.origin) as visitor:
        for user, password in (("ada", "stars"), ("nobody", "tides"), ("", "")):
            answer = visitor.log_in(user, password or " ")
            assert "Name and password do not go together." in answer.text
            assert visitor.get("/messages").status_code == 401


def test_a_login_leads_nowhere_else(site: Site) -> None:
    for path in ("/login?next=https://evil.example/", "/login?next=//evil.example", "/login?next=javascript:alert(1)"):
        with Visitor(site.origin) as visitor:
            assert visitor.log_in("ada", path=path).url == f"{site.origin}/"
            assert visitor.get(path).url == f"{site.origin}/"


# ---- forgeries and oddities ----------------------------------------------------------------------------


def test_what_changes_something_wants_the_pages_own_token(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada, Visitor(site.origin, "bob") as bob:
        for csrf in ("", "x" * 64, bob.csrf(), "ä"):
            csrf = csrf.encode().decode("latin-1")
            assert ada.post("/logout", csrf=csrf).status_code == 403
            assert ada.post("/chat", csrf=csrf, json={"text": "Hello", "mode": "stream"}).status_code == 403
            assert ada.post("/login", csrf=csrf, data={"username": "bob", "password": "stars"}).status_code == 403
        assert ada.messages() == []


def test_a_proxy_that_has_the_tls_is_believed(site: Site) -> None:
    origin = site.origin.replace("http:", "https:")
    forwarded = {"X-Forwarded-Proto": "https", "Origin": origin}
    with Visitor(site.origin, "ada") as ada:
        assert ada.post("/chat", json={"text": "Hello", "mode": "stream"}, headers=forwarded).status_code == 200
        assert ada.token(headers=forwarded).status_code == 200
        assert ada.post("/logout", headers=forwarded, allow_redirects=False).headers["Location"] == "/login"


def test_nothing_is_changed_by_a_get(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        assert [ada.get(path).status_code for path in ("/logout", "/chat", "/api/get-animus-token")] == [405] * 3
        assert ada.get("/messages").status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"json": {"text": " ", "mode": "stream"}},
        {"json": {"text": "x" * 4001, "mode": "stream"}},
        {"json": {"text": ["x"], "mode": "stream"}},
        {"json": {"text": "x", "mode": "shout"}},
        {"json": {"text": "x"}},
        {"json": ["x"]},
        {"data": "{", "headers": {"Content-Type": "application/json"}},
        {"data": b"\xff", "headers": {"Content-Type": "application/json"}},
    ],
)
def test_what_the_page_does_not_send_is_refused(site: Site, emulator: Emulator, given: dict[str, Any]) -> None:
    with Visitor(site.origin, "ada") as ada:
        answer = ada.post("/chat", **given)
        assert answer.status_code == 400
        assert answer.json()["error"]
        assert emulator.requests.count(path="/chat/completions") == 0


def test_large_bodies_are_not_read(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        assert ada.post("/chat", json={"text": "x" * 100_000, "mode": "stream"}).status_code in (400, 413)


def test_names_are_text_in_the_page(site: Site) -> None:
    with Visitor(site.origin) as visitor:
        page = visitor.log_in("<script>alert(1)</script>", "x").text
        assert "<script>alert" not in page


def test_headers_and_cookies_of_pages(site: Site) -> None:
    with Visitor(site.origin) as visitor:
        answer = visitor.get("/login")
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert {"HttpOnly", "SameSite=Lax", "Secure"} & set(answer.headers["Set-Cookie"].split("; ")) == {"HttpOnly", "SameSite=Lax"}
        assert visitor.get("/static/chat.js").headers["Content-Type"].startswith(("text/javascript", "application/javascript"))
        for path in ("/static/../run.py", "/static/%2e%2e/run.py", "/static/"):
            assert requests.get(site.origin + path, timeout=30).status_code in (400, 404)


@pytest.mark.parametrize("name", SITES)
def test_cookies_are_secure_unless_told_otherwise(name: str, emulator: Emulator, tmp_path: Path) -> None:
    environment = {**environment_of(emulator, tmp_path), "CHAT_INSECURE_COOKIES": ""}
    with serving(name, environment, workers=1) as origin:
        assert "Secure" in requests.get(f"{origin}/login", timeout=30).headers["Set-Cookie"].split("; ")


# ---- many at once --------------------------------------------------------------------------------------


def test_nobody_gets_what_is_anothers(site: Site, emulator: Emulator) -> None:
    visitors = [(number, user, Visitor(site.origin, user)) for number, user in enumerate([*PASSWORDS] * 6)]
    barrier = threading.Barrier(len(visitors))
    tokens: dict[str, set[str]] = {user: set() for user in PASSWORDS}

    def chat(number: int, user: str, visitor: Visitor) -> None:
        barrier.wait(60)
        for turn in range(3):
            heard = visitor.ask(f"mark-{number} says {turn}", "turns" if turn == 1 else "stream")
            assert marks_of(str(heard)) == {f"mark-{number}"}
            tokens[user].add(visitor.token().json()["accessToken"])
        seen = visitor.messages()
        assert [entry["text"] for entry in seen if entry["role"] == "user"] == [f"mark-{number} says {turn}" for turn in range(3)]
        assert marks_of(str(seen)) == {f"mark-{number}"}

    with ThreadPoolExecutor(len(visitors)) as pool:
        for done in [pool.submit(chat, *visitor) for visitor in visitors]:
            done.result()
    for request in emulator.requests.where(path="/chat/completions"):
        assert len(marks_of(str(request.json))) == 1
    assert not tokens["ada"] & tokens["bob"]
    assert {len(found) for found in tokens.values()} <= {1, 2}  # one for each worker
    for _, _, visitor in visitors:
        visitor.close()


def test_other_origins_get_no_token_unless_listed(site: Site) -> None:
    with Visitor(site.origin, "ada") as ada:
        assert ada.token(headers={"Origin": "https://evil.example"}).status_code == 403
        assert ada.token(headers={"Origin": site.origin}).status_code == 200


# ---- the examples as they are copied -------------------------------------------------------------------


def test_what_both_examples_have_is_the_same() -> None:
    for flask_file, django_file in _SAME.items():
        assert filecmp.cmp(EXAMPLES / "flask_chat" / flask_file, EXAMPLES / "django_chat" / django_file, shallow=False), flask_file
    names = {path.name for path in (EXAMPLES / "flask_chat" / "static").iterdir()}
    assert names == {path.name for path in (EXAMPLES / "django_chat" / "static").iterdir()}


def test_scripts_put_no_text_in_as_html() -> None:
    script = (EXAMPLES / "flask_chat" / "static" / "chat.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


@pytest.mark.parametrize("name", SITES)
def test_one_command_runs_it_against_the_emulator(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / name / "run.py"), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            origin, user, password = re.match(r"(\S+)/ .* as (\w+) with the password (\w+)", line).groups()  # type: ignore[union-attr]
            with Visitor(origin) as visitor:
                assert password in visitor.get("/login").text
                visitor.log_in(user, password)
                assert said(visitor.ask("Hello"), "message")[0]["text"].startswith("Hello!")
                assert visitor.token().status_code == 200
        finally:
            process.terminate()
    assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []  # no database either


def test_the_migrations_are_those_of_the_models(tmp_path: Path) -> None:
    command = [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT), "CHAT_SECRET_KEY": "x" * 50, "CHAT_DATABASE": str(tmp_path / "x")}
    done = subprocess.run(command, cwd=EXAMPLES / "django_chat", env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "No changes detected"), done.stderr
