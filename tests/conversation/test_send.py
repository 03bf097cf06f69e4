"""Exchanges: ``send()``, ``stream()`` and ``submit()``."""

from __future__ import annotations

import copy
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import animus
from animus import (
    AnimusClient,
    ApiConnectionError,
    ConfigurationError,
    Reply,
    ResponseDecodeError,
    ServerError,
    StreamApiError,
    StreamInterruptedError,
    TokenSourceError,
)
from animus.emulator import Emulator
from animus.testing import ManualClock
from tests.wired import CHAT_PATH, IMAGE_PATH, SYSTEM, ClientMaker, Heard, assistant, bodies, texts, user, wire

USAGE = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client(retry=0, chat={"history_size": 20})


# ---- one answer ----------------------------------------------------------------------------------------


def test_a_streamed_answer(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    emulator.script([{"chunks": ["0123456789"] * 4, "usage": USAGE, "compliance_violations": ["gore"]}])
    reply = client.chat.send("Hello")
    assert bodies(emulator) == [
        {"model": "vivian", "messages": [SYSTEM, user("Hello")], "stream": True, "compliance": True, "autoTurn": False}
    ]
    tokens, progress = "message_tokens", "message_progress"
    assert heard.names == ["message_start", tokens, tokens, progress, tokens, tokens, progress, "message_complete"]
    assert heard.contents(progress) == ["0123456789" * 2, "0123456789" * 4]
    assert [event.is_complete for event in heard.named(progress)] == [False, False]
    belongs = {(e.conversation_id, e.chat_id, e.message_type) for e in heard.events}
    assert belongs == {(reply.conversation_id, client.chat.chat_id, "regular")}
    assert heard.events[0].content == "Hello"
    complete = heard.events[-1]
    assert (complete.content, complete.finish_reason, complete.compliance_violations) == (reply.text, "stop", ("gore",))
    assert reply.text == "0123456789" * 4
    assert (reply.messages, reply.usage, reply.finish_reason) == ((reply.text,), USAGE, "stop")
    assert (reply.compliance_violations, reply.cancelled, reply.errors, reply.images) == (("gore",), False, (), ())
    assert [completion.text for completion in reply.completions] == [reply.text]
    assert str(reply) == reply.text


def test_a_whole_answer(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    emulator.script([{"content": "Hi.", "reasoning": "hm", "tool_calls": [{"name": "f"}]}])
    reply = client.chat.send("Hello", stream=False)
    assert bodies(emulator)[0]["stream"] is False
    assert heard.names == ["message_start", "message_complete"]
    assert (heard.events[1].reasoning, heard.events[1].finish_reason) == ("hm", "tool_calls")
    assert (
        heard.events[1].tool_calls
        == reply.tool_calls
        == ({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}},)
    )
    assert (reply.reasoning, reply.finish_reason) == ("hm", "tool_calls")


@pytest.mark.parametrize(
    ("configured", "call", "streams"),
    [
        ({}, {}, True),
        ({"stream": True}, {}, True),
        ({"stream": False}, {}, False),
        ({"stream": False}, {"stream": True}, True),
        ({"stream": True}, {"stream": False}, False),
        ({"auto_turn": True}, {}, False),
        ({"auto_turn": True, "stream": True}, {}, False),
        ({"auto_turn": True}, {"stream": True}, True),
        ({"auto_turn": True}, {"auto_turn": False}, True),
        ({}, {"auto_turn": True}, False),
        ({}, {"stream": None}, True),
    ],
)
def test_when_an_exchange_streams(make_client: ClientMaker, emulator: Emulator, configured: Any, call: Any, streams: bool) -> None:
    make_client(chat=configured).chat.send("Hello", pace=False, **call)
    assert bodies(emulator)[0]["stream"] is streams


def test_parameters_of_a_call_and_of_the_configuration(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"temperature": 0.5, "reasoning": True})
    client.chat.send("Hello", max_tokens=50, reasoning=None, extra_body={"seed": 1})
    body = bodies(emulator)[0]
    assert (body["temperature"], body["max_tokens"], body["seed"], "reasoning" in body) == (0.5, 50, 1, False)


