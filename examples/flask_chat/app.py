"""A chat page in Flask: one client for all users, a conversation for each session, answers as server-sent events."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from accounts import Accounts
from flask import Flask, Response, abort, g, jsonify, redirect, render_template, request, session, url_for
from headers import page_headers
from replies import LONGEST_TEXT, STREAM_HEADERS, Entry, begin, make_client, read_question, reply_events, shown_entries
from store import Store
from werkzeug.exceptions import BadRequest

from animus.server import TokenIssuer
from animus.server.flask import token_blueprint

_FOLDER = Path(__file__).parent
_READING = ("GET", "HEAD", "OPTIONS")


def create_app() -> Flask:
    """Make the application, by the variables of the environment that README.md lists."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=os.environ["CHAT_SECRET_KEY"],
        SESSION_COOKIE_NAME="flask_chat",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=not os.environ.get("CHAT_INSECURE_COOKIES"),
        MAX_CONTENT_LENGTH=64 * 1024,
    )
    client = make_client()
    issuer = TokenIssuer(cache="user")
    store = Store(os.environ.get("CHAT_DATABASE") or str(_FOLDER / "chat.sqlite3"))
    _add_pages(app, Accounts(os.environ.get("CHAT_USERS", "")), store, issuer)
    _add_chat(app, client, store)
    origins = os.environ.get("CHAT_ORIGINS", "").split()
    app.register_blueprint(token_blueprint(issuer, authenticate=lambda request: _user(store), origins=origins))
    _add_guards(app)
    return app


def _user(store: Store) -> str | None:
    """Give who is logged in. The cookie alone says nothing: after the logout its conversation is gone."""
    if "user" not in g:
        conversation = session.get("conversation")
        g.user = store.user_of(conversation) if conversation else None
    user: str | None = g.user
    return user


def _add_pages(app: Flask, accounts: Accounts, store: Store, issuer: TokenIssuer) -> None:
    @app.get("/")
    def index() -> Any:
        user = _user(store)
        if user is None:
            return redirect(url_for("login"))
        return render_template("chat.html", user=user, longest_text=LONGEST_TEXT)

    @app.get("/login")
    def login() -> Any:
        return redirect(url_for("index")) if _user(store) else render_template("login.html", hint=os.environ.get("CHAT_HINT"))

    @app.post("/login")
    def log_in() -> Any:
        name = request.form.get("username", "")
        if not accounts.check(name, request.form.get("password", "")):
            return render_template("login.html", hint=os.environ.get("CHAT_HINT"), failed=True), 403
        _end_session(store)
        session["conversation"] = store.begin(name)
        return redirect(url_for("index"))

    @app.post("/logout")
    def log_out() -> Any:
        user = _user(store)
        if user is not None:
            issuer.clear(user)
        _end_session(store)
        return redirect(url_for("login"))


def _end_session(store: Store) -> None:
    if "conversation" in session:
        store.end(session["conversation"])
    session.clear()


def _add_chat(app: Flask, client: Any, store: Store) -> None:
    def conversation_id() -> str:
        """Give the id of the conversation of who is logged in."""
        if _user(store) is None:
            abort(401)
        found: str = session["conversation"]
        return found

    @app.get("/messages")
    def messages() -> Any:
        return jsonify(shown_entries(store.entries(conversation_id())))

    @app.post("/chat")
    def chat() -> Any:
        mine = conversation_id()
        try:
            question = read_question(request.get_json())
        except ValueError as error:
            return jsonify(error=str(error)), 400
        except BadRequest:
            return jsonify(error="That is not a message."), 400

        def save(entries: list[Entry]) -> None:  # runs while the answer goes out, when there is no request any more
            store.add(mine, [entry.to_json() for entry in entries])

        events = reply_events(begin(client, store.entries(mine)), question, save)
        return Response(events, mimetype="text/event-stream", headers=STREAM_HEADERS)


def _add_guards(app: Flask) -> None:
    def csrf_token() -> str:
        """Give the session's token, which forms and scripts of our own pages send back."""
        if "csrf" not in session:
            session["csrf"] = secrets.token_urlsafe(32)
        token: str = session["csrf"]
        return token

    app.jinja_env.globals["csrf_token"] = csrf_token

    @app.before_request
    def refuse_forgeries() -> None:
        if request.method in _READING or request.blueprint == "animus_token":  # the token endpoint looks at the origin itself
            return
        expected, given = session.get("csrf"), request.headers.get("X-CSRFToken") or request.form.get("csrf_token", "")
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            abort(403)

    headers = page_headers()

    @app.after_request
    def guard(response: Response) -> Response:
        for name, value in headers.items():
            response.headers.setdefault(name, value)
        return response
