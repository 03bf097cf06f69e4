"""Signals, payloads, subscriptions and emitters."""

from __future__ import annotations

import dataclasses
import gc
import logging
import pickle
import threading
from typing import Any

import pytest

from animus import events
from animus.events import SIGNALS, Emitter, Event, MessageComplete, MessageStart, Receiver, ReceiverFailed, TurnsComplete, event_name

pytestmark = pytest.mark.usefixtures("few_objects")

PAYLOADS = [cls for cls in vars(events).values() if isinstance(cls, type) and issubclass(cls, Event) and cls.name]


class Broken(Exception):
    pass


@pytest.fixture
def emitter() -> Emitter:
    return Emitter(sender="the client")


# ---- names and payloads --------------------------------------------------------------------------------


def test_every_signal_has_a_payload_and_every_payload_a_signal() -> None:
    assert {cls.name for cls in PAYLOADS} == set(SIGNALS)
    for name, signal in SIGNALS.items():
        assert getattr(events, name) is signal


@pytest.mark.parametrize("cls", PAYLOADS)
def test_payloads_are_frozen_keyword_only_and_slotted(cls: type[Event]) -> None:
    fields = dataclasses.fields(cls)
    assert all(field.kw_only for field in fields)
    payload = cls(**{f.name: ValueError("x") if f.name == "error" else MessageStart() for f in fields if f.default is dataclasses.MISSING})
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(payload, fields[0].name, "other")
    assert not hasattr(payload, "__dict__")
    assert "token" not in {field.name for field in fields}


def test_the_listed_names_are_all_there() -> None:
    expected = {*SIGNALS, "SIGNALS", "Emitter", "Subscription", "event_name"}
    assert expected < set(events.__all__)
    assert all(hasattr(events, name) for name in events.__all__)


@pytest.mark.parametrize("name", SIGNALS)
def test_names_are_taken_as_javascript_spells_them(name: str) -> None:
    first, *rest = name.split("_")
    assert event_name(name) == event_name(first + "".join(part.capitalize() for part in rest)) == name


