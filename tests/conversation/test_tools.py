"""Tools in an exchange: what is called, said, stored and sent, however it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from animus import AnimusClient, BadRequestError, ConfigurationError, Reply, ServerError, ToolError
from animus.emulator import Emulator
from animus.testing import ManualClock
from animus.tools import Toolbox, ToolRunResult, Veto, tool as as_tool
from tests.wired import CHAT_PATH, ClientMaker, Heard, bodies, call, texts, tool, user, wire


def look_up(word: str) -> str:
    """Look up a word."""
    return f"about {word}"


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def empty() -> str:
    """Say nothing."""
    return ""


def wants(*calls: tuple[str, dict[str, Any]], **further: Any) -> dict[str, Any]:
    """Give a scripted answer that wants calls; their ids are call_1, call_2, …"""
    return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls], **further}


LOOK = wants(("look_up", {"word": "tide"}))
BOTH = wants(("look_up", {"word": "tide"}), ("add", {"a": 1, "b": 2}))
DEFINITION = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client(chat={"history_size": 30})


def flow(messages: Any) -> list[Any]:
    """Give messages in short: the text, the names that are called, or the result with its call's id."""
    short: list[Any] = []
    for message in messages:
        if message["role"] == "tool":
            short.append((message["tool_call_id"], message["content"]))
        elif message.get("tool_calls"):
            short.append([each["function"]["name"] for each in message["tool_calls"]])
        else:
            short.append(message["content"])
    return short


