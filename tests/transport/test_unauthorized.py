"""A 401 of the API: one renewal, one repetition."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from animus.errors import AuthenticationError, TokenSourceError, UnauthorizedError
from animus.refresh.manager import TokenManager
from animus.sources.function import CallableTokenSource
from animus.testing.clock import ManualClock
from animus.transport.api import call_api
from animus.transport.bearer import BearerAuth
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession
from tests.servers import Answer, HttpServer, Received, in_turn
from tests.transport.tokens import Tokens, fixed

pytestmark = pytest.mark.usefixtures("way")

Serve = Callable[..., HttpServer]
SessionFor = Callable[..., AnimusSession]


def _accepting(*tokens: str) -> Callable[[Received], Answer]:
    def reply(request: Received) -> Answer:
        return Answer(body=b"fine") if request.header("Authorization") in {f"Bearer {token}" for token in tokens} else Answer(401)

    return reply


def _tokens_seen(server: HttpServer) -> list[str | None]:
    return [request.header("Authorization") for request in server.requests]


@pytest.fixture(params=["session", "resource", "prepared", "stream"])
def post(request: pytest.FixtureRequest) -> Callable[[AnimusSession], Any]:
    """Make the same call in each of the ways there are; give the status of its answer."""

    def post(session: AnimusSession) -> int:
        if request.param == "session":
            return session.post("/chat/completions", json={}).status_code
        if request.param == "prepared":
            return session.send(session.prepare_request(requests.Request("POST", "/chat/completions", json={}))).status_code
        if request.param == "stream":
            answer = call_api(session, "POST", "/chat/completions", body=b"{}", stream=True)
            assert b"".join(answer.body_stream()) == b"fine"
            return answer.response.status_code
        return call_api(session, "POST", "/chat/completions", body=b"{}").response.status_code

    return post


def test_a_refused_token_is_renewed_once(serve: Serve, session_for: SessionFor, post: Callable[[AnimusSession], Any]) -> None:
    server, tokens = serve(_accepting("token-2")), Tokens()
    session = session_for(server, tokens.manager())
    assert post(session) == 200
    assert _tokens_seen(server) == ["Bearer token-1", "Bearer token-2"]
    assert post(session) == 200
    assert tokens.count == 2


def test_no_repeats_still_means_one_renewal(serve: Serve, session_for: SessionFor, post: Callable[[AnimusSession], Any]) -> None:
    session = session_for(serve(_accepting("token-2")), Tokens().manager(), retry=RetryPolicy(repeats=0))
    assert post(session) == 200


def test_a_second_401_is_an_error(serve: Serve, session_for: SessionFor) -> None:
    server, tokens = serve(lambda request: Answer(401, {"X-Request-Id": "r1"}, b'{"message": "who?"}')), Tokens()
    with pytest.raises(UnauthorizedError) as raised:
        call_api(session_for(server, tokens.manager()), "POST", "/chat/completions", body=b"{}")
    assert (raised.value.reason, raised.value.status, raised.value.attempts) == ("refused_by_api", 401, 2)
    assert raised.value.request_id == "r1"
    assert "who?" in str(raised.value)
    assert len(server.requests) == 2
    assert tokens.count == 2


def test_a_second_401_of_the_session_is_an_answer(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda request: Answer(401))
    assert session_for(server, Tokens().manager()).get("/a").status_code == 401
    assert len(server.requests) == 2


@pytest.mark.parametrize("through_session", [True, False])
def test_the_same_token_again_is_an_error(serve: Serve, session_for: SessionFor, through_session: bool) -> None:
    server = serve(lambda request: Answer(401, body=b'{"detail": "revoked"}'))
    session = session_for(server, fixed("opaque-token"))
    with pytest.raises(UnauthorizedError) as raised:
        session.get("/a") if through_session else call_api(session, "GET", "/a")
    assert (raised.value.reason, raised.value.status, raised.value.attempts) == ("same_token", 401, 1)
    assert "revoked" in str(raised.value)
    assert "opaque" not in str(raised.value)
    assert len(server.requests) == 1


def test_a_manager_without_memory_that_gives_the_same_token_again(serve: Serve, session_for: SessionFor) -> None:
    class Stubborn:
        def token(self, deadline: float | None = None) -> Any:
            from animus.tokens.token import Token

            return Token("token-1")

        def invalidate(self, token: str) -> None:
            assert token == "token-1"

    server = serve(lambda request: Answer(401))
    with pytest.raises(UnauthorizedError) as raised:
        call_api(session_for(server, Stubborn()), "GET", "/a")
    assert raised.value.reason == "same_token"
    assert len(server.requests) == 1


def test_a_source_that_fails_then_is_what_surfaces(serve: Serve, session_for: SessionFor) -> None:
    answers = iter(["token-1"])

    def source() -> str:
        for token in answers:
            return token
        raise OSError("the back end is down")

    server = serve(lambda request: Answer(401))
    with pytest.raises(TokenSourceError, match="the back end is down"):
        call_api(session_for(server, TokenManager(CallableTokenSource(source), clock=ManualClock())), "GET", "/a")
    assert len(server.requests) == 1


def test_without_a_token_nothing_is_sent(serve: Serve, session_for: SessionFor, post: Callable[[AnimusSession], Any]) -> None:
    def source() -> str:
        raise OSError("no")

    server = serve()
    with pytest.raises(AuthenticationError):
        post(session_for(server, TokenManager(CallableTokenSource(source), clock=ManualClock())))
    assert server.requests == []


def test_a_file_is_rewound(serve: Serve, session_for: SessionFor) -> None:
    server = serve(_accepting("token-2"))
    assert session_for(server, Tokens().manager()).put("/a", data=io.BytesIO(b"0123456789")).ok
    assert [request.body for request in server.requests] == [b"0123456789"] * 2


def test_a_generator_is_not_sent_twice(serve: Serve, session_for: SessionFor) -> None:
    server, tokens = serve(lambda request: Answer(401, body=b"first")), Tokens()
    response = session_for(server, tokens.manager()).post("/a", data=iter([b"once"]))
    assert (response.status_code, response.content) == (401, b"first")
    assert [request.body for request in server.requests] == [b"once"]
    assert tokens.count == 1


def test_renewal_and_repeats_go_together(serve: Serve, session_for: SessionFor) -> None:
    server = serve(in_turn(Answer(503), Answer(401), Answer(503), Answer(body=b"fine")))
    session = session_for(server, Tokens().manager(), clock=ManualClock())
    assert session.post("/chat/completions", json={}).ok
    assert _tokens_seen(server) == ["Bearer token-1", "Bearer token-1", "Bearer token-2", "Bearer token-2"]


def test_one_renewal_for_a_call_with_redirects(serve: Serve, session_for: SessionFor) -> None:
    server = serve(in_turn(Answer(401), Answer(302, {"Location": "/b"}), Answer(401)))
    assert session_for(server, Tokens().manager()).get("/a").status_code == 401
    assert len(server.requests) == 3


def test_without_a_manager_a_401_is_an_answer(serve: Serve, session_for: SessionFor) -> None:
    server = serve(lambda request: Answer(401))
    assert session_for(server).get("/a").status_code == 401
    assert len(server.requests) == 1


def test_an_auth_of_the_callers_own_is_left_alone(serve: Serve, session_for: SessionFor) -> None:
    server, tokens = serve(lambda request: Answer(401)), Tokens()
    session = session_for(server, tokens.manager())
    assert session.get("/a", auth=("user", "pass")).status_code == 401
    session.auth = ("user", "pass")
    assert session.get("/a").status_code == 401
    assert [seen and seen.split()[0] for seen in _tokens_seen(server)] == ["Basic"] * 2
    assert tokens.count == 0


def test_headers_do_not_replace_the_bearer(serve: Serve, session_for: SessionFor) -> None:
    server = serve()
    session = session_for(server, Tokens().manager())
    session.headers["authorization"] = "Basic session"
    session.get("/a", headers={"AUTHORIZATION": "Basic call"})
    assert _tokens_seen(server) == ["Bearer token-1"]


def test_further_origins_get_the_token_and_no_others(serve: Serve, session_for: SessionFor) -> None:
    api, rest, other = serve(), serve(), serve()
    session = session_for(api, Tokens().manager(), extra_origins=(rest.url,))
    for server in (api, rest, other):
        session.get(f"{server.url}/a")
    assert [_tokens_seen(server) for server in (api, rest, other)] == [["Bearer token-1"], ["Bearer token-1"], [None]]


def test_a_prepared_request_gets_the_token_of_the_time_it_is_sent(serve: Serve, session_for: SessionFor) -> None:
    server, tokens = serve(), Tokens()
    session = session_for(server, manager := tokens.manager())
    prepared = session.prepare_request(requests.Request("GET", "/a"))
    manager.clear()
    session.send(prepared)
    assert _tokens_seen(server) == ["Bearer token-2"]


def test_a_prepared_request_loses_the_token_where_it_does_not_belong(serve: Serve, session_for: SessionFor) -> None:
    server, other = serve(), serve()
    session = session_for(server, Tokens().manager())
    prepared = session.prepare_request(requests.Request("GET", "/a"))
    prepared.prepare_url(f"{other.url}/a", None)
    session.send(prepared)
    assert _tokens_seen(other) == [None]


def test_a_token_no_header_can_carry_never_shows(serve: Serve, session_for: SessionFor) -> None:
    import traceback

    for token in ("canary-line\nX-Evil: 1", "canary-\u1234"):
        server = serve()
        session = session_for(server, TokenManager(CallableTokenSource(lambda token=token: token), clock=ManualClock()))
        with pytest.raises(AuthenticationError) as raised:
            session.get("/a")
        assert "canary" not in "".join(traceback.format_exception(raised.value))
        assert server.requests == []


# ---- many threads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
def test_many_401s_of_one_revoked_token_are_one_renewal(serve: Serve, session_for: SessionFor, together: bool) -> None:
    """Staggered: each answer of the old token comes when some threads have the new one already."""
    count = 32
    barrier = threading.Barrier(count)
    turn = threading.Semaphore(0)
    lock = threading.Lock()
    refused = 0

    def reply(request: Received) -> Answer:
        nonlocal refused
        if request.header("Authorization") == "Bearer token-2":
            turn.release()
            return Answer(body=b"fine")
        barrier.wait(10)  # all have sent the old token
        with lock:
            refused += 1
            first = refused == 1
        if not together and not first:
            assert turn.acquire(timeout=10)  # one more is refused each time somebody has got through
        return Answer(401)

    server, tokens = serve(reply), Tokens()
    session = session_for(server, tokens.manager())
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(session.get("/a").status_code)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * count
    assert tokens.count == 2
    assert len(server.requests) == 2 * count


def test_bearers_compare_by_what_they_do() -> None:
    manager = fixed()
    from animus._origin import origin_of

    origins = frozenset({origin_of("https://api.example.test/v3")})
    assert BearerAuth(manager, origins) == BearerAuth(manager, origins)
    assert BearerAuth(manager, origins) != BearerAuth(None, origins)
    assert hash(BearerAuth(manager, origins)) == hash(BearerAuth(manager, origins))
    assert "canary" not in repr(BearerAuth(manager, origins))
    assert "https://api.example.test" in repr(BearerAuth(manager, origins))