@pytest.mark.parametrize("method", ["send", "stream", "submit"])
@pytest.mark.parametrize(
    ("arguments", "options", "kind", "said"),
    [
        (("Hello",), {"temprature": 1}, TypeError, "did you mean 'temperature'"),
        (("Hello",), {"messages": []}, TypeError, "messages"),
        (("Hello",), {"temperature": 5}, ConfigurationError, "temperature"),
        (("Hello",), {"pace": "slow"}, ConfigurationError, "pace"),
        (("Hello",), {"history": 1}, ConfigurationError, "history"),
        (("Hello",), {"stream": "no"}, ConfigurationError, "stream"),
        ((5,), {}, ValueError, "the text must be a string or a list of content parts, not a int"),
        ((["x"],), {}, ValueError, r"content\[0\]"),
    ],
)
def test_arguments_are_checked_at_once(
    client: AnimusClient, emulator: Emulator, method: str, arguments: Any, options: Any, kind: type[Exception], said: str
) -> None:
    heard = Heard(client)
    with pytest.raises(kind, match=said):
        getattr(client.chat, method)(*arguments, **options)
    assert (heard.events, len(emulator.requests)) == ([], 0)


def test_without_configuration_nothing_can_be_said(emulator: Emulator) -> None:
    with AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url) as client:
        heard = Heard(client)
        for act in (client.chat.send, client.chat.stream, client.chat.submit, lambda text: client.chat.completions([user(text)])):
            with pytest.raises(ConfigurationError, match="there is no chat configuration"):
                act("Hello")
        assert heard.events == []
        client.update_chat_config({"model": "m", "system_message": "s"})
        assert client.chat.send("Hello").text


def delta(content: str, finish: str | None = None) -> dict[str, Any]:
    return {"json": {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}}


def test_no_event_has_half_a_character(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    emulator.script([{"sse": [delta("a\ud83d"), delta("\ude00"), delta("b\ud83d", "stop"), {"done": True}]}])
    reply = client.chat.send("Hello")
    assert heard.contents("message_tokens") == ["a", "\U0001f600", "b", "\ufffd"]
    assert reply.text == heard.contents()[0] == "a\U0001f600b\ufffd"
    reply.text.encode()


# ---- history -------------------------------------------------------------------------------------------


def test_rounds_are_remembered(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["one", "<think>hm</think>two", "three"])
    for text in "abc":
        client.chat.send(text)
    assert wire(emulator) == [user("a"), assistant("one"), user("b"), assistant("two"), user("c")]
    stored = client.chat.get_chat_history()
    assert texts(stored) == ["a", "one", "b", "two", "c", "three"]
    assert stored[3]["reasoning"] == "hm"
    assert all(message["timestamp"] for message in stored)


def test_the_room_is_for_stored_messages_and_new_ones_come_on_top(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 2})
    emulator.script(["one", "two", "three"])
    for text in "abc":
        client.chat.send(text)
    assert texts(wire(emulator)) == ["b", "two", "c"]
    assert texts(client.chat.get_chat_history()) == ["c", "three"]


