"""The client as the place where all parts meet."""

from __future__ import annotations

import contextlib
import copy
import gc
import multiprocessing
import os
import pickle
import random
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import animus.client
from animus import (
    AnimusClient,
    ApiKeyTokenSource,
    ChatConfig,
    ConfigurationError,
    Conversation,
    EnvironmentTokenSource,
    MemoryTokenStore,
    RateLimitError,
    RetryPolicy,
    StaticTokenSource,
    Timeouts,
    TokenRequest,
    UnauthorizedError,
    UrlTokenSource,
    VisionConfig,
    events,
)
from animus.emulator import Emulator
from animus.http.adapter import AnimusAdapter
from animus.testing import ManualClock
from tests.wired import CHAT, CHAT_PATH, Heard, assistant, bodies, texts, user, wire

URL = "https://your-backend.example/token"
CANARY = "canary-0123456789"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    running.reset()
    yield running
    running.reset()


@pytest.fixture
def client(emulator: Emulator) -> Iterator[AnimusClient]:
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat={**CHAT, "history_size": 20}) as client:
        yield client


def post(client: AnimusClient, **options: Any) -> requests.Response:
    body: Any = {"model": "m", "messages": [user("Hello")]}
    return client.session.post("/chat/completions", json=body, **options)


# ---- where tokens come from ----------------------------------------------------------------------------


def test_the_environment_names_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[type] = []
    for name, value in [("ANIMUS_API_KEY", CANARY), ("ANIMUS_ACCESS_TOKEN", CANARY), ("ANIMUS_TOKEN_PROVIDER_URL", URL)]:
        monkeypatch.setenv(name, value)  # each beats the ones before
        with AnimusClient() as client:
            kinds.append(type(client.token_source))
            assert CANARY not in f"{client!r} {client.token_source!r}"
    assert kinds == [ApiKeyTokenSource, EnvironmentTokenSource, UrlTokenSource]


def test_without_any_source_all_ways_are_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        AnimusClient()
    for name in ("token_source", "ANIMUS_TOKEN_PROVIDER_URL", "ANIMUS_ACCESS_TOKEN", "ANIMUS_API_KEY"):
        assert name in str(caught.value)


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_variables_are_not_set(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    for name in ("ANIMUS_TOKEN_PROVIDER_URL", "ANIMUS_ACCESS_TOKEN", "ANIMUS_API_KEY"):
        monkeypatch.setenv(name, blank)
    with pytest.raises(ConfigurationError, match="there is no token source"):
        AnimusClient()


def test_an_argument_beats_the_environment(monkeypatch: pytest.MonkeyPatch, emulator: Emulator) -> None:
    monkeypatch.setenv("ANIMUS_ACCESS_TOKEN", "not-this-one")
    monkeypatch.setenv("ANIMUS_API_BASE_URL", "https://not-this-one.example")
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=CHAT) as client:
        assert client.chat.send("Hello").text


@pytest.mark.parametrize(
    ("name", "kind"), [("ANIMUS_TOKEN_PROVIDER_URL", "token"), ("ANIMUS_API_KEY", "auth"), ("ANIMUS_ACCESS_TOKEN", None)]
)
def test_a_client_of_the_environment_alone(monkeypatch: pytest.MonkeyPatch, emulator: Emulator, name: str, kind: Any) -> None:
    values = {"ANIMUS_TOKEN_PROVIDER_URL": emulator.token_url, "ANIMUS_API_KEY": emulator.api_key}
    monkeypatch.setenv(name, values.get(name) or emulator.issue_token())
    monkeypatch.setenv("ANIMUS_API_BASE_URL", emulator.api_base_url + "/")
    with AnimusClient(chat=CHAT) as client:
        assert client.api_base_url == emulator.api_base_url
        assert client.chat.send("Hello").text
    assert [request.kind for request in emulator.requests] == [*([kind] if kind else []), "api"]


