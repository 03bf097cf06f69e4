"""Doing the same with a plain session and with ours, and seeing whether anybody could tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.servers import HttpServer, Received, Reply

Act = Callable[[requests.Session, str], Any]


def described(thing: Any) -> Any:
    """Give all that a caller can see of a response, an exception, or values with those in them."""
    if isinstance(thing, requests.Response):
        return _response(thing)
    if isinstance(thing, requests.PreparedRequest):
        body = thing.body if isinstance(thing.body, (bytes, str, type(None))) else type(thing.body).__name__
        return ("request", thing.method, thing.url, sorted(thing.headers.items()), body, len(thing.hooks["response"]))
    if isinstance(thing, BaseException):
        request = getattr(thing, "request", None)
        response = getattr(thing, "response", None)
        return (type(thing), described(request), None if response is None else response.status_code)
    if isinstance(thing, dict):
        return {key: described(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [described(item) for item in thing]
    return thing


def _response(response: requests.Response) -> Any:
    content = response.content if not response._content_consumed or response._content is not False else "consumed"
    return {
        "status": (response.status_code, response.reason, response.ok, response.is_redirect, response.is_permanent_redirect),
        "headers": list(response.headers.items()),
        "content": content,
        "url": response.url,
        "encoding": response.encoding,
        "cookies": response.cookies.get_dict(),
        "request": described(response.request),
        "history": [(r.status_code, r.url, described(r.request), len(r.history), described(r.next)) for r in response.history],
        "next": described(response.next),
        "elapsed": type(response.elapsed),
    }


def on_the_wire(requests_: list[Received]) -> list[bytes]:
    return [request.raw for request in requests_]


def run(session: requests.Session, act: Act, url: str) -> Any:
    try:
        return described(act(session, url))
    except Exception as error:
        return described(error)


def assert_same(server: HttpServer, act: Act, reply: Callable[[], Reply] | None = None) -> Any:
    """Do ``act(session, url)`` with both, and compare what came out and what went over the wire. Give what came out."""
    seen = []
    for make in (requests.Session, lambda: AnimusSession("http://api.example.test/v3", retry=RetryPolicy(repeats=0))):
        server.forget()
        if reply is not None:
            server.reply = reply()
        with make() as session:
            session.headers["User-Agent"] = "tests"
            seen.append((run(session, act, server.url), on_the_wire(server.requests)))
    (plain, plain_wire), (ours, our_wire) = seen
    assert our_wire == plain_wire
    assert ours == plain
    return plain