def test_history_off(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client()
    client.chat.send("a")
    client.chat.send("b")
    assert texts(wire(emulator)) == ["b"]
    assert client.chat.get_chat_history() == []
    with pytest.raises(ConfigurationError, match="the history is off"):
        client.chat.set_chat_history([])


def test_one_call_without_history(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.set_chat_history([user("a"), assistant("b")])
    client.chat.send("c", history=False)
    assert texts(wire(emulator)) == ["c"]
    client.chat.completions([user("d")], history=False)
    assert texts(wire(emulator)) == ["d"]
    assert texts(client.chat.get_chat_history()) == ["a", "b"]


def test_continue_is_sent_but_not_stored(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.set_chat_history([user("a"), assistant("b")])
    emulator.script(["c", "d", "e"])
    client.chat.send("[CONTINUE]")
    assert texts(wire(emulator)) == ["a", "b", "[CONTINUE]"]
    client.chat.completions([user("[CONTINUE]")])
    assert texts(client.chat.get_chat_history()) == ["a", "b", "c", "d"]


def test_thoughts_alone_are_kept_but_not_sent(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["<think>hm</think>", "b"])
    reply = client.chat.send("a")
    assert (reply.text, reply.reasoning, reply.messages) == ("", "hm", ())
    client.chat.send("c")
    assert texts(wire(emulator)) == ["a", "c"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_failed_call_leaves_the_history_as_it_was(client: AnimusClient, emulator: Emulator, stream: bool) -> None:
    client.chat.set_chat_history([user("a"), assistant("b")])
    before = client.chat.get_chat_history()
    heard = Heard(client, "message_start", "message_error", "message_complete")
    emulator.arm(path=CHAT_PATH, status=500)
    with pytest.raises(ServerError) as caught:
        client.chat.send("c", stream=stream)
    assert caught.value.partial is None
    assert heard.names == ["message_start", "message_error"]
    assert heard.events[1].error is caught.value
    assert heard.events[1].conversation_id == heard.events[0].conversation_id
    assert client.chat.get_chat_history() == before
    client.chat.send("d")
    assert texts(wire(emulator)) == ["a", "b", "d"]


def test_a_failed_token_is_an_error_of_the_exchange(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    emulator.token_status = 403
    with pytest.raises(TokenSourceError):
        client.chat.send("a")
    assert heard.names == ["message_start", "message_error"]


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([], StreamInterruptedError),
        ([{"data": "{broken"}], animus.StreamDecodeError),
        ([{"json": {"error": {"message": "overloaded"}}}], StreamApiError),
    ],
)
def test_a_broken_stream_keeps_what_had_arrived(client: AnimusClient, emulator: Emulator, frames: Any, kind: type[Exception]) -> None:
    heard = Heard(client)
    some = {"choices": [{"index": 0, "delta": {"content": "some text"}, "finish_reason": None}]}
    emulator.script([{"sse": [{"json": some}, *frames]}])
    with pytest.raises(kind) as caught:
        client.chat.send("a")
    assert caught.value.partial.text == "some text"  # type: ignore[attr-defined]
    assert heard.names == ["message_start", "message_tokens", "message_error"]
    assert client.chat.get_chat_history() == []


@pytest.mark.parametrize("answer", [{"json": {"choices": []}}, {"sse": [{"done": True}]}, {"sse": []}, {"status": 204, "body": ""}])
def test_no_answer_is_an_error_not_silence(client: AnimusClient, emulator: Emulator, answer: Any) -> None:
    heard = Heard(client)
    emulator.script([answer])
    with pytest.raises(ResponseDecodeError):
        client.chat.send("a", stream="sse" in answer)
    assert heard.names == ["message_start", "message_error"]


def test_nothing_of_the_callers_is_changed(client: AnimusClient) -> None:
    parts = [MappingProxyType({"type": "text", "text": "look"}), {"type": "image_url", "image_url": {"url": "https://a.example"}}]
    options: dict[str, Any] = {"stop": ["x"], "extra_body": {"a": [1]}, "auto_turn": MappingProxyType({"max_turns": 2}), "stream": False}
    del options["stream"]
    before = copy.deepcopy(([dict(part) for part in parts], {**options, "auto_turn": {"max_turns": 2}}))
    client.chat.send(parts, pace=False, **options)
    assert ([dict(part) for part in parts], {**options, "auto_turn": dict(options["auto_turn"])}) == before


# ---- follow-ups and images -----------------------------------------------------------------------------


@pytest.fixture
def patient(make_client: ClientMaker) -> AnimusClient:
    """A client whose waits take no time."""
    return make_client(retry=0, clock=ManualClock(1_700_000_000.0), chat={"history_size": 20}, token_source=lambda: "opaque-token")


@pytest.fixture(autouse=True)
def opaque_tokens_are_accepted(emulator: Emulator) -> None:
    emulator.api_key = "opaque-token"


def waits(client: AnimusClient) -> list[float | None]:
    clock = client._clock
    assert isinstance(clock, ManualClock)
    return clock.waits


def test_a_follow_up_is_asked_when_the_answer_says_so(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient, "message_start", "message_complete", "message_error")
    emulator.script([{"content": "First.", "next": True, "usage": USAGE}, {"content": "Second.", "reasoning": "hm", "usage": USAGE}])
    reply = patient.chat.send("Hello", max_tokens=500, temperature=0.5, stream=False)
    first, second = bodies(emulator)
    assert second["messages"] == [SYSTEM, user("Hello"), assistant("First.")]
    assert (second["stream"], second["max_tokens"], second["temperature"]) == (False, 150, 0.5)
    assert first["max_tokens"] == 500
    assert [(e.name, e.message_type, e.content) for e in heard.events] == [
        ("message_start", "regular", "Hello"),
        ("message_complete", "regular", "First."),
        ("message_start", "followup", ""),
        ("message_complete", "followup", "Second."),
    ]
    assert heard.events[3].reasoning == "hm"
    assert len({event.conversation_id for event in heard.events}) == 1
    assert waits(patient) == [2.0]
    assert (reply.text, reply.messages) == ("First.\n\nSecond.", ("First.", "Second."))
    assert reply.usage == {name: 2 * count for name, count in USAGE.items()}
    assert [message.reasoning for message in patient.chat.history] == [None, None, "hm"]


def test_a_follow_up_without_history_knows_the_exchange(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(clock=ManualClock(), token_source=lambda: "opaque-token")
    emulator.script([{"content": "First.", "next": True}, {"content": "Second.", "next": True}, "Third."])
    client.chat.send("Hello")
    assert texts(wire(emulator)) == ["Hello", "First.", "Second."]
    assert client.chat.get_chat_history() == []


def test_follow_ups_chain_up_to_their_limit(patient: AnimusClient, emulator: Emulator) -> None:
    for limit in (0, 1, 2, 4):
        emulator.script([{"content": f"{number}.", "next": True} for number in range(limit + 1)])
        patient.update_chat_config({"auto_turn": {"enabled": False, "max_sequential_follow_ups": limit, "follow_up_delay": 7}})
        waits(patient).clear()
        reply = patient.chat.send("Hello")
        assert (len(reply.messages), waits(patient)) == (limit + 1, [7] * limit)
        assert emulator.answers.left == 0


@pytest.mark.parametrize(
    ("cap", "given", "sent"), [(150, None, 150), (150, 500, 150), (150, 20, 20), (None, None, None), (None, 500, 500), (30, None, 30)]
)
def test_the_cap_of_follow_ups(make_client: ClientMaker, emulator: Emulator, cap: Any, given: Any, sent: Any) -> None:
    client = make_client(
        clock=ManualClock(),
        token_source=lambda: "opaque-token",
        chat={"auto_turn": {"enabled": False, "follow_up_max_tokens": cap}, **({} if given is None else {"max_tokens": given})},
    )
    emulator.script([{"content": "a", "next": True}, "b"])
    client.chat.send("Hello")
    assert [body.get("max_tokens") for body in bodies(emulator)] == [given, sent]


def test_a_follow_up_in_turns(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient)
    emulator.script([{"content": None, "turns": ["a", "b"], "next": True}, {"content": None, "turns": ["c", "d"]}])
    reply = patient.chat.send("Hello", auto_turn=True)
    one = ["message_start", "message_complete"]
    assert heard.names == ["message_start", *one, *one, "turns_complete", "message_start", *one, *one, "turns_complete"]
    assert [event.message_type for event in heard.named("message_start")] == ["regular", "auto", "auto", "followup", "auto", "auto"]
    assert (reply.text, reply.messages) == ("a b\n\nc d", ("a", "b", "c", "d"))
    assert texts(wire(emulator)) == ["Hello", "a b"]
    groups = [message.group_id for message in patient.chat.history]
    assert groups[1] == groups[2] != groups[3] == groups[4]


def test_no_follow_up_while_a_tool_call_waits(patient: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"content": "x", "next": True, "tool_calls": [{"name": "f"}]}])
    assert len(patient.chat.send("Hello").tool_calls) == 1
    assert emulator.requests.count(path=CHAT_PATH) == 1


@pytest.mark.parametrize("failure", [{"status": 500, "json": {"detail": "no"}}, {"json": {"choices": []}}])
def test_a_failed_follow_up_is_told_and_kept(patient: AnimusClient, emulator: Emulator, failure: Any) -> None:
    heard = Heard(patient)
    emulator.script([{"content": "First.", "next": True}, failure])
    reply = patient.chat.send("Hello", stream=False)
    assert heard.names == ["message_start", "message_complete", "message_start", "message_error"]
    assert heard.events[3].message_type == "followup"
    [error] = reply.errors
    assert error is heard.events[3].error
    assert (reply.text, reply.cancelled) == ("First.", False)
    assert texts(patient.chat.get_chat_history()) == ["Hello", "First."]


@pytest.mark.parametrize("stream", [False, True])
def test_a_promised_image_is_made(patient: AnimusClient, emulator: Emulator, stream: bool) -> None:
    heard = Heard(patient, "message_complete", "image_generation_start", "image_generation_complete")
    emulator.script([{"content": "Here it is.", "image_prompt": "a cat", "next": True}])
    reply = patient.chat.send("Draw!", check_image_generation=True, stream=stream)
    assert heard.names == ["message_complete", "image_generation_start", "image_generation_complete"]
    assert heard.events[0].image_prompt == "a cat"
    assert {event.conversation_id for event in heard.events} == {reply.conversation_id}
    assert [image.url for image in reply.images] == [heard.events[2].image_url]
    assert emulator.requests.count(path=CHAT_PATH) == 1, "no follow-up comes after an image"
    assert texts(patient.chat.get_chat_history()) == ["Draw!", "Here it is.", "<image description='a cat' />"]
    assert "![image](" in reply._repr_markdown_()


def test_an_image_comes_after_the_turns(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient)
    emulator.script([{"content": None, "turns": ["a", "b"], "image_prompt": "a cat", "next": True}])
    patient.chat.send("Draw!", auto_turn=True, check_image_generation=True)
    assert heard.names[-3:] == ["turns_complete", "image_generation_start", "image_generation_complete"]
    assert {event.total_turns for event in heard.named("message_complete")} == {2}
    assert emulator.requests.count(path=CHAT_PATH) == 1


def test_an_image_is_made_only_when_asked_for(patient: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"content": "x", "image_prompt": "a cat", "times": None}])
    patient.chat.send("Draw!")
    patient.chat.send("Draw!", check_image_generation=False)
    assert emulator.requests.count(path=IMAGE_PATH) == 0
    patient.update_chat_config({"check_image_generation": True})
    patient.chat.send("Draw!")
    assert emulator.requests.count(path=IMAGE_PATH) == 1
    patient.chat.send("Draw!", check_image_generation=False)
    assert emulator.requests.count(path=IMAGE_PATH) == 1