def test_a_key_is_never_sent_to_production_by_a_test(emulator: Emulator) -> None:
    with AnimusClient(ApiKeyTokenSource(emulator.api_key), api_base_url=emulator.api_base_url, chat=CHAT) as client:
        assert client.chat.send("Hello").text
        assert emulator.requests[0].path == "/auth/generate-token"
    with AnimusClient(ApiKeyTokenSource(emulator.api_key, mode="bearer"), api_base_url=emulator.api_base_url, chat=CHAT) as client:
        assert client.chat.send("Hello").text
        assert emulator.requests.last("api").credential == "api_key"


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        ((URL,), {"token_provider_url": URL}, "token_source and token_provider_url are two names for one thing"),
        ((CANARY,), {}, r"token_source must be an http\(s\) URL, .*StaticTokenSource"),
        ((5,), {}, "token_source must be a URL, a function or an object"),
        ((UrlTokenSource,), {}, r"Write UrlTokenSource\("),
        (("http://your-backend.example/token",), {}, "allow_insecure_http"),
        ((URL,), {"api_base_url": "api.example"}, "api_base_url must be an absolute URL"),
        ((URL,), {"api_base_url": "http://api.example/v3"}, "api_base_url is http"),
        ((URL,), {"api_base_url": 5}, "api_base_url must be"),
        ((URL,), {"rest_base_url": "ftp://x"}, "rest_base_url must be an absolute URL"),
        ((URL,), {"chat": "m"}, "chat must be a ChatConfig or a mapping"),
        ((URL,), {"chat": {"model": " ", "system_message": "s"}}, r"chat\.model must be a non-blank string"),
        ((URL,), {"chat": {"model": "m"}}, "chat lacks system_message"),
        ((URL,), {"chat": {**CHAT, "systemMessage": "x"}}, "Did you mean 'system_message'"),
        ((URL,), {"chat": {**CHAT, "history_size": -1}}, r"chat\.history_size must be a number of at least 0, not -1"),
        ((URL,), {"vision": {"model": ""}}, r"vision\.model must be a non-blank string, not an empty string"),
        ((URL,), {"timeouts": {"conect": 5}}, "timeouts has no setting 'conect'.*Did you mean 'connect'"),
        ((URL,), {"timeouts": 0}, r"timeouts\.deadline must be a number above 0"),
        ((URL,), {"timeouts": 1e10}, r"timeouts\.deadline must be 1000000000 seconds at most, not 10000000000"),
        ((URL,), {"timeouts": "5"}, "timeouts must be a Timeouts, a mapping of limits, or the seconds"),
        ((URL,), {"retry": -1}, r"retry\.repeats must be a number of at least 0"),
        ((URL,), {"retry": {"repeats": 1.5}}, r"retry\.repeats must be a whole number"),
        ((URL,), {"retry": "2"}, "retry must be a RetryPolicy"),
        ((URL,), {"identity": " "}, "identity must be a non-blank string"),
    ],
)
def test_bad_settings_are_named_at_once(arguments: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        AnimusClient(*arguments, **options)
    assert CANARY not in str(caught.value)


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="tokenProviderUrl"):
        AnimusClient(tokenProviderUrl=URL)  # type: ignore[call-arg]


def test_nothing_is_sent_before_the_first_call(emulator: Emulator) -> None:
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=CHAT) as client:
        client.conversation()
        client.for_identity("ada")
        client.with_options(timeouts=5)
        repr(client)
    assert len(emulator.requests) == 0