@pytest.mark.parametrize(
    ("legacy", "instead"),
    [
        ("conversationalTurnStart", "message_start"),
        ("conversationalTurnComplete", "message_complete"),
        ("conversationalTurnsComplete", "turns_complete"),
        ("conversationalTurnsCanceled", "exchange_cancelled"),
        ("conversational_turns_complete", "turns_complete"),
    ],
)
def test_events_that_never_came_name_the_ones_to_use(emitter: Emitter, legacy: str, instead: str) -> None:
    for act in (emitter.on, emitter.once, emitter.off):
        with pytest.raises(ValueError, match=f"{legacy}' is never emitted; listen to {instead}"):
            act(legacy, print)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mesage_complete", "did you mean message_complete"),
        ("MESSAGE_STARTS", "did you mean message_start"),
        ("", "known are message_start"),
        ("zzz", "known are message_start"),
        (None, "an event name is a string, not NoneType; known are"),
        (5, "an event name is a string, not int"),
    ],
)
def test_unknown_names_are_told_the_near_ones(emitter: Emitter, name: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        emitter.on(name, print)


# ---- subscribing ---------------------------------------------------------------------------------------


def test_receivers_are_called_in_order_in_the_emitting_thread(emitter: Emitter) -> None:
    heard: list[Any] = []

    def receiver(number: int) -> Receiver:
        return lambda event: heard.append((number, event, threading.get_ident()))

    for number in range(3):
        emitter.on("message_start", receiver(number))
    event = MessageStart(content="x")
    emitter.emit(event)
    assert heard == [(number, event, threading.get_ident()) for number in range(3)]


def test_receivers_are_held(emitter: Emitter) -> None:
    heard: list[Any] = []

    class Listener:
        def hear(self, event: Any) -> None:
            heard.append(event.content)

    emitter.on("message_start", Listener().hear)
    emitter.on("message_start", lambda event: heard.append(event.content.upper()))
    gc.collect()
    emitter.emit(MessageStart(content="x"))
    assert heard == ["x", "X"]


def test_one_receiver_may_listen_twice(emitter: Emitter) -> None:
    heard: list[Any] = []
    one = emitter.on("message_start", heard.append)
    emitter.on("message_start", heard.append)
    one.cancel()
    one.cancel()
    emitter.emit(MessageStart())
    assert len(heard) == 1
    assert emitter.off("message_start", heard.append) == 1
    assert not emitter.wants("message_start")


def test_a_subscription_is_a_context(emitter: Emitter) -> None:
    heard: list[Any] = []
    with emitter.on("messageStart", heard.append) as subscription:
        assert (subscription.event_name, subscription.receiver) == ("message_start", heard.append)
        assert "message_start" in repr(subscription)
        emitter.emit(MessageStart())
    emitter.emit(MessageStart())
    assert len(heard) == 1


def test_as_a_decorator_it_gives_the_function_back(emitter: Emitter) -> None:
    heard: list[Any] = []

    def receiver(event: Any) -> None:
        heard.append(event)

    assert emitter.on("message_start")(receiver) is receiver
    emitter.emit(MessageStart())
    assert len(heard) == 1
    with pytest.raises(ValueError, match="unknown event"):
        emitter.on("nonsense")


@pytest.mark.parametrize("receiver", [5, "print", []])
def test_what_cannot_be_called_is_refused(emitter: Emitter, receiver: Any) -> None:
    with pytest.raises(ValueError, match="the receiver for message_start cannot be called"):
        emitter.on("message_start", receiver)


def test_once_is_once(emitter: Emitter) -> None:
    heard: list[Any] = []
    subscription = emitter.once("message_start", heard.append)
    assert subscription.receiver == heard.append
    for text in "ab":
        emitter.emit(MessageStart(content=text))
    assert [event.content for event in heard] == ["a"]
    assert not emitter.wants("message_start")


def test_once_is_once_for_many_threads(emitter: Emitter) -> None:
    heard: list[Any] = []
    emitter.once("message_start", heard.append)
    start = threading.Barrier(8)

    def emit() -> None:
        start.wait()
        emitter.emit(MessageStart())

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1


def test_once_can_be_called_off(emitter: Emitter) -> None:
    heard: list[Any] = []
    emitter.once("message_start", heard.append)
    assert emitter.off("message_start", heard.append) == 1
    emitter.once("message_start", heard.append).cancel()
    emitter.emit(MessageStart())
    assert heard == []


def test_off_without_receiver_is_all(emitter: Emitter) -> None:
    emitter.on("message_start", print)
    emitter.on("message_start", repr)
    emitter.on("message_complete", print)
    assert emitter.off("messageStart") == 2
    assert emitter.off("message_start") == 0
    assert emitter.wants("message_complete")


def test_receivers_may_change_the_subscriptions_while_they_are_called(emitter: Emitter) -> None:
    heard: list[str] = []

    def first(event: Any) -> None:
        heard.append("first")
        emitter.off("message_start")
        emitter.on("message_start", lambda event: heard.append("later"))

    emitter.on("message_start", first)
    emitter.on("message_start", lambda event: heard.append("second"))
    emitter.emit(MessageStart())
    emitter.emit(MessageStart())
    assert heard == ["first", "second", "later"]


def test_a_soak_leaves_nothing_behind(emitter: Emitter) -> None:
    for _ in range(1000):
        emitter.on("message_start", lambda event: None).cancel()
        emitter.once("message_start", lambda event: None)
        emitter.emit(MessageStart())
    assert emitter._table == {}


def test_nobody_listens_nothing_is_wanted(emitter: Emitter) -> None:
    assert not any(emitter.wants(name) for name in SIGNALS)


# ---- isolation -----------------------------------------------------------------------------------------


def breaks(event: Any) -> None:
    raise Broken(event.name)


def test_a_receiver_that_raises_is_logged_and_reported(emitter: Emitter, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Any] = []
    emitter.on("message_start", breaks)
    emitter.on("message_start", heard.append)
    emitter.on("receiver_failed", heard.append)
    event = MessageStart()
    with caplog.at_level(logging.ERROR, "animus.events"):
        emitter.emit(event)
    assert heard[0] is event
    failed = heard[1]
    assert isinstance(failed, ReceiverFailed)
    assert (failed.receiver, failed.event) == ("breaks", event)
    assert isinstance(failed.error, Broken)
    [record] = caplog.records
    assert record.getMessage() == "the receiver breaks of message_start raised"
    assert record.exc_info is not None
    assert record.exc_info[2] is not None, "with its traceback"


def test_a_receiver_of_failures_that_fails_ends_there(emitter: Emitter, caplog: pytest.LogCaptureFixture) -> None:
    emitter.on("message_start", breaks)
    emitter.on("receiver_failed", breaks)
    with caplog.at_level(logging.ERROR, "animus.events"):
        emitter.emit(MessageStart())
    assert len(caplog.records) == 2


def test_ctrl_c_in_a_receiver_goes_through(emitter: Emitter) -> None:
    def interrupted(event: Any) -> None:
        raise KeyboardInterrupt

    emitter.on("message_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        emitter.emit(MessageStart())


def test_strict_raises_the_first_after_all_were_called() -> None:
    emitter = Emitter(strict=True)
    heard: list[Any] = []
    emitter.on("message_start", breaks)
    emitter.on("message_start", lambda event: 1 / 0)
    emitter.on("message_start", heard.append)
    emitter.on("receiver_failed", heard.append)
    with pytest.raises(Broken):
        emitter.emit(MessageStart())
    assert [event.name for event in heard] == ["message_start", "receiver_failed", "receiver_failed"]


# ---- parents and blinker -------------------------------------------------------------------------------


def test_a_parent_hears_its_children_after_them(emitter: Emitter) -> None:
    child, sibling = Emitter("the client", parent=emitter), Emitter("the client", parent=emitter)
    heard: list[str] = []
    emitter.on("message_start", lambda event: heard.append("parent"))
    child.on("message_start", lambda event: heard.append("child"))
    sibling.on("message_start", lambda event: heard.append("sibling"))
    child.emit(MessageStart())
    assert heard == ["child", "parent"]
    emitter.emit(MessageStart())
    assert heard == ["child", "parent", "parent"]
    assert child.wants("message_start")
    emitter.on("turns_complete", print)
    assert child.wants("turns_complete")


def test_signals_are_blinkers_own(emitter: Emitter) -> None:
    heard: list[Any] = []

    def receiver(sender: Any, event: Any) -> None:
        heard.append((sender, event))

    def for_another(sender: Any, event: Any) -> None:
        raise AssertionError("that sender said nothing")

    assert not emitter.wants("message_start")
    with events.message_start.connected_to(receiver):
        events.message_start.connect(for_another, sender="another client")
        assert emitter.wants("message_start")
        event = MessageStart()
        emitter.emit(event)
        events.message_start.disconnect(for_another)
    assert heard == [("the client", event)]
    assert not emitter.wants("message_start")


def test_a_raw_receiver_is_isolated_too(emitter: Emitter, caplog: pytest.LogCaptureFixture) -> None:
    def raw(sender: Any, event: Any) -> None:
        raise Broken

    with events.message_start.connected_to(raw), caplog.at_level(logging.ERROR, "animus.events"):
        emitter.emit(MessageStart())
    assert len(caplog.records) == 1


def test_emitters_travel_without_their_receivers(emitter: Emitter) -> None:
    emitter.on("message_start", lambda event: None)
    assert not pickle.loads(pickle.dumps(emitter)).wants("message_start")


def test_payloads_compare_and_travel() -> None:
    event = MessageComplete(content="x", conversation_id="c", tool_calls=({"id": "1"},))
    assert pickle.loads(pickle.dumps(event)) == event
    assert TurnsComplete(total_turns=2).message_type == "auto"


# ---- the look that costs nothing -----------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNALS)
def test_what_blinker_is_told_is_seen_at_once(name: str) -> None:
    """It is blinker's own table that is looked at: were that ever replaced by another, this would fail."""
    emitter, signal = Emitter(), SIGNALS[name]

    def receiver(sender: object, **named: object) -> None: ...

    assert not emitter.heard[name]
    signal.connect(receiver)
    assert emitter.heard[name]
    with signal.muted():
        assert emitter.heard[name]
    signal.disconnect(receiver)
    assert not emitter.heard[name]
    with signal.connected_to(receiver):
        assert emitter.heard[name]
    signal.connect(receiver)
    assert emitter.heard[name]
    del receiver
    gc.collect()
    assert not emitter.heard[name]
    assert not emitter.wants(name)


def test_a_subscription_is_seen_by_the_whole_family() -> None:
    root = Emitter()
    child, sibling, stranger = Emitter(parent=root), Emitter(parent=root), Emitter()
    with child.on("message_start", lambda event: None):
        assert child.heard["message_start"]
        assert child.wants("message_start")
        assert sibling.heard["message_start"]  # too much, but
        assert not sibling.wants("message_start")
        assert not stranger.heard["message_start"]
    assert not child.wants("message_start")
    with root.on("message_tokens", lambda event: None):
        assert child.heard["message_tokens"]
        assert child.wants("message_tokens")


def test_a_look_for_what_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        Emitter().wants("message_begin")