def test_a_failed_image_is_told_and_kept(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient, "image_generation_error", "message_error")
    emulator.script([{"content": "x", "image_prompt": "a cat", "next": True}])
    emulator.arm(path=IMAGE_PATH, status=402)
    reply = patient.chat.send("Draw!", check_image_generation=True)
    [error] = reply.errors
    assert heard.names == ["image_generation_error"]
    assert heard.events[0].error is error
    assert (reply.text, reply.images) == ("x", ())
    assert emulator.requests.count(path=CHAT_PATH) == 1, "nor after one that failed"


def test_an_image_in_a_follow_up(patient: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"content": "a", "next": True}, {"content": "b", "image_prompt": "a cat", "next": True}])
    reply = patient.chat.send("Draw!", check_image_generation=True)
    assert (reply.messages, len(reply.images)) == (("a", "b"), 1)
    assert texts(patient.chat.get_chat_history())[-1] == "<image description='a cat' />"


# ---- stream() ------------------------------------------------------------------------------------------


def test_an_exchange_as_an_iterator(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient)
    emulator.script([{"chunks": ["First", "."], "next": True}, "Second."])
    seen = []
    for event in patient.chat.stream("Hello"):
        seen.append(event)
        assert heard.events == seen, "receivers are told before the loop"
    assert [event.name for event in seen][-1] == "message_complete"
    assert texts(patient.chat.get_chat_history()) == ["Hello", "First.", "Second."]