@pytest.mark.parametrize(
    ("api", "rest"),
    [
        ("https://api.animusai.co/v3", "https://api.animusai.co/v2"),
        ("https://api.animusai.co/v3//", "https://api.animusai.co/v2"),
        ("https://api.animusai.co/v10", "https://api.animusai.co/v2"),
        ("https://api.animusai.co/proxy/v3", "https://api.animusai.co/proxy/v2"),
        ("https://api.animusai.co", "https://api.animusai.co"),
        ("https://v3", "https://v3"),
        ("https://api.animusai.co/v3/x", "https://api.animusai.co/v3/x"),
        ("https://api.animusai.co/rev3", "https://api.animusai.co/rev3"),
        ("https://api.animusai.co/v3beta", "https://api.animusai.co/v3beta"),
    ],
)
def test_the_rest_reference_has_its_own_version(api: str, rest: str) -> None:
    with AnimusClient(URL, api_base_url=api) as client:
        assert (client.api_base_url, client.rest_base_url) == (api.rstrip("/"), rest)
    with AnimusClient(URL, api_base_url=api, rest_base_url="https://rest.example/v1/") as client:
        assert client.rest_base_url == "https://rest.example/v1"


def test_the_default_is_production() -> None:
    with AnimusClient(URL) as client:
        assert (client.api_base_url, client.rest_base_url) == ("https://api.animusai.co/v3", "https://api.animusai.co/v2")


def test_settings_may_be_objects() -> None:
    with AnimusClient(
        UrlTokenSource(URL),
        chat=ChatConfig(**CHAT),
        vision=VisionConfig(model="v"),
        timeouts=Timeouts(read=5),
        retry=RetryPolicy(repeats=7),
    ) as client:
        assert client.chat.config == ChatConfig(**CHAT)
        assert (client.session.timeouts.read, client.session.retry.repeats) == (5, 7)


# ---- conversations -------------------------------------------------------------------------------------


def test_conversations_are_apart_and_cheap(client: AnimusClient, emulator: Emulator) -> None:
    one, two = client.conversation(), client.conversation(system_message="Be brief.", history_size=2, temperature=0.5)
    assert isinstance(one, Conversation)
    emulator.script(["a", "b", "c"])
    one.send("1")
    two.send("2")
    one.send("3")
    assert [body["messages"][0]["content"] for body in bodies(emulator)] == ["Be kind.", "Be brief.", "Be kind."]
    assert texts(wire(emulator)) == ["1", "a", "3"]
    assert (one.config.history_size, two.config.history_size, two.config.temperature) == (50, 2, 0.5)
    assert client.chat.get_chat_history() == []
    assert emulator.requests.count("token") == 1
    assert len({request.connection for request in emulator.requests.where(path=CHAT_PATH)}) == 1


def test_a_conversation_may_begin_with_a_history(client: AnimusClient, emulator: Emulator) -> None:
    earlier = client.conversation(history=[user("a"), assistant("b")])
    later = client.conversation(history=earlier.history)
    later.send("c")
    assert texts(wire(emulator)) == ["a", "b", "c"]
    assert texts(earlier.get_chat_history()) == ["a", "b"]
    with pytest.raises(ValueError, match=r"history\[0\]"):
        client.conversation(history=[{"role": "robot"}])
    with pytest.raises(ConfigurationError, match="conversation has no setting 'temprature'"):
        client.conversation(temprature=1)


def test_forgotten_conversations_are_freed(client: AnimusClient) -> None:
    conversation = client.conversation()
    conversation.send("Hello")
    gone = weakref.ref(conversation)
    del conversation
    gc.collect()
    assert gone() is None


def test_without_chat_settings_there_is_no_conversation() -> None:
    with AnimusClient(URL) as client, pytest.raises(ConfigurationError, match="there is no chat configuration"):
        client.conversation()


# ---- changing settings ---------------------------------------------------------------------------------


def test_the_chat_configuration_can_be_changed(client: AnimusClient, emulator: Emulator) -> None:
    given = {"temperature": 0.5, "history_size": 2}
    assert client.update_chat_config(given) == client.chat.config
    client.chat.set_chat_history([user("a"), assistant("b")])
    client.update_chat_config({"temperature": None, "model": "other"})
    client.chat.send("Hello")
    assert bodies(emulator)[0]["model"] == "other"
    assert "temperature" not in bodies(emulator)[0]
    assert given == {"temperature": 0.5, "history_size": 2}


