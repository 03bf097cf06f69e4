"""What cuts an exchange, from where, and what is left of it."""

from __future__ import annotations

import json
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from animus import AnimusClient, Reply
from animus.emulator import Emulator
from animus.testing import ManualClock
from tests.servers import Answer, HttpServer, Received
from tests.wired import CHAT_PATH, IMAGE_PATH, ClientMaker, Heard, bodies, texts, wire

TURNS = {"content": None, "turns": ["a", "b", "c"], "when": {"contains": "turns"}, "times": None}
MORE = {"content": "First.", "next": True, "when": {"contains": "more"}, "times": None}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(auto_advance=False)


@pytest.fixture
def client(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> AnimusClient:
    emulator.api_key = "opaque-token"
    emulator.script([TURNS])
    return make_client(
        retry=0, clock=clock, token_source=lambda: "opaque-token", chat={"history_size": 30, "auto_turn": {"min_delay": 5, "max_delay": 5}}
    )


@pytest.fixture
def heard(client: AnimusClient) -> Heard:
    return Heard(client)


def begun(client: AnimusClient, clock: ManualClock, text: str = "turns") -> Future[Reply]:
    """Begin an exchange; give it back when it waits to say its second turn, or for its follow-up."""
    future = client.chat.submit(text)
    clock.wait_until_blocked()
    return future


CUTS: dict[str, Callable[[AnimusClient], object]] = {
    "cancel_pending_turns": lambda client: client.chat.cancel_pending_turns(),
    "send": lambda client: client.chat.send("plain", auto_turn=False),
    "submit": lambda client: client.chat.submit("plain", auto_turn=False).result(10),
    "stream": lambda client: list(client.chat.stream("plain", auto_turn=False)),
    "clear_chat_history": lambda client: client.chat.clear_chat_history(),
    "close": lambda client: client.close(),
}


@pytest.mark.parametrize("cut", CUTS)
def test_pending_turns_are_cut_at_once(client: AnimusClient, heard: Heard, clock: ManualClock, cut: str) -> None:
    future = begun(client, clock)
    done = CUTS[cut](client)
    reply = future.result(10)
    assert (reply.cancelled, reply.messages, reply.text) == (True, ("a",), "a")
    [event] = heard.named("exchange_cancelled")
    assert (event.pending_turns, event.follow_up, event.conversation_id) == (2, False, reply.conversation_id)
    assert "turns_complete" not in heard.names
    assert {"b", "c"}.isdisjoint(texts(client.chat.get_chat_history()))
    if cut == "cancel_pending_turns":
        assert done == 2
        assert client.chat.cancel_pending_turns() == 0
    if cut == "clear_chat_history":
        assert (done, client.chat.get_chat_history()) == (2, [])
    assert clock.blocked == 0


@pytest.mark.parametrize("cut", CUTS)
def test_a_pending_follow_up_is_cut_at_once(client: AnimusClient, emulator: Emulator, heard: Heard, clock: ManualClock, cut: str) -> None:
    emulator.script([MORE])
    future = begun(client, clock, "more")
    CUTS[cut](client)
    assert future.result(10).cancelled
    [event] = heard.named("exchange_cancelled")
    assert (event.pending_turns, event.follow_up) == (0, True)
    assert emulator.requests.count(path=CHAT_PATH) == 1 + (cut in ("send", "submit", "stream"))


@pytest.mark.parametrize("cut", CUTS)
def test_a_follow_up_under_way_is_awaited_by_nobody(
    client: AnimusClient, emulator: Emulator, heard: Heard, clock: ManualClock, cut: str
) -> None:
    emulator.script([{**MORE, "times": 1}])
    future = begun(client, clock, "more")
    emulator.arm(path=CHAT_PATH, stall_after=0)
    clock.advance(2)
    emulator.requests.wait_for(2, path=CHAT_PATH)
    CUTS[cut](client)
    reply = future.result(10)
    assert (reply.cancelled, reply.messages, reply.errors) == (True, ("First.",), ())
    assert [event.follow_up for event in heard.named("exchange_cancelled")] == [True]
    assert "message_error" not in heard.names
    assert sum(event.message_type == "followup" for event in heard.named("message_complete")) == 0


def test_what_is_left_goes_to_the_model_as_it_was_said(client: AnimusClient, emulator: Emulator, heard: Heard, clock: ManualClock) -> None:
    future = begun(client, clock)
    clock.advance(5)
    heard.wait_for("message_complete", 2)
    client.chat.send("Next", auto_turn=False)
    assert texts(wire(emulator)) == ["turns", "a b", "Next"]
    assert future.result(10).messages == ("a", "b")


def test_the_next_answer_is_said_as_usual(client: AnimusClient, clock: ManualClock) -> None:
    begun(client, clock)
    client.chat.cancel_pending_turns()
    assert client.chat.send("turns", pace=False).messages == ("a", "b", "c")


def test_completions_cuts_nothing(client: AnimusClient, heard: Heard, clock: ManualClock) -> None:
    future = begun(client, clock)
    client.chat.completions([{"role": "user", "content": "plain"}])
    assert (heard.named("exchange_cancelled"), future.done()) == ([], False)
    client.chat.cancel_pending_turns()
    assert future.result(10).cancelled


def test_another_conversation_cuts_nothing(client: AnimusClient, heard: Heard, clock: ManualClock) -> None:
    future = begun(client, clock)
    other = client.conversation()
    other.send("plain", auto_turn=False)
    assert other.cancel_pending_turns() == 0
    assert (heard.named("exchange_cancelled"), future.done()) == ([], False)
    assert client.chat.cancel_pending_turns() == 2


def test_a_first_call_is_not_cut_but_by_closing(client: AnimusClient, emulator: Emulator, heard: Heard) -> None:
    emulator.arm(path=CHAT_PATH, stall_after=0, times=2)
    conversation = client.conversation(auto_turn=False)
    futures = [client.chat.submit("one"), conversation.submit("two")]
    emulator.requests.wait_for(2, path=CHAT_PATH)
    assert client.chat.cancel_pending_turns() == 0
    assert heard.named("exchange_cancelled") == []
    client.close()
    replies = [future.result(10) for future in futures]
    assert [(reply.cancelled, reply.text) for reply in replies] == [(True, "")] * 2
    assert len(heard.named("exchange_cancelled")) == 2
    assert "message_error" not in heard.names
    assert client.chat.get_chat_history() == conversation.get_chat_history() == []


def test_closing_during_a_stream(client: AnimusClient, emulator: Emulator, heard: Heard) -> None:
    emulator.arm(path=CHAT_PATH, stall_after=3)
    future = client.chat.submit("one", stream=True)
    heard.wait_for("message_tokens")
    client.close()
    assert (future.result(10).cancelled, client.chat.get_chat_history()) == (True, [])
    assert "message_error" not in heard.names


def test_closing_during_an_image(client: AnimusClient, emulator: Emulator, heard: Heard) -> None:
    emulator.script([{"content": "Here.", "image_prompt": "a cat"}])
    emulator.arm(path=IMAGE_PATH, stall_after=0)
    future = client.chat.submit("draw", check_image_generation=True)
    emulator.requests.wait_for(1, path=IMAGE_PATH)
    client.close()
    reply = future.result(10)
    assert (reply.text, reply.images, len(reply.errors)) == ("Here.", (), 1)
    assert texts(client.chat.get_chat_history()) == ["draw", "Here."]


def test_closing_during_a_repetition(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    client = make_client(clock=clock, retry={"base": 50}, token_source=lambda: "opaque-token")
    emulator.arm(path=CHAT_PATH, status=503, headers={"Retry-After": "30"})
    future = client.chat.submit("one")
    clock.wait_until_blocked()
    client.close()
    assert future.result(10).cancelled


def test_a_second_exchange_leaves_the_request_of_the_first_alone(make_client: ClientMaker) -> None:
    came, go_on = threading.Event(), threading.Event()

    def reply(request: Received) -> Answer:
        said = "slow" if b"slow" in request.body else "quick"
        if said == "slow":
            came.set()
            assert go_on.wait(20)
        choice = {"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        return Answer(headers={"Content-Type": "application/json"}, body=json.dumps({"choices": [choice]}).encode())

    with HttpServer(reply) as server:
        client = make_client(lambda: "opaque-token", api_base_url=f"{server.url}/v3", chat={"history_size": 30, "stream": False})
        heard = Heard(client)
        first = client.chat.submit("slow", auto_turn=False)
        assert came.wait(20)
        second = client.chat.send("quick", auto_turn=False)
        go_on.set()
        assert (first.result(20).text, second.text) == ("slow", "quick")
        assert texts(client.chat.get_chat_history()) == ["quick", "quick", "slow", "slow"]
        assert len({event.conversation_id for event in heard.events}) == 2
        client.close()


# ---- from inside a receiver ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nth", "said", "pending"),
    [
        ("message_start", 1, [], 3),
        ("message_start", 2, ["a"], 2),
        ("message_complete", 0, ["a"], 2),
        ("message_complete", 1, ["a", "b"], 1),
    ],
)
def test_a_receiver_may_cut_its_own_exchange(
    make_client: ClientMaker, emulator: Emulator, name: str, nth: int, said: list[str], pending: int
) -> None:
    client = make_client(chat={"history_size": 9, "auto_turn": True})
    heard = Heard(client)
    emulator.script([TURNS])
    cancelled: list[int] = []

    def cut(event: Any) -> None:
        if len(heard.named(name)) == nth + 1:
            cancelled.append(client.chat.cancel_pending_turns())

    client.on(name, cut)
    reply = client.chat.send("turns", pace=False)
    assert (reply.cancelled, list(reply.messages), cancelled) == (True, said, [pending])
    assert texts(client.chat.get_chat_history()) == (["turns", *said] if said else [])


@pytest.mark.parametrize(("name", "turns"), [("message_complete", False), ("turns_complete", True)])
def test_a_receiver_may_cut_the_follow_up(make_client: ClientMaker, emulator: Emulator, name: str, turns: bool) -> None:
    client = make_client(chat={"history_size": 9, "auto_turn": {"follow_up_delay": 0, "enabled": turns}})
    emulator.script([{"content": "a b", "turns": ["a", "b"], "next": True}])
    heard = Heard(client, "exchange_cancelled")
    client.on(name, lambda event: client.chat.cancel_pending_turns())
    assert client.chat.send("Hello", pace=False).cancelled
    assert [(event.pending_turns, event.follow_up) for event in heard.events] == [(0, True)]
    assert emulator.requests.count(path=CHAT_PATH) == 1


def test_a_new_exchange_inside_the_loop_cuts_the_follow_up(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 9, "auto_turn": {"follow_up_delay": 0, "enabled": False}})
    emulator.script([{"content": "one", "next": True}, "two"])
    names = []
    for event in client.chat.stream("a"):
        names.append(event.name)
        if event.name == "message_complete":
            assert client.chat.send("b").text == "two"
    assert names[-1] == "exchange_cancelled"
    assert emulator.requests.count(path=CHAT_PATH) == 2
    assert texts(client.chat.get_chat_history()) == ["a", "one", "b", "two"]


# ---- a changed configuration ---------------------------------------------------------------------------


def test_a_running_exchange_keeps_its_configuration(client: AnimusClient, emulator: Emulator, heard: Heard, clock: ManualClock) -> None:
    emulator.script([{**MORE, "times": 1}, {"content": None, "turns": ["d", "e"], "when": {"contains": "more"}}])
    future = begun(client, clock, "more")
    client.update_chat_config({"model": "other", "system_message": "Be rude.", "auto_turn": False, "temperature": 0.1})
    clock.advance(2)
    heard.wait_for("message_complete", 2)
    second = bodies(emulator)[1]
    assert (second["model"], second["messages"][0]["content"], second["autoTurn"]) == ("vivian", "Be kind.", True)
    assert "temperature" not in second
    assert client.chat.cancel_pending_turns() == 1
    assert future.result(10).messages == ("First.", "d")
    client.chat.send("Next")
    assert bodies(emulator)[2]["model"] == "other"


def test_a_shrunk_history_keeps_the_newest(client: AnimusClient, heard: Heard, clock: ManualClock) -> None:
    future = begun(client, clock)
    client.update_chat_config({"history_size": 1})
    assert texts(client.chat.get_chat_history()) == ["a"]
    clock.advance(5)
    heard.wait_for("message_start", 4)
    assert texts(client.chat.get_chat_history()) == ["b"]
    clock.auto_advance = True  # in case the wait has not yet begun
    clock.advance(5)
    assert future.result(10).messages == ("a", "b", "c")
    assert texts(client.chat.get_chat_history()) == ["c"]


# ---- processes and threads -----------------------------------------------------------------------------


def talk_in_a_child(client: AnimusClient, answers: Any) -> None:
    cut = client.chat.cancel_pending_turns()
    answers.put((cut, texts(client.chat.get_chat_history()), client.chat.send("plain", auto_turn=False).text))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="Windows cannot fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_has_the_history_and_no_exchange(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    emulator.script([{"content": "from the child", "when": {"contains": "plain"}}])
    future = begun(client, clock)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=talk_in_a_child, args=(client, answers))
    child.start()
    assert answers.get(timeout=30) == (0, ["turns", "a"], "from the child")
    child.join(30)
    assert (child.exitcode, future.done()) == (0, False)
    assert client.chat.cancel_pending_turns() == 2
    assert texts(client.chat.get_chat_history()) == ["turns", "a"]


def test_a_machine_without_threads(client: AnimusClient, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client.chat.send("plain", auto_turn=False)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            client.chat.submit("plain")
    assert client.chat._running == []
    assert heard.named("exchange_cancelled") == []