def check_answered(messages: list[dict[str, Any]]) -> None:
    """Every call is followed by its result, and every result follows its call."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
            continue
        assert waiting == []
        waiting = [each["id"] for each in message.get("tool_calls", ())]
    assert waiting == []


def check_next(client: AnimusClient, emulator: Emulator) -> None:
    """The emulator, like the API, refuses a conversation with orphans: the next message gets its answer."""
    check_answered(client.chat.get_chat_history())
    emulator.script(["And on."])
    assert client.chat.send("Next", auto_turn=False, tools=None).text == "And on."
    check_answered(wire(emulator))


# ---- the usual way -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_calls_are_made_and_told_until_the_model_is_done(client: AnimusClient, emulator: Emulator, stream: bool) -> None:
    emulator.script([BOTH, LOOK, {"content": "Done.", "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}])
    reply = client.chat.send("Why?", tools=[look_up, add], stream=stream)
    assert (reply.text, reply.messages, reply.tool_calls, reply.finish_reason) == ("Done.", ("Done.",), (), "stop")
    assert len(reply.completions) == 3
    assert reply.usage["total_tokens"] == sum(completion.usage.total_tokens or 0 for completion in reply.completions if completion.usage)
    rounds = ["Why?", ["look_up", "add"], ("call_1", "about tide"), ("call_2", "3"), ["look_up"], ("call_1", "about tide")]
    assert flow(wire(emulator)) == rounds
    assert flow(client.chat.get_chat_history()) == [*rounds, "Done."]
    sent = bodies(emulator)
    assert [flow(body["messages"])[1:] for body in sent] == [rounds[:1], rounds[:4], rounds]
    assert all(body["tools"] == sent[0]["tools"] and body["tool_choice"] == "auto" for body in sent)
    assert [each["function"]["name"] for each in sent[0]["tools"]] == ["look_up", "add"]


def test_events_come_in_order(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{**BOTH, "content": "I look."}, "Done."])
    heard = Heard(client)
    events: list[Any] = list(client.chat.stream("Why?", tools=[look_up, add]))
    assert events == heard.events
    names = [event.name for event in events if event.name not in ("message_tokens", "message_progress")]
    assert names == [
        "message_start",
        "message_complete",
        "tool_call_start",
        "tool_call_complete",
        "tool_call_start",
        "tool_call_complete",
        "message_complete",
    ]
    assert heard.contents() == ["I look.", "Done."]
    assert [event.finish_reason for event in heard.named("message_complete")] == ["tool_calls", "stop"]
    called = heard.named("tool_call_complete")
    assert [(event.tool_call_id, event.tool_name, event.arguments, event.result) for event in called] == [
        ("call_1", "look_up", '{"word": "tide"}', "about tide"),
        ("call_2", "add", '{"a": 1, "b": 2}', "3"),
    ]
    assert {(event.chat_id, event.conversation_id) for event in events} == {(client.chat.chat_id, events[0].conversation_id)}


def test_an_answer_is_stored_before_its_calls_are_made(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([LOOK, "Done."])
    seen: list[Any] = []

    def look_up(word: str) -> str:
        seen.append(flow(client.chat.get_chat_history()))
        return word

    client.chat.send("Why?", tools=[look_up])
    assert seen == [["Why?", ["look_up"]]]


def test_calls_of_one_answer_run_at_once_when_told_so(client: AnimusClient, emulator: Emulator) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def first(word: str) -> str:
        meeting.wait()
        return word

    def second(word: str) -> str:
        meeting.wait()
        return word

    emulator.script([wants(("first", {"word": "a"}), ("second", {"word": "b"})), "Done."])
    heard = Heard(client, "tool_call_complete")
    assert client.chat.send("Why?", tools=Toolbox([first, second], parallel=2)).text == "Done."
    assert sorted(event.result for event in heard.events) == ["a", "b"]
    assert flow(wire(emulator))[2:] == [("call_1", "a"), ("call_2", "b")]
    check_next(client, emulator)


def test_without_history_the_model_knows_the_exchange_all_the_same(make_client: ClientMaker, emulator: Emulator) -> None:
    emulator.script([LOOK, "Done."])
    client = make_client()
    assert client.chat.send("Why?", tools=[look_up]).text == "Done."
    assert flow(wire(emulator)) == ["Why?", ["look_up"], ("call_1", "about tide")]
    assert client.chat.get_chat_history() == []


def test_a_small_room_sends_the_whole_exchange(make_client: ClientMaker, emulator: Emulator) -> None:
    emulator.script([BOTH, LOOK, "Done."])
    client = make_client(chat={"history_size": 2})
    assert client.chat.send("Why?", tools=[look_up, add]).text == "Done."
    assert len(wire(emulator)) == 6
    emulator.script(["On."])
    client.chat.send("Next")
    assert flow(wire(emulator)) == ["Done.", "Next"]


def test_an_empty_result_is_said_as_an_empty_text(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([wants(("empty", {})), "Done."])
    client.chat.send("Why?", tools=[empty])
    assert flow(wire(emulator))[2:] == [("call_1", '""')]
    check_next(client, emulator)


def test_calls_without_ids_get_the_same_ones_everywhere(client: AnimusClient, emulator: Emulator) -> None:
    bare = {"type": "function", "function": {"name": "look_up", "arguments": '{"word": "a"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [bare, bare]}
    emulator.script([{"json": {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}}, "Done."])
    client.chat.send("Why?", tools=[look_up], stream=False)
    assert [each["id"] for each in wire(emulator)[1]["tool_calls"]] == ["call_1", "call_2"]
    assert flow(wire(emulator))[2:] == [("call_1", "about a"), ("call_2", "about a")]
    check_next(client, emulator)


def test_mistakes_and_failures_are_told_to_the_model(client: AnimusClient, emulator: Emulator) -> None:
    def fail() -> str:
        raise OSError("no such shelf")

    emulator.script([wants(("fail", {}), ("look_up", {"wrod": "x"}), ("look_down", {})), "Sorry."])
    heard = Heard(client, "tool_call_error")
    assert client.chat.send("Why?", tools=[fail, look_up]).text == "Sorry."
    results = [message["content"] for message in wire(emulator)[2:]]
    assert results[0] == "Error: OSError: no such shelf"
    assert "did you mean 'word'" in results[1]
    assert "there is no tool 'look_down'" in results[2]
    assert [event.tool_name for event in heard.events] == ["fail", "look_up", "look_down"]


# ---- where tools come from -----------------------------------------------------------------------------


def test_tools_of_the_configuration_are_made_once(make_client: ClientMaker, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    emulator.script([LOOK, "One.", "Two.", LOOK, "Three."])
    client = make_client(chat={"tools": [look_up]})
    made: list[Any] = []
    new = Toolbox.__init__

    def counted(self: Toolbox, *args: Any, **options: Any) -> None:
        made.append(self)
        new(self, *args, **options)

    monkeypatch.setattr(Toolbox, "__init__", counted)
    assert [client.chat.send("Why?").text for _ in range(3)] == ["One.", "Two.", "Three."]
    assert len(made) == 1
    client.update_chat_config({"tools": [as_tool(add)]})
    client.chat.send("Why?")
    assert len(made) == 2
    assert [each["function"]["name"] for each in emulator.requests.last(path=CHAT_PATH).json["tools"]] == ["add"]


def test_tools_of_a_call_stand_in_for_those_of_the_configuration(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"tools": [look_up]})
    client.chat.send("Why?", tools=[add])
    client.chat.send("Why?", tools=None)
    client.chat.send("Why?", tools=[])
    named = [[each["function"]["name"] for each in body.get("tools") or ()] for body in bodies(emulator)]
    assert named == [["add"], [], []]


def test_a_toolbox_of_the_configuration_brings_its_hooks(make_client: ClientMaker, emulator: Emulator) -> None:
    asked: list[Any] = []

    def ask(request: Any) -> Any:
        asked.append((request.name, dict(request.arguments), request.round))
        return Veto("not today") if request.name == "add" else None

    emulator.script([BOTH, LOOK, "Done."])
    client = make_client(chat={"tools": Toolbox([look_up, add], before=ask), "history_size": 9})
    heard = Heard(client, "tool_call_error")
    assert client.chat.send("Why?").text == "Done."
    assert asked == [("look_up", {"word": "tide"}, 1), ("add", {"a": 1, "b": 2}, 1), ("look_up", {"word": "tide"}, 2)]
    assert flow(wire(emulator))[2:4] == [("call_1", "about tide"), ("call_2", "Not allowed: not today")]
    assert [event.tool_name for event in heard.events] == ["add"]
    check_next(client, emulator)


def test_a_running_exchange_keeps_its_tools(client: AnimusClient, emulator: Emulator) -> None:
    def look_up(word: str) -> str:
        client.update_chat_config({"tools": None})
        return word

    client.update_chat_config({"tools": [look_up]})
    emulator.script([LOOK, LOOK, "Done.", "Bare."])
    assert client.chat.send("Why?").text == "Done."
    assert client.chat.send("And?").text == "Bare."
    assert ["tools" in body for body in bodies(emulator)] == [True, True, True, False]


def test_what_cannot_be_a_tool_is_refused_before_anything_is_sent(client: AnimusClient, emulator: Emulator) -> None:
    def bad(thing) -> str:  # type: ignore[no-untyped-def]
        return "x"

    with pytest.raises(ConfigurationError, match="thing"):
        client.chat.send("Why?", tools=[bad])
    with pytest.raises(ConfigurationError, match="rounds"):
        client.chat.send("Why?", tools=[look_up], tool_limits={"rounds": 0})
    assert (len(emulator.requests), client.chat._running) == (0, [])


# ---- mere definitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_calls_of_definitions_are_the_callers(client: AnimusClient, emulator: Emulator, stream: bool) -> None:
    emulator.script([LOOK, "Found."])
    heard = Heard(client)
    reply = client.chat.send("Why?", tools=[DEFINITION], stream=stream)
    [wanted] = reply.tool_calls
    assert wanted == call("call_1", arguments='{"word": "tide"}')
    assert (reply.text, reply.finish_reason, len(bodies(emulator))) == ("", "tool_calls", 1)
    assert "tool_call_start" not in heard.names
    answer = client.chat.completions([tool(wanted["id"], "the sea")], tools=[DEFINITION])
    assert answer.text == "Found."
    assert flow(wire(emulator)) == ["Why?", ["look_up"], ("call_1", "the sea")]
    assert flow(client.chat.get_chat_history()) == ["Why?", ["look_up"], ("call_1", "the sea"), "Found."]


def test_a_call_of_a_definition_ends_the_loop(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([wants(("add", {"a": 1, "b": 2})), BOTH])
    reply = client.chat.send("Why?", tools=[add, DEFINITION])
    assert [each["function"]["name"] for each in reply.tool_calls] == ["look_up", "add"]
    assert flow(client.chat.get_chat_history()) == ["Why?", ["add"], ("call_1", "3"), ["look_up", "add"]]


# ---- turns, follow-ups, images -------------------------------------------------------------------------


def test_tools_and_turns(make_client: ClientMaker, emulator: Emulator) -> None:
    clock = ManualClock()
    client = make_client(
        clock=clock, token_source=lambda: "opaque-token", chat={"history_size": 30, "auto_turn": {"min_delay": 1, "max_delay": 1}}
    )
    emulator.api_key = "opaque-token"
    emulator.script([{**LOOK, "content": "Wait.\nI look."}, {"content": "A.\nB."}])
    heard = Heard(client)
    reply = client.chat.send("Why?", tools=[look_up])
    assert reply.messages == ("Wait.", "I look.", "A.", "B.")
    names = [event.name for event in heard.events if event.name != "message_start"]
    turns = ["message_complete", "message_complete", "turns_complete"]
    assert names == [*turns, "tool_call_start", "tool_call_complete", *turns]
    assert clock.waits == [1, 1]
    assert flow(wire(emulator)) == ["Why?", ["look_up"], ("call_1", "about tide")]
    assert wire(emulator)[1]["content"] == "Wait.\nI look."
    check_next(client, emulator)


def test_a_follow_up_may_call_tools(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(clock=ManualClock(), token_source=lambda: "opaque-token", chat={"history_size": 30})
    emulator.api_key = "opaque-token"
    emulator.script([{"content": "First.", "next": True}, LOOK, {"content": "Second.", "next": True}, "Third."])
    heard = Heard(client)
    reply = client.chat.send("Why?", tools=[look_up])
    assert reply.messages == ("First.", "Second.", "Third.")
    assert [event.message_type for event in heard.named("tool_call_complete")] == ["followup"]
    assert flow(client.chat.get_chat_history()) == ["Why?", "First.", ["look_up"], ("call_1", "about tide"), "Second.", "Third."]
    check_next(client, emulator)


def test_an_image_after_tools(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([LOOK, {"content": "Here.", "image_prompt": "the sea"}])
    reply = client.chat.send("Draw!", tools=[look_up], check_image_generation=True)
    assert (reply.text, len(reply.images)) == ("Here.", 1)
    check_answered(client.chat.get_chat_history())


# ---- what ends it --------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [None, "I look."], ids=["silent", "with words"])
@pytest.mark.parametrize(
    ("limit", "limits"), [("rounds", {"rounds": 2}), ("identical_calls", {"identical_calls": 2}), ("seconds", {"seconds": 5})]
)
def test_a_limit_ends_it_with_all_that_was_gathered(
    make_client: ClientMaker, emulator: Emulator, limit: str, limits: Any, said: str | None
) -> None:
    clock = ManualClock()
    client = make_client(clock=clock, token_source=lambda: "opaque-token", chat={"history_size": 30})
    emulator.api_key = "opaque-token"

    def look_up(word: str) -> str:
        clock.advance(3)
        return word

    emulator.script([{**LOOK, "content": said}] * 3)
    heard = Heard(client, "message_error")
    with pytest.raises(ToolError) as caught:
        client.chat.send("Why?", tools=[look_up], tool_limits=limits)
    error = caught.value
    assert error.limit == limit
    [result] = error.results
    assert (result.call_id, result.is_error) == ("call_1", True)
    assert "Not called" in result.content
    partial = error.partial
    assert isinstance(partial, Reply)
    assert len(partial.completions) == 3
    assert partial.text == ("" if said is None else "\n\n".join([said] * 3))
    assert heard.named("message_error")[0].error is error
    assert len([message for message in client.chat.get_chat_history() if message["role"] == "tool"]) == 3
    check_next(client, emulator)


def test_a_function_that_raises_may_end_it(client: AnimusClient, emulator: Emulator) -> None:
    def fail() -> str:
        raise OSError("no such shelf")

    emulator.script([wants(("look_up", {"word": "a"}), ("fail", {}), ("look_up", {"word": "b"}))])
    with pytest.raises(ToolError, match="no such shelf") as caught:
        client.chat.send("Why?", tools=Toolbox([look_up, fail], raise_errors=True))
    assert isinstance(caught.value.__cause__, OSError)
    assert [result.is_error for result in caught.value.results] == [False, True, True]
    assert isinstance(caught.value.partial, Reply)
    assert len(caught.value.partial.completions) == 1
    check_next(client, emulator)


def test_a_failed_answer_after_calls_keeps_what_was_gathered(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([LOOK, {"status": 500, "json": {"detail": "no"}}])
    with pytest.raises(ServerError) as caught:
        client.chat.send("Why?", tools=[look_up], retry=0)
    assert isinstance(caught.value.partial, Reply)
    assert len(caught.value.partial.completions) == 1
    assert flow(client.chat.get_chat_history()) == ["Why?", ["look_up"], ("call_1", "about tide")]
    check_next(client, emulator)


def test_a_first_answer_that_fails_has_nothing_gathered(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"status": 400, "json": {"detail": "no"}}])
    with pytest.raises(BadRequestError) as caught:
        client.chat.send("Why?", tools=[look_up])
    assert caught.value.partial is None
    assert client.chat.get_chat_history() == []


@pytest.mark.parametrize("parallel", [False, 2])
def test_ctrl_c_in_a_tool_leaves_every_call_answered(client: AnimusClient, emulator: Emulator, parallel: Any) -> None:
    def add(a: int, b: int) -> int:
        raise KeyboardInterrupt

    emulator.script([wants(("look_up", {"word": "a"}), ("add", {"a": 1, "b": 1}), ("look_up", {"word": "b"}))])
    heard = Heard(client)
    with pytest.raises(KeyboardInterrupt) as caught:
        client.chat.send("Why?", tools=Toolbox([look_up, add], parallel=parallel))
    assert isinstance(caught.value.partial, Reply)  # type: ignore[attr-defined]
    assert heard.names.count("exchange_cancelled") == 1
    assert len([message for message in client.chat.get_chat_history() if message["role"] == "tool"]) == 3
    check_next(client, emulator)


@pytest.mark.parametrize("parallel", [False, 2])
def test_closing_during_a_tool_calls_no_further_one(client: AnimusClient, emulator: Emulator, parallel: Any) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def look_up(word: str) -> str:
        made.append(word)
        begun.set()
        assert go_on.wait(10)
        return word

    emulator.script([wants(*[("look_up", {"word": word}) for word in "abcde"])])
    conversation = client.conversation()
    heard = Heard(conversation)
    future = conversation.submit("Why?", tools=Toolbox([look_up], parallel=parallel))
    assert begun.wait(10)
    conversation.close()
    go_on.set()
    reply = future.result(10)
    assert reply.cancelled
    assert len(made) <= 2
    assert emulator.requests.count(path=CHAT_PATH) == 1
    assert heard.names.count("exchange_cancelled") == 1
    assert "message_error" not in heard.names
    stored = conversation.get_chat_history()
    assert len([message for message in stored if message["role"] == "tool"]) == 5
    check_answered(stored)


def test_leaving_the_loop_during_the_calls(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([BOTH])
    events: Any = client.chat.stream("Why?", tools=[look_up, add])
    for event in events:
        if event.name == "tool_call_start":
            break
    events.close()
    assert [message["role"] for message in client.chat.get_chat_history()] == ["user", "assistant", "tool", "tool"]
    check_next(client, emulator)


@pytest.mark.parametrize("after", [1, 2])
def test_an_answer_that_is_cut_between_its_turns_leaves_no_result_behind(make_client: ClientMaker, emulator: Emulator, after: int) -> None:
    client = make_client(chat={"history_size": 30, "auto_turn": {"min_delay": 0, "max_delay": 0}})
    made: list[str] = []

    def look_up(word: str) -> str:
        made.append(word)
        return word

    def cut(event: Any) -> None:
        if event.turn_index == after - 1:
            client.chat.cancel_pending_turns()

    emulator.script([{**LOOK, "content": "a\nb\nc"}])
    subscription = client.on("message_complete", cut)
    reply = client.chat.send("Why?", tools=[look_up])
    subscription.cancel()
    assert (reply.cancelled, reply.messages, made, reply.tool_calls) == (True, ("a", "b")[:after], [], ())
    assert texts(client.chat.get_chat_history()) == ["Why?", *"ab"[:after]]
    check_next(client, emulator)


CUTS: dict[str, Callable[[AnimusClient], object]] = {
    "clear": lambda client: client.chat.clear_chat_history(),
    "set": lambda client: client.chat.set_chat_history([user("Hi"), {"role": "assistant", "content": "Hello."}]),
    "delete": lambda client: client.chat.delete_history_message(1),
}


@pytest.mark.parametrize("change", CUTS)
def test_a_history_that_is_changed_by_a_tool_stays_sendable(client: AnimusClient, emulator: Emulator, change: str) -> None:
    def look_up(word: str) -> str:
        CUTS[change](client)
        return word

    emulator.script([LOOK, "Done."])
    assert client.chat.send("Why?", tools=[look_up]).text == "Done."
    emulator.script(["And on."])
    assert client.chat.send("Next", tools=None).text == "And on."
    check_answered(wire(emulator))


# ---- run_tools -----------------------------------------------------------------------------------------


def test_run_tools_stores_all_together(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["Hello."])
    client.chat.send("Hi")
    emulator.script([BOTH, "Done."])
    stored: list[int] = []

    def look_up(word: str) -> str:
        stored.append(len(client.chat.history))
        return word

    heard = Heard(client)
    result = client.chat.run_tools([user("Why?")], [look_up, add])
    assert (result.text, result.rounds, [each.content for each in result.results]) == ("Done.", 1, ["tide", "3"])
    assert stored == [2]
    rounds = ["Hi", "Hello.", "Why?", ["look_up", "add"], ("call_1", "tide"), ("call_2", "3")]
    assert flow(wire(emulator)) == rounds
    assert flow(client.chat.get_chat_history()) == [*rounds, "Done."]
    assert heard.names.count("tool_call_complete") == 2
    assert {event.chat_id for event in heard.events} == {client.chat.chat_id}
    check_next(client, emulator)


def test_run_tools_takes_the_whole_conversation_by_hand(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(["Hello.", LOOK, "Done."])
    client.chat.send("Hi")
    given = [*client.chat.get_chat_history(), user("Why?")]
    client.chat.run_tools(given, [look_up])
    assert texts(client.chat.get_chat_history())[:3] == ["Hi", "Hello.", "Why?"]
    assert len(client.chat.history) == 6
    assert flow(wire(emulator))[:3] == ["Hi", "Hello.", "Why?"]


@pytest.mark.parametrize("size", [0, 30])
def test_run_tools_without_history(make_client: ClientMaker, emulator: Emulator, size: int) -> None:
    client = make_client(chat={"history_size": size})
    emulator.script([LOOK, "Done."])
    result = client.chat.run_tools([user("Why?")], [look_up], history=not size)
    assert result.text == "Done."
    assert client.chat.get_chat_history() == []


def test_run_tools_keeps_all_on_the_exception_and_stores_nothing(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([LOOK, LOOK])
    with pytest.raises(ToolError) as caught:
        client.chat.run_tools([user("Why?")], [look_up], limits={"rounds": 1})
    partial = caught.value.partial
    assert isinstance(partial, ToolRunResult)
    assert (caught.value.limit, partial.rounds, len(partial.completions)) == ("rounds", 1, 2)
    assert client.chat.get_chat_history() == []
    messages = [message for message in partial.messages if message["role"] != "system"]
    check_answered(messages)
    emulator.script(["Done."])
    assert client.chat.run_tools(messages, [look_up]).text == "Done."
    check_answered(client.chat.get_chat_history())


def test_run_tools_needs_a_function(client: AnimusClient, emulator: Emulator) -> None:
    for tools in (None, [], [DEFINITION]):
        with pytest.raises(ConfigurationError, match="no function"):
            client.chat.run_tools([user("Why?")], tools)
    assert len(emulator.requests) == 0


# ---- two at once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["send", "completions"])
def test_what_comes_while_a_function_runs_does_not_part_call_and_result(client: AnimusClient, emulator: Emulator, other: str) -> None:
    def look_up(word: str) -> str:
        if other == "send":
            assert client.chat.send("Meanwhile", tools=None).text == "Aside."
        else:
            assert client.chat.completions([user("Meanwhile")]).text == "Aside."
        return word

    emulator.script([{**LOOK, "content": "I look."}, "Aside.", "Done."])
    assert client.chat.send("Why?", tools=[look_up]).text == "I look.\n\nDone."
    aside = bodies(emulator)[1]["messages"][1:]
    assert flow(aside) == ["Why?", "I look.", "Meanwhile"]
    assert flow(wire(emulator)) == ["Why?", ["look_up"], ("call_1", "tide")]
    stored = client.chat.get_chat_history()
    assert flow(stored) == ["Why?", ["look_up"], ("call_1", "tide"), "Meanwhile", "Aside.", "Done."]
    check_next(client, emulator)


def test_a_call_without_words_is_not_sent_while_it_runs(client: AnimusClient, emulator: Emulator) -> None:
    def look_up(word: str) -> str:
        client.chat.send("Meanwhile", tools=None)
        return word

    emulator.script([LOOK, "Aside.", "Done."])
    client.chat.send("Why?", tools=[look_up])
    assert flow(bodies(emulator)[1]["messages"][1:]) == ["Why?", "Meanwhile"]


def test_results_whose_call_was_forgotten_are_not_stored(client: AnimusClient, emulator: Emulator) -> None:
    def look_up(word: str) -> str:
        client.chat.clear_chat_history()
        return word

    emulator.script([LOOK, "Done."])
    assert client.chat.send("Why?", tools=[look_up]).text == "Done."
    assert flow(client.chat.get_chat_history()) == ["Done."]