@pytest.mark.parametrize(
    "changes", [{"model": ""}, {"system_message": None}, {"auto_turn": {"max_turns": 0}}, {"historySize": 3}, {"n": 0}, "x"]
)
def test_a_refused_change_changes_nothing(client: AnimusClient, changes: Any) -> None:
    before = client.chat.config
    with pytest.raises(ConfigurationError):
        client.update_chat_config(changes)
    assert client.chat.config is before


def test_an_incomplete_first_configuration_is_refused() -> None:
    with AnimusClient(URL) as client:
        with pytest.raises(ConfigurationError, match="chat lacks system_message"):
            client.update_chat_config({"model": "m"})
        with pytest.raises(ConfigurationError, match="there is no chat configuration"):
            client.update_compliance_config(enabled=True)
        client.update_chat_config(CHAT)
        assert client.update_compliance_config(enabled=False).compliance is False


def test_the_compliance_configuration(client: AnimusClient, emulator: Emulator) -> None:
    options: dict[str, Any] = {"enabled": False}
    client.update_compliance_config(options)
    client.chat.send("Hello")
    client.update_compliance_config(enabled=True)
    client.chat.send("Hello")
    assert [body["compliance"] for body in bodies(emulator)] == [False, True]
    assert options == {"enabled": False}
    for bad in ({}, {"enabled": 1}, {"enabled": True, "x": 1}, {"enable": True}, None, True):
        with pytest.raises(ConfigurationError, match="the compliance configuration is"):
            client.update_compliance_config(bad)  # type: ignore[arg-type]
    assert client.chat.config.compliance is True


# ---- events --------------------------------------------------------------------------------------------


def test_listening(client: AnimusClient) -> None:
    heard: list[str] = []
    client.on("messageComplete", lambda event: heard.append("on"))
    client.once("messageComplete", lambda event: heard.append("once"))
    client.chat.send("Hello")
    client.chat.send("Hello")
    assert heard == ["on", "once", "on"]
    assert client.off("message_complete") == 1
    client.chat.send("Hello")
    assert len(heard) == 3


def test_events_that_never_came_are_refused(client: AnimusClient) -> None:
    for act in (client.on, client.once, client.off, client.chat.on):
        with pytest.raises(ValueError, match="listen to turns_complete"):
            act("conversationalTurnsComplete", print)


def test_what_is_told_about_tokens_and_requests(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client, "token_refreshed", "token_cleared", "token_refresh_failed", "request_start", "request_complete", "request_retry")
    client.chat.send("Hello", stream=False)
    client.clear_auth_token()
    emulator.arm(path=CHAT_PATH, status=503, headers={"Retry-After": "0"})
    client.chat.send("Hello", stream=False)
    assert heard.names == [
        *["token_refreshed", "request_start", "request_complete"],
        "token_cleared",
        *["token_refreshed", "request_start", "request_complete", "request_retry", "request_start", "request_complete"],
    ]
    assert [event.status for event in heard.named("request_complete")] == [200, 503, 200]
    assert [event.attempt for event in heard.named("request_start")] == [1, 1, 2]
    assert heard.named("request_retry")[0].wait == 0
    assert {event.path for event in heard.named("request_start")} == {"/v3/chat/completions"}


def test_the_sender_of_all_signals_is_the_client(client: AnimusClient, emulator: Emulator) -> None:
    heard: list[tuple[Any, str]] = []

    def receiver(sender: Any, event: Any) -> None:
        heard.append((sender, event.chat_id))

    def nobody(sender: Any, event: Any) -> None:
        raise AssertionError("that client said nothing")

    bob = client.for_identity("bob")
    speakers = [client.chat, client.conversation(), client.with_options(timeouts=30).chat, client.with_options().conversation()]
    with events.message_complete.connected_to(receiver, sender=client), events.message_complete.connected_to(nobody, sender=bob):
        for conversation in speakers:
            conversation.send("Hello")
    assert heard == [(client, conversation.chat_id) for conversation in speakers]
    with events.message_complete.connected_to(receiver, sender=bob):
        bob.chat.send("Hello")
    assert heard[-1] == (bob, bob.chat.chat_id)