def test_an_iterator_begins_with_its_first_step(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    events = client.chat.stream("Hello")
    assert (heard.events, len(emulator.requests)) == ([], 0)
    assert next(events).name == "message_start"
    assert len(emulator.requests) == 0
    list(events)


def test_an_error_leaves_the_iterator(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=CHAT_PATH, status=500)
    seen = []
    with pytest.raises(ServerError):
        for event in client.chat.stream("Hello"):
            seen.append(event.name)
    assert seen == ["message_start", "message_error"]


def closed_after(events: Iterator[Any], name: str) -> None:
    for event in events:
        if event.name == name:
            break
    events.close()  # type: ignore[attr-defined]


def test_leaving_a_streaming_answer(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client)
    emulator.script([{"chunks": ["a", "b"] * 20, "chunk_delay": 0.02}])
    closed_after(client.chat.stream("Hello"), "message_tokens")
    assert heard.names == ["message_start", "message_tokens", "exchange_cancelled"]
    emulator.requests.wait_until_idle()
    assert emulator.requests.last("api").aborted
    assert client.chat.get_chat_history() == []
    assert client.chat.cancel_pending_turns() == 0
    assert client.chat.send("again").text


def test_leaving_between_turns(patient: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(patient)
    emulator.script([{"content": None, "turns": ["a", "b", "c"], "next": True}])
    patient.update_chat_config({"auto_turn": {"max_turns": 5}})
    closed_after(patient.chat.stream("Hello"), "message_complete")
    [cut] = heard.named("exchange_cancelled")
    assert (cut.pending_turns, cut.follow_up) == (2, True)
    assert texts(patient.chat.get_chat_history()) == ["Hello", "a"]
    patient.chat.send("Next", auto_turn=False)
    assert texts(wire(emulator)) == ["Hello", "a", "Next"]


def test_leaving_before_the_request(client: AnimusClient, emulator: Emulator) -> None:
    closed_after(client.chat.stream("Hello"), "message_start")
    assert len(emulator.requests) == 0


def test_a_dropped_iterator_is_a_closed_one(client: AnimusClient, emulator: Emulator) -> None:
    heard = Heard(client, "exchange_cancelled")
    for _ in client.chat.stream("Hello"):
        break
    assert len(heard.events) == 1


# ---- submit() ------------------------------------------------------------------------------------------


def test_a_future_of_the_reply(client: AnimusClient) -> None:
    reply = client.chat.submit("Hello").result(10)
    assert isinstance(reply, Reply)
    assert texts(client.chat.get_chat_history()) == ["Hello", reply.text]


def test_the_exchange_has_begun_when_submit_returns(client: AnimusClient, emulator: Emulator) -> None:
    here: list[Any] = []
    client.on("message_start", lambda event: here.append((event.content, threading.current_thread())))
    emulator.script([{"content": "x", "delay": 0.03, "times": None}])
    futures = [client.chat.submit(text) for text in "abc"]
    assert here == [(text, threading.current_thread()) for text in "abc"]
    assert {future.result(10).text for future in futures} == {"x"}
    assert len(client.chat.history) == 6


def test_failures_are_in_the_future(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=CHAT_PATH, status=500)
    future = client.chat.submit("Hello")
    assert isinstance(future.exception(10), ServerError)
    assert client.chat.submit("Hello").result(10).text


def test_workers_are_daemons_and_leave(client: AnimusClient, emulator: Emulator) -> None:
    workers: list[threading.Thread] = []
    client.on("message_complete", lambda event: workers.append(threading.current_thread()))
    client.chat.submit("Hello").result(10)
    [worker] = workers
    assert worker.daemon
    worker.join(10)
    assert not worker.is_alive()


def test_the_exit_of_the_interpreter_waits_for_nobody(emulator: Emulator, tmp_path: Path) -> None:
    emulator.script([{"content": None, "turns": ["a", "b"], "next": True}, {"content": "x", "delay": 60}])
    code = f"""
import threading
from animus import AnimusClient
client = AnimusClient({emulator.token_url!r}, api_base_url={emulator.api_base_url!r},
    chat={{"model": "m", "system_message": "s", "history_size": 9, "auto_turn": {{"min_delay": 50, "max_delay": 50}}}})
client.on("exchange_cancelled", lambda event: print("cut", event.pending_turns))
said = threading.Event()
client.on("message_complete", lambda event: said.set())
client.chat.submit("first")
assert said.wait(20)
other = client.conversation(auto_turn=False)
asked = threading.Event()
other.on("message_start", lambda event: asked.set())
future = other.submit("second")
print("left")
"""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": str(Path(animus.__file__).parent.parent), "HOME": str(tmp_path)},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[0] == "left"
    assert sorted(ran.stdout.splitlines()[1:]) == ["cut 0", "cut 1"]


# ---- Ctrl-C --------------------------------------------------------------------------------------------


class Interrupting(ManualClock):
    """A clock at which somebody presses Ctrl-C during the n-th wait."""

    def __init__(self, wait: int) -> None:
        super().__init__()
        self.left = wait

    def wait(self, event: threading.Event, timeout: float | None) -> bool:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt
        return super().wait(event, timeout)


@pytest.mark.parametrize(("wait", "said"), [(1, ["a"]), (2, ["a", "b"]), (3, ["a", "b", "c"])])
def test_ctrl_c_while_it_types(make_client: ClientMaker, emulator: Emulator, wait: int, said: list[str]) -> None:
    client = make_client(
        clock=Interrupting(wait), token_source=lambda: "opaque-token", chat={"history_size": 9, "auto_turn": {"max_turns": 4}}
    )
    heard = Heard(client)
    emulator.script([{"content": None, "turns": ["a", "b", "c"], "next": True}])
    with pytest.raises(KeyboardInterrupt) as caught:
        client.chat.send("Hello")
    partial = caught.value.partial  # type: ignore[attr-defined]
    assert isinstance(partial, Reply)
    assert partial.messages == tuple(said)
    assert texts(client.chat.get_chat_history()) == ["Hello", *said]
    [cut] = heard.named("exchange_cancelled")
    assert (cut.pending_turns, cut.follow_up) == (3 - len(said), True)
    client.chat.send("Next", auto_turn=False)
    assert texts(wire(emulator)) == ["Hello", " ".join(said), "Next"]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows cannot signal a thread")
def test_ctrl_c_in_a_blocked_read(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"chunks": ["some", " text"]}])
    emulator.arm(path=CHAT_PATH, stall_after=2)
    main = threading.get_ident()

    def press(event: Any) -> None:
        threading.Timer(0.03, signal.pthread_kill, (main, signal.SIGINT)).start()

    client.on("message_tokens", press)
    with pytest.raises(KeyboardInterrupt):
        client.chat.send("Hello", timeouts={"idle": 20})
    assert client.chat.get_chat_history() == []
    emulator.requests.wait_until_idle()
    client.off("message_tokens")
    assert client.chat.send("again").text


# ---- replies -------------------------------------------------------------------------------------------


def test_a_reply_is_a_frozen_value() -> None:
    reply = Reply(text="x", compliance_violations=("gore",), images=("https://a.example/1.png",))
    with pytest.raises(AttributeError):
        reply.text = "y"  # type: ignore[misc]
    assert reply._repr_markdown_() == "x\n\n![image](https://a.example/1.png)\n\n> gore"
    assert reply == copy.deepcopy(reply)


def test_a_reply_travels(patient: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"content": "x", "image_prompt": "a cat", "tool_calls": [{"name": "f"}]}])
    reply = patient.chat.send("Draw!", check_image_generation=True)
    other = pickle.loads(pickle.dumps(reply))
    assert other == reply
    assert other.completions[0].raw == reply.completions[0].raw
    assert other.completions[0].http.status == 200


def test_an_exchange_without_connection_is_one_error(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(retry=0, token_source=lambda: "opaque-token", api_base_url="http://127.0.0.1:9/v3")
    heard = Heard(client)
    with pytest.raises(ApiConnectionError) as caught:
        client.chat.send("Hello")
    assert caught.value.sent is False
    assert heard.names == ["message_start", "message_error"]
