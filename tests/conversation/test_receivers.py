"""Receivers inside an exchange: those that raise, and those that use the client."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from animus import AnimusClient
from animus.emulator import Emulator
from animus.testing import ManualClock
from tests.wired import CHAT_PATH, ClientMaker, Heard, texts, user

TURNS = {"content": None, "turns": ["a", "b"], "next": True}


class Broken(Exception):
    pass


def breaks(event: Any) -> None:
    raise Broken(f"at {event.name}")


def client_with(make_client: ClientMaker, emulator: Emulator, **options: Any) -> AnimusClient:
    emulator.api_key = "opaque-token"
    return make_client(retry=0, clock=ManualClock(), token_source=lambda: "opaque-token", chat={"history_size": 20}, **options)


EVENTS = ["message_start", "message_tokens", "message_progress", "message_complete", "turns_complete", "image_generation_start"]
EVENTS += ["image_generation_complete", "request_start", "request_complete"]


@pytest.mark.parametrize("name", EVENTS)
def test_a_receiver_that_raises_changes_nothing(
    make_client: ClientMaker, emulator: Emulator, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    client = client_with(make_client, emulator)
    client.on(name, breaks)
    heard = Heard(client)
    failures = Heard(client, "receiver_failed")
    emulator.script([{"content": "A text of more than twenty characters.", "image_prompt": "a cat"}, TURNS, "End."])
    with caplog.at_level(logging.ERROR, "animus"):
        first = client.chat.send("one", check_image_generation=True)
        second = client.chat.send("two", auto_turn=True)
    assert (len(first.images), second.messages, first.errors, second.errors) == (1, ("a", "b", "End."), (), ())
    assert texts(client.chat.get_chat_history()) == [
        "one",
        "A text of more than twenty characters.",
        "<image description='a cat' />",
        "two",
        "a",
        "b",
        "End.",
    ]
    count = len(heard.named(name)) or len(failures.events)
    assert count > 0
    assert len(failures.events) == count
    for event in failures.events:
        assert (event.receiver, type(event.error), event.event.name) == ("breaks", Broken, name)
    assert len(caplog.records) == count
    assert all(record.exc_info and "breaks" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("stream", [False, True])
def test_strict_receivers_raise_after_the_history_is_safe(make_client: ClientMaker, emulator: Emulator, stream: bool) -> None:
    client = client_with(make_client, emulator, strict_receivers=True)
    emulator.script([{"content": "one", "times": None}])
    others = Heard(client, "message_complete")
    client.on("message_complete", breaks)
    client.on("message_complete", others._hear)
    with pytest.raises(Broken):
        client.chat.send("a", stream=stream)
    with pytest.raises(Broken):
        answer = client.chat.completions([user("b")], stream=stream)
        answer.final()  # type: ignore[union-attr]
    assert texts(client.chat.get_chat_history()) == ["a", "one", "b", "one"]
    assert len(others.events) == 4, "the others are called first"
    client.off("message_complete", breaks)
    assert client.chat.send("c").text == "one"


def test_a_strict_receiver_in_the_middle_of_turns(make_client: ClientMaker, emulator: Emulator) -> None:
    client = client_with(make_client, emulator, strict_receivers=True)
    emulator.script([TURNS, "plain"])
    client.on("message_complete", lambda event: breaks(event) if event.content == "a" else None)
    with pytest.raises(Broken) as caught:
        client.chat.send("Hello", auto_turn=True)
    assert caught.value.partial.messages == ("a",)  # type: ignore[attr-defined]
    assert texts(client.chat.get_chat_history()) == ["Hello", "a"]
    assert client.chat.cancel_pending_turns() == 0
    assert client.chat.send("again").text == "plain"


@pytest.mark.parametrize("method", ["send", "stream", "submit"])
def test_a_strict_receiver_at_the_start(make_client: ClientMaker, emulator: Emulator, method: str) -> None:
    client = client_with(make_client, emulator, strict_receivers=True)
    subscription = client.on("message_start", breaks)
    heard = Heard(client, "exchange_cancelled")
    with pytest.raises(Broken):
        list(getattr(client.chat, method)("Hello"))
    assert emulator.requests.count(path=CHAT_PATH) == 0
    subscription.cancel()
    assert client.chat._running == []
    client.chat.close()
    assert heard.events == []


def test_a_receiver_may_use_the_client(make_client: ClientMaker, emulator: Emulator) -> None:
    client = client_with(make_client, emulator)
    emulator.script([{"content": "one", "when": {"contains": "first"}}, {"content": "two", "times": None}])
    seen: list[Any] = []

    def use(event: Any) -> None:
        if event.content != "one":
            return
        seen.append(texts(client.chat.get_chat_history()))
        client.chat.update_history_message(1, {"content": "ONE"})
        client.update_chat_config({"temperature": 0.5})
        client.clear_auth_token()
        seen.append(client.chat.send("from inside").text)
        seen.append(client.chat.completions([user("and again")], history=False).text)
        seen.append(client.chat.submit("in a thread").result(10).text)
        client.on("message_tokens", seen.append)
        client.off("message_tokens", seen.append)

    client.on("message_complete", use)
    assert client.chat.send("first").text == "one"
    assert seen == [["first", "one"], "two", "two", "two"]
    assert texts(client.chat.get_chat_history()) == ["first", "ONE", "from inside", "two", "in a thread", "two"]


def test_a_receiver_may_wait_for_another_thread_that_uses_the_client(make_client: ClientMaker, emulator: Emulator) -> None:
    """No lock is held while receivers are called: else this hangs."""
    client = client_with(make_client, emulator)
    emulator.script([{"content": "b", "when": {"contains": "elsewhere"}, "times": None}])
    emulator.script([{"content": "a", "next": True, "when": {"contains": "Hello"}}, "c"])
    names = ("message_start", "message_complete")
    done: list[str] = []
    inside: list[bool] = []

    def use_elsewhere(event: Any) -> None:
        if inside:
            return
        inside.append(True)

        def use() -> None:
            client.update_chat_config({"temperature": 0.5})
            client.chat.set_chat_history(client.chat.get_chat_history())
            client.chat.send("from elsewhere", history=False, auto_turn=False)
            client.clear_auth_token()

        thread = threading.Thread(target=use)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        inside.clear()
        done.append(event.name)

    for name in names:
        client.on(name, use_elsewhere)
    client.chat.send("Hello")
    assert set(done) == set(names)


def test_a_conversation_has_receivers_of_its_own(make_client: ClientMaker, emulator: Emulator) -> None:
    client = client_with(make_client, emulator)
    one, two = client.conversation(), client.conversation()
    hear_all, hear_one = Heard(client, "message_complete"), Heard(one, "message_complete")
    emulator.script(["a", "b", "c"])
    for conversation in (one, two, client.chat):
        conversation.send("Hello")
    assert hear_one.contents() == ["a"]
    assert hear_all.contents() == ["a", "b", "c"]
    assert [event.chat_id for event in hear_all.events] == [one.chat_id, two.chat_id, client.chat.chat_id]
    assert len({one.chat_id, two.chat_id, client.chat.chat_id}) == 3


def test_receivers_as_decorators(make_client: ClientMaker, emulator: Emulator) -> None:
    client = client_with(make_client, emulator)
    heard: list[str] = []

    @client.on("messageComplete")
    def show(event: Any) -> None:
        heard.append(event.content)

    @client.chat.on("message_complete")
    def show_too(event: Any) -> None:
        heard.append(event.content.upper())

    emulator.script(["a"])
    client.chat.send("Hello")
    assert heard == ["A", "a"]
    assert show.__name__ == "show"
    assert show_too.__name__ == "show_too"