# ---- other identities ----------------------------------------------------------------------------------


@pytest.fixture
def two_users(emulator: Emulator) -> Emulator:
    emulator.require_user = {"X-User": {"key-of-ada": "ada", "key-of-bob": "bob"}}
    return emulator


def source_of(emulator: Emulator, name: str) -> UrlTokenSource:
    return UrlTokenSource(emulator.token_url, headers={"X-User": f"key-of-{name}"})


@pytest.mark.parametrize("store", [None, MemoryTokenStore])
def test_two_users_never_share_a_token(two_users: Emulator, store: Any) -> None:
    emulator = two_users
    emulator.token_lifetime = 300
    shared = None if store is None else store()
    with AnimusClient(
        source_of(emulator, "ada"),
        api_base_url=emulator.api_base_url,
        chat={**CHAT, "history_size": 400},
        token_store=shared,
        identity="ada",
    ) as ada:
        bob = ada.for_identity("bob", token_source=source_of(emulator, "bob"))
        heard = {name: Heard(who, "message_complete") for name, who in (("ada", ada), ("bob", bob))}
        start = threading.Barrier(8)
        failed: list[BaseException] = []

        def talk(number: int) -> None:
            name, who = (("ada", ada), ("bob", bob))[number % 2]
            start.wait()
            try:
                for turn in range(6):
                    if turn == 3:
                        who.clear_auth_token()
                    if turn == 4:
                        emulator.revoke_tokens(name)
                    with contextlib.suppress(UnauthorizedError):  # revoked again while it was renewed
                        who.chat.completions([user(f"I am {name}")])
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        calls = [request for request in emulator.requests.where(path=CHAT_PATH) if request.status == 200]
        assert failed == []
        assert len(calls) >= 30
        for request in emulator.requests.where(path=CHAT_PATH):
            assert {m["content"] for m in request.json["messages"] if m["role"] == "user"} == {f"I am {request.user}"}
        for who, name in ((ada, "ada"), (bob, "bob")):
            assert {m["content"] for m in who.chat.get_chat_history() if m["role"] == "user"} == {f"I am {name}"}
            assert {event.chat_id for event in heard[name].events} == {who.chat.chat_id}


def test_the_same_source_is_told_the_identity(emulator: Emulator) -> None:
    asked: list[str | None] = []

    def source(request: TokenRequest) -> str:
        asked.append(request.identity)
        return emulator.issue_token(request.identity or "nobody")

    with AnimusClient(source, api_base_url=emulator.api_base_url, chat=CHAT) as root:
        clients = {"nobody": root, **{name: root.for_identity(name) for name in ("ada", "bob")}}
        for name, who in clients.items():
            who.chat.send("Hello")
            assert emulator.requests.last("api").user == name
        clients["ada"].clear_auth_token()
        for name in ("bob", "nobody", "ada"):
            clients[name].chat.send("Hello")
            assert emulator.requests.last("api").user == name
    assert asked == [None, "ada", "bob", "ada"]


def test_another_identity_has_nothing_of_the_first_but_connections(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.set_chat_history([user("secret of ada")])
    client.session.cookies.set("session", "ada")
    hers = Heard(client)
    bob = client.for_identity("bob")
    his = Heard(bob)
    bob.chat.send("Hello")
    assert texts(wire(emulator)) == ["Hello"]
    assert emulator.requests.last("api").cookies == {}
    assert (hers.events, bool(his.events)) == ([], True)
    assert texts(client.chat.get_chat_history()) == ["secret of ada"]
    assert bob.chat.config == client.chat.config
    client.chat.send("Hello")
    assert emulator.requests.last("api").cookies == {"session": "ada"}
    assert len({request.connection for request in emulator.requests.where(path=CHAT_PATH)}) == 1
    bob.update_chat_config({"model": "other"})
    assert client.chat.config.model == "vivian"


@pytest.mark.parametrize("identity", ["", "  ", None, 5])
def test_an_identity_needs_a_name(client: AnimusClient, identity: Any) -> None:
    with pytest.raises(ConfigurationError, match="identity must be a non-blank string"):
        client.for_identity(identity)


def test_an_identity_leaves_the_connections_open(client: AnimusClient) -> None:
    with client.for_identity("bob") as bob:
        bob.chat.send("Hello")
    client.chat.send("Hello")
    again = client.for_identity("bob")
    assert again.chat.send("Hello").text


def test_clock_and_chance_are_those_of_the_client(emulator: Emulator) -> None:
    clock, chance = ManualClock(), random.Random(5)
    emulator.api_key = "opaque-token"
    emulator.script([{"content": None, "turns": ["a", "b"], "times": None}])
    with AnimusClient(
        lambda: "opaque-token",
        api_base_url=emulator.api_base_url,
        chat={**CHAT, "auto_turn": True, "history_size": 5},
        clock=clock,
        random=chance,
    ) as client:
        for view in (client, client.for_identity("bob"), client.with_options(timeouts=500), client.with_options().for_identity("eve")):
            for conversation in (view.chat, view.conversation()):
                clock.waits.clear()
                state = chance.getstate()
                conversation.send("Hello")
                assert len(clock.waits) == 1, "it waits by this clock"
                assert chance.getstate() != state, "and draws from this chance"
                assert conversation.get_chat_history()[0]["timestamp"].startswith("2023-11-1")


# ---- views ---------------------------------------------------------------------------------------------


def test_a_view_has_other_settings_and_the_same_rest(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client, "message_complete")
    view = client.with_options(timeouts={"read": 5}, retry=0, chat={"temperature": 0.5})
    assert (view.session.timeouts.read, view.session.timeouts.connect, view.session.retry.repeats) == (5, 10, 0)
    assert client.session.timeouts.read == 120
    client.chat.send("one")
    view.chat.send("two")
    assert texts(wire(emulator))[0::2] == ["one", "two"]
    assert [body.get("temperature") for body in bodies(emulator)] == [None, 0.5]
    assert len(heard.events) == 2
    assert len({event.chat_id for event in heard.events}) == 1
    assert emulator.requests.count("token") == 1
    also = Heard(view, "message_complete")
    client.chat.send("three")
    assert len(also.events) == 1, "receivers of the view are the client's"
    view.clear_auth_token()
    client.chat.send("four")
    assert emulator.requests.count("token") == 2, "and so is the token"
    emulator.arm(path=CHAT_PATH, status=429)
    with pytest.raises(RateLimitError):
        view.chat.send("five")
    view.close()
    client.chat.send("six")


def test_a_view_refuses_what_the_client_refuses(client: AnimusClient) -> None:
    for options in ({"timeouts": "x"}, {"retry": -1}, {"chat": {"model": ""}}):
        with pytest.raises(ConfigurationError):
            client.with_options(**options)


# ---- the session ---------------------------------------------------------------------------------------


def test_the_session_is_a_real_one(client: AnimusClient, emulator: Emulator) -> None:
    assert isinstance(client.session, requests.Session)
    response = post(client)
    assert isinstance(response, requests.Response)
    assert response.json()["choices"]
    assert client.session.get(f"{emulator.url}/").status_code == 200


class Counting(requests.adapters.HTTPAdapter):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        self.count += 1
        return super().send(*args, **kwargs)

    __attrs__ = [*requests.adapters.HTTPAdapter.__attrs__, "count"]


def test_a_session_is_taken_over(emulator: Emulator) -> None:
    seen: list[int] = []
    theirs = requests.Session()
    adapter = Counting()
    theirs.mount(emulator.url, adapter)
    theirs.headers.update({"X-Team": "blue", "Authorization": "Basic canary"})
    theirs.hooks["response"].append(lambda response, *args, **kwargs: seen.append(response.status_code))
    theirs.cookies.set("flavour", "oat")
    theirs.verify = False
    before = (dict(theirs.headers), list(theirs.hooks["response"]), theirs.auth, dict(theirs.adapters))
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=CHAT, session=theirs) as client:
        client.chat.send("Hello")
        request = emulator.requests.last("api")
        assert (request.headers["X-Team"], request.cookies, request.credential) == ("blue", {"flavour": "oat"}, "jwt")
        assert (seen, adapter.count, client.session.verify) == ([200], 1, False)
        client.session.headers["X-Team"] = "red"
        client.session.hooks["response"].clear()
    assert (dict(theirs.headers), list(theirs.hooks["response"]), theirs.auth, dict(theirs.adapters)) == before
    theirs.close()


# ---- travelling and showing ----------------------------------------------------------------------------


def test_a_client_shows_where_it_asks_and_no_secret(emulator: Emulator) -> None:
    url = f"https://user:{CANARY}@api.example/v3"
    with AnimusClient(StaticTokenSource(CANARY), api_base_url=url) as client:
        assert repr(client) == "<AnimusClient for https://api.example/v3>"
        for part in (client, client.session, client.token_source, client.chat, client.session.auth, client.media):
            assert CANARY not in f"{part!r} {part}"


def token_of_the_environment() -> str:
    return os.environ.get("PICKLED_TOKEN", "")


@pytest.mark.parametrize("how", [lambda client: pickle.loads(pickle.dumps(client)), copy.copy, copy.deepcopy])
def test_a_copy_has_settings_and_source_but_no_token(emulator: Emulator, how: Callable[[AnimusClient], AnimusClient]) -> None:
    with AnimusClient(
        emulator.token_url,
        chat={**CHAT, "history_size": 5},
        vision={"model": "v"},
        api_base_url=emulator.api_base_url,
        rest_base_url=f"{emulator.url}/v1",
        timeouts={"read": 5},
        retry=7,
        identity="ada",
        strict_receivers=True,
    ) as client:
        client.session.headers["X-Team"] = "blue"
        client.session.mount(f"{emulator.url}/v3", Counting())
        client.chat.send("Hello")
        token = str(client._manager.token().value)
        client.on("message_start", pytest.fail)
        with how(client) as other:
            assert other.chat.config == client.chat.config
            assert (other.api_base_url, other.rest_base_url) == (client.api_base_url, client.rest_base_url)
            assert (other.session.timeouts, other.session.retry) == (client.session.timeouts, client.session.retry)
            assert other._identity == "ada"
            assert other.session.headers["X-Team"] == "blue"
            assert len(other.chat.history) == 0
            other.chat.send("Hello again")
            assert isinstance(other.session.get_adapter(f"{emulator.url}/v3"), Counting)
        assert emulator.requests.count("token") == 2
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        pickled = pickle.dumps(client, protocol)
        assert token.encode() not in pickled
        assert token.rpartition(".")[2].encode() not in pickled


_WAYS = {"pickle": lambda client: pickle.loads(pickle.dumps(client)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("way", _WAYS)
def test_what_was_done_to_the_session_travels(way: str) -> None:
    with AnimusClient(token_of_the_environment) as client:
        session = client.session
        session.stream = True
        session.mount("https://a.example", requests.adapters.HTTPAdapter(pool_maxsize=3))
        session.mount("https://b.example", AnimusAdapter(pool_size=4))
        with _WAYS[way](client) as other:
            assert other.session.stream is True
            assert [*other.session.adapters] == [*session.adapters]
            for url, size in (("https://a.example", 3), ("https://b.example", 4), ("https://c.example", 100)):
                adapter = other.session.get_adapter(url)
                assert (type(adapter), adapter._pool_maxsize) == (type(session.get_adapter(url)), size)
                assert adapter is not session.get_adapter(url)


class Closable(MemoryTokenStore):
    """A store that has something to close, as that in Redis."""

    closed = False

    def close(self) -> None:
        self.closed = True

    def __reduce__(self) -> Any:
        return (Closable, ())


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("given", ["text", "object"])
def test_who_closes_the_store(monkeypatch: pytest.MonkeyPatch, given: str, way: str) -> None:
    made = Closable()
    monkeypatch.setattr(animus.client, "as_token_store", lambda store, clock: made if store == "redis://…" else store)
    client = AnimusClient(token_of_the_environment, identity="ada", token_store="redis://…" if given == "text" else made)
    other = _WAYS[way](_WAYS[way](client))
    theirs: Any = other._token_store
    assert (theirs is made) == (way != "pickle")
    other.close()
    assert theirs.closed == (given == "text" and way == "pickle")
    client.close()
    assert made.closed == (given == "text")


def test_secrets_of_the_session_do_not_travel() -> None:
    with AnimusClient(token_of_the_environment) as client:
        client.session.headers["X-Api-Key"] = CANARY
        with pytest.raises(TypeError, match="X-Api-Key"):
            pickle.dumps(client)
        with copy.copy(client) as other:
            assert other.session.headers["X-Api-Key"] == CANARY


def test_a_changed_configuration_travels(emulator: Emulator) -> None:
    with AnimusClient(emulator.token_url, chat=CHAT, api_base_url=emulator.api_base_url) as client:
        client.update_chat_config({"model": "other"})
        with pickle.loads(pickle.dumps(client)) as other:
            assert other.chat.config.model == "other"


def test_a_literal_secret_does_not_travel() -> None:
    with AnimusClient(StaticTokenSource(CANARY)) as client, pytest.raises(TypeError, match="EnvironmentTokenSource"):
        pickle.dumps(client)


def ask_in_a_child(client: AnimusClient, answers: Any) -> None:
    with client:
        answers.put(client.chat.send("Hello from a child").text)


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_client_works_in_a_child(client: AnimusClient, emulator: Emulator, method: str) -> None:
    client.chat.send("Hello")
    context: Any = multiprocessing.get_context(method)
    answers = context.Queue()
    child = context.Process(target=ask_in_a_child, args=(client, answers))
    child.start()
    assert answers.get(timeout=30)
    child.join(30)
    assert child.exitcode == 0
    assert client.chat.send("Hello").text
    connections = {request.connection for request in emulator.requests.where(path=CHAT_PATH)}
    assert len(connections) == 2


# ---- closing -------------------------------------------------------------------------------------------


def test_closing_twice_is_closing_once(client: AnimusClient) -> None:
    client.chat.send("Hello")
    client.close()
    client.close()


def test_a_client_that_was_never_used_can_be_closed() -> None:
    AnimusClient(URL, chat=CHAT).close()


def test_leaving_the_context_closes(emulator: Emulator) -> None:
    before = set(threading.enumerate())
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=CHAT, timeouts={"deadline": 30}) as client:
        client.chat.send("Hello")
        client.chat.submit("Hello").result(10)
    for thread in set(threading.enumerate()) - before:
        if not thread.name.startswith("animus-emulator"):
            thread.join(10)
            assert not thread.is_alive(), thread


def test_a_client_is_freed(emulator: Emulator) -> None:
    client = AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat={**CHAT, "history_size": 5})
    client.chat.send("Hello")
    list(client.chat.stream("Hello"))
    client.close()
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None


def test_images_are_data_of_the_client(client: AnimusClient, tmp_path: Path) -> None:
    image = client.generate_image("a cat")
    assert image.save(tmp_path / "cat.png").read_bytes() == image.fetch()
    assert texts(client.chat.get_chat_history()) == ["<image description='a cat' />"]
