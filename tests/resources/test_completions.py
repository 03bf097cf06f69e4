"""``completions()``: what goes on the wire, and what comes back."""

from __future__ import annotations

import copy
import gc
import json
import warnings
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest
import requests

from animus import (
    AnimusClient,
    ApiConnectionError,
    ApiError,
    BadRequestError,
    ChatStream,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PaymentRequiredError,
    PermissionDeniedError,
    RateLimitError,
    ResponseDecodeError,
    RetryPolicy,
    ServerError,
    StreamApiError,
    StreamDecodeError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
    UnauthorizedError,
)
from animus.emulator import Emulator
from tests.wired import CHAT_PATH, SYSTEM, ClientMaker, Heard, bodies, call, user

HELLO = [user("Hello")]
CHOICE = {"type": "function", "function": {"name": "look_up"}}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def client(make_client: ClientMaker) -> AnimusClient:
    return make_client(retry=0)


@pytest.fixture
def body_of(client: AnimusClient, emulator: Emulator) -> Callable[..., dict[str, Any]]:
    """Make a call; give the body it sent."""

    def ask(messages: Any = HELLO, **parameters: Any) -> dict[str, Any]:
        client.chat.completions(messages, **parameters)
        body: dict[str, Any] = bodies(emulator)[-1]
        return body

    return ask


BARE = {"model": "vivian", "messages": [SYSTEM, *HELLO], "stream": False, "compliance": True, "autoTurn": False}


# ---- parameters ----------------------------------------------------------------------------------------


def test_a_plain_call_sends_what_must_be_there(body_of: Callable[..., Any]) -> None:
    assert body_of() == BARE


@pytest.mark.parametrize(
    ("parameter", "fields"),
    [
        ({"model": "other"}, {"model": "other"}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"temperature": 1.5}, {"temperature": 1.5}),
        ({"top_p": 0.5}, {"top_p": 0.5}),
        ({"n": 2}, {"n": 2}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"stop": "a"}, {"stop": ["a"]}),
        ({"presence_penalty": -2}, {"presence_penalty": -2}),
        ({"frequency_penalty": 2}, {"frequency_penalty": 2}),
        ({"best_of": 3}, {"best_of": 3}),
        ({"top_k": 40}, {"top_k": 40}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty": 1.1}),
        ({"min_p": 0.1}, {"min_p": 0.1}),
        ({"length_penalty": 0.9}, {"length_penalty": 0.9}),
        ({"compliance": False}, {"compliance": False}),
        ({"reasoning": True}, {"reasoning": True, "show_reasoning": True}),
        ({"reasoning": False}, {}),
        ({"check_image_generation": True}, {"check_image_generation": True}),
        ({"check_image_generation": False}, {"check_image_generation": False}),
        ({"auto_turn": True}, {"autoTurn": True}),
        ({"auto_turn": {"max_turns": 2}}, {"autoTurn": True}),
        ({"auto_turn": False}, {"autoTurn": False}),
        ({"tools": [TOOL]}, {"tools": [TOOL], "tool_choice": "auto"}),
        ({"extra_body": {"seed": 7, "logit_bias": {"1": 2}}}, {"seed": 7, "logit_bias": {"1": 2}}),
        ({"extra_body": {"temperature": 1.25}}, {"temperature": 1.25}),
    ],
)
def test_each_parameter_is_sent(body_of: Callable[..., Any], emulator: Emulator, parameter: Any, fields: Any) -> None:
    emulator.script([{"content": "fine", "times": None}])
    assert body_of(**parameter) == {**BARE, **fields}


EVERYTHING: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "n": 1,
    "max_tokens": 9,
    "stop": ["x"],
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "best_of": 1,
    "top_k": 5,
    "repetition_penalty": 1.0,
    "min_p": 0.1,
    "length_penalty": 1.0,
    "compliance": False,
    "reasoning": True,
    "check_image_generation": True,
    "tools": [TOOL],
    "tool_choice": "none",
    "extra_body": {"seed": 1},
}


def test_left_out_means_configured_and_none_means_not_sent(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={**EVERYTHING, "auto_turn": True})
    client.chat.completions(HELLO)
    configured = {k: v for k, v in EVERYTHING.items() if k != "extra_body"}
    assert bodies(emulator)[0] == {**BARE, **configured, "show_reasoning": True, "autoTurn": True, "seed": 1}
    nothing: dict[str, Any] = dict.fromkeys(EVERYTHING)
    client.chat.completions(HELLO, auto_turn=None, **nothing)
    assert bodies(emulator)[1] == {k: v for k, v in BARE.items() if k != "compliance"}


@pytest.mark.parametrize("name", ["model", *EVERYTHING])
def test_a_call_beats_the_configuration(make_client: ClientMaker, emulator: Emulator, name: str) -> None:
    others: dict[str, Any] = {
        "model": "third",
        "tools": [{**TOOL, "function": {"name": "other"}}],
        "tool_choice": "auto",
        "extra_body": {"seed": 2},
    }
    changed = {**{k: not v if isinstance(v, bool) else [*v, "y"] if isinstance(v, list) else v for k, v in EVERYTHING.items()}, **others}
    changed |= {"temperature": 0.75, "top_p": 0.75, "n": 2, "max_tokens": 3, "best_of": 2, "top_k": 2, "length_penalty": 2}
    changed |= {"presence_penalty": 1, "frequency_penalty": 1, "repetition_penalty": 2, "min_p": 0.5}
    emulator.script([{"content": "fine", "times": None}])
    make_client(chat=EVERYTHING).chat.completions(HELLO, **{name: changed[name]})
    body = bodies(emulator)[0]
    expected = {**BARE, **{k: v for k, v in EVERYTHING.items() if k != "extra_body"}, "show_reasoning": True, "seed": 1}
    if name == "extra_body":
        expected["seed"] = 2
    elif name == "reasoning":
        del expected["reasoning"], expected["show_reasoning"]
    else:
        expected[name] = changed[name]
    assert body == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("temprature", "did you mean 'temperature'"),
        ("maxTokens", "did you mean 'max_tokens'"),
        ("autoTurn", "did you mean 'auto_turn'"),
        ("checkImageGeneration", "did you mean 'check_image_generation'"),
        ("response_format", r"extra_body=\{…\}"),
        ("seed", r"extra_body=\{…\}"),
        ("history_size", r"extra_body"),
    ],
)
def test_an_unknown_parameter_is_a_type_error(client: AnimusClient, emulator: Emulator, name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=rf"completions\(\) got an unexpected keyword argument '{name}'; .*{hint}"):
        client.chat.completions(HELLO, **dict[str, Any]({name: 1}))
    assert len(emulator.requests) == 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 2.1},
        {"temperature": "1"},
        {"temperature": float("nan")},
        {"top_p": -0.1},
        {"n": 0},
        {"n": 1.5},
        {"n": True},
        {"max_tokens": 0},
        {"stop": 5},
        {"stop": ["a", 5]},
        {"presence_penalty": -2.1},
        {"frequency_penalty": 3},
        {"best_of": 0},
        {"top_k": 1.5},
        {"repetition_penalty": 2.5},
        {"min_p": 2},
        {"length_penalty": "x"},
        {"length_penalty": float("inf")},
        {"compliance": "yes"},
        {"reasoning": 1},
        {"check_image_generation": 0},
        {"model": " "},
        {"stream": "yes"},
        {"stream": 1},
        {"history": []},
        {"tools": TOOL},
        {"tools": [5]},
        {"tools": [{"type": "function"}]},
        {"tool_choice": ""},
        {"tool_choice": 5},
        {"extra_body": [1]},
        {"extra_body": {1: 2}},
        {"auto_turn": "yes"},
        {"auto_turn": {"max_turns": 0}},
        {"timeouts": {"raed": 5}},
        {"retry": -1},
    ],
)
def test_a_bad_value_is_refused_by_name_before_any_request(client: AnimusClient, emulator: Emulator, parameters: Any) -> None:
    heard = Heard(client)
    with pytest.raises(ConfigurationError) as caught:
        client.chat.completions(HELLO, **parameters)
    assert next(iter(parameters)).split("_")[0] in str(caught.value)
    assert (len(emulator.requests), heard.events) == (0, [])


@pytest.mark.parametrize("choice", ["none", "auto", "required", CHOICE])
def test_tool_choice_is_sent_as_given(make_client: ClientMaker, emulator: Emulator, choice: Any) -> None:
    emulator.script([{"content": "fine", "times": None}])
    client = make_client()
    client.chat.completions(HELLO, tools=[TOOL], tool_choice=choice)
    client.chat.send("Hello", tools=[TOOL], tool_choice=choice)
    client.chat.completions(HELLO, tool_choice=choice)
    client.update_chat_config({"tools": [TOOL], "tool_choice": choice})
    client.chat.completions(HELLO)
    client.chat.send("Hello")
    assert [body["tool_choice"] for body in bodies(emulator)] == [choice] * 5
    client.chat.completions(HELLO, tool_choice=None)
    client.chat.completions(HELLO, tools=[])
    assert ["tool_choice" in body for body in bodies(emulator)[5:]] == [False, True]
    assert bodies(emulator)[6]["tools"] == []


def test_tools_alone_are_chosen_by_the_model(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"tools": [TOOL]})
    client.chat.completions(HELLO)
    client.chat.send("Hello")
    client.chat.completions(HELLO, tools=[])
    assert [body.get("tool_choice") for body in bodies(emulator)] == ["auto", "auto", None]


def test_stream_and_turns_in_one_call_are_refused(client: AnimusClient, emulator: Emulator) -> None:
    for ask in (lambda **options: client.chat.completions(HELLO, **options), lambda **options: client.chat.send("Hello", **options)):
        with pytest.raises(ConfigurationError, match="stream=True and auto_turn cannot both be asked for"):
            ask(stream=True, auto_turn=True)
    assert len(emulator.requests) == 0


def test_stream_on_a_call_beats_configured_turns(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"auto_turn": True})
    with client.chat.completions(HELLO, stream=True) as stream:
        stream.final()
    assert (bodies(emulator)[0]["stream"], bodies(emulator)[0]["autoTurn"]) == (True, False)


def test_a_configured_stream_does_not_change_what_completions_gives(make_client: ClientMaker, emulator: Emulator) -> None:
    answer = make_client(chat={"stream": True}).chat.completions(HELLO)
    assert answer.text
    assert bodies(emulator)[0]["stream"] is False


# ---- messages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_message_is_named_before_any_request(client: AnimusClient, emulator: Emulator, stream: bool) -> None:
    heard = Heard(client)
    with pytest.raises(ValueError, match=r"messages\[1\] has the role 'robot'"):
        client.chat.completions([user("fine"), {"role": "robot", "content": "x"}], stream=stream)
    assert (len(emulator.requests), heard.events) == (0, [])


def test_a_system_message_of_the_call_replaces_the_configured_one(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 10})
    own = {"role": "system", "content": "Rhyme."}
    client.chat.completions([own, user("a")])
    client.chat.completions([user("b")])
    first, second = (body["messages"] for body in bodies(emulator))
    assert first == [own, user("a")]
    assert [m["role"] for m in second] == ["system", "user", "assistant", "user"]
    assert second[0] == SYSTEM
    assert "system" not in [m["role"] for m in client.chat.get_chat_history()]


def test_only_wire_fields_are_sent(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.completions(
        [
            {**user("a"), "name": "Ada", "timestamp": "2024-01-01", "custom": 1},
            {"role": "assistant", "content": None, "tool_calls": [call("1")], "reasoning": "r", "groupId": "g"},
            {"role": "tool", "content": "found", "tool_call_id": "1", "compliance_violations": ["gore"]},
        ]
    )
    assert bodies(emulator)[0]["messages"] == [
        SYSTEM,
        {**user("a"), "name": "Ada"},
        {"role": "assistant", "content": None, "tool_calls": [call("1")]},
        {"role": "tool", "content": "found", "tool_call_id": "1"},
    ]


def test_content_lists_go_through(client: AnimusClient, emulator: Emulator) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "https://a.example/1.png"}}]
    client.chat.completions([user(parts)])
    client.chat.send(parts)
    assert [body["messages"][1] for body in bodies(emulator)] == [user(parts)] * 2


def test_half_a_character_is_sent_as_json_has_it(client: AnimusClient, emulator: Emulator) -> None:
    client.chat.completions([user("\ud83d and \U0001f600 and é")])
    assert bodies(emulator)[0]["messages"][1] == user("\ud83d and \U0001f600 and é")


def test_what_json_cannot_say_is_refused(client: AnimusClient, emulator: Emulator) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written as JSON"):
        client.chat.completions(HELLO, extra_body={"x": object()})
    assert len(emulator.requests) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_of_the_callers_is_changed(make_client: ClientMaker, stream: bool) -> None:
    client = make_client(chat={"history_size": 10})
    messages = [MappingProxyType(user("a")), MappingProxyType({"role": "assistant", "content": "", "tool_calls": [call("1")]})]
    messages.append(MappingProxyType({"role": "tool", "content": "x", "tool_call_id": "1"}))
    messages.append(MappingProxyType(user([{"type": "text", "text": "b"}])))
    parameters: dict[str, Any] = {"tools": [TOOL], "stop": ["x"], "extra_body": MappingProxyType({"seed": 1}), "tool_choice": dict(CHOICE)}
    before = copy.deepcopy(([dict(m) for m in messages], {**parameters, "extra_body": dict(parameters["extra_body"])}))
    answer = client.chat.completions(messages, stream=stream, **parameters)
    if isinstance(answer, ChatStream):
        answer.final()
    assert ([dict(m) for m in messages], {**parameters, "extra_body": dict(parameters["extra_body"])}) == before


# ---- answers -------------------------------------------------------------------------------------------


def test_a_typed_answer(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script(
        [
            {
                "content": "A. B.",
                "reasoning": "hm",
                "turns": ["A.", "B."],
                "next": True,
                "image_prompt": "a cat",
                "tool_calls": [{"name": "look_up", "arguments": {"q": 1}}],
                "finish_reason": "tool_calls",
                "compliance_violations": ["gore"],
                "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
            }
        ]
    )
    answer = client.chat.completions(HELLO)
    assert (answer.text, answer.reasoning, answer.turns, answer.next, answer.image_prompt) == ("A. B.", "hm", ["A.", "B."], True, "a cat")
    [asked] = answer.tool_calls
    assert (asked.function.name, json.loads(asked.function.arguments)) == ("look_up", {"q": 1})
    assert (answer.finish_reason, answer.compliance_violations, answer.model) == ("tool_calls", ["gore"], "vivian")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 3
    assert answer.raw["choices"][0]["message"]["content"] == "A. B."
    assert answer.request_id == emulator.requests.last("api").request_id
    assert answer.http is not None
    assert (answer.http.status, answer.http.attempts, answer.http.headers["content-type"]) == (200, 1, "application/json")
    assert answer.http.elapsed > 0


def test_several_choices_are_kept(client: AnimusClient) -> None:
    answer = client.chat.completions(HELLO, n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.text == answer.choices[0].message.content


def test_unknown_fields_and_odd_types_lose_no_paid_answer(client: AnimusClient, emulator: Emulator) -> None:
    choice = {"message": {"role": "assistant", "content": "x", "turns": "y"}, "index": "0"}
    odd = {"id": 5, "usage": "many", "extra": [1], "choices": [choice]}
    emulator.script([{"json": odd}])
    answer = client.chat.completions(HELLO)
    assert (answer.text, answer.id, answer.usage, answer.turns, answer.raw) == ("x", None, None, [], odd)


def test_attempts_are_counted(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(retry=RetryPolicy(base=0.0))
    emulator.arm(path=CHAT_PATH, status=503, times=2)
    answer = client.chat.completions(HELLO)
    assert answer.http is not None
    assert answer.http.attempts == 3
    emulator.arm(path=CHAT_PATH, status=503, times=3)
    with pytest.raises(ServerError, match="after 3 attempts") as caught:
        client.chat.completions(HELLO)
    assert caught.value.attempts == 3


def test_one_call_may_have_its_own_policy_and_limits(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=CHAT_PATH, status=503)
    assert client.chat.completions(HELLO, retry={"repeats": 1, "base": 0}).text
    emulator.arm(path=CHAT_PATH, stall_after=0)
    with pytest.raises(ApiConnectionError) as caught:
        client.chat.completions(HELLO, timeouts={"deadline": 0.1})
    assert getattr(caught.value, "limit", None) == "deadline"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (402, PaymentRequiredError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (418, ApiError),
        (422, BadRequestError),
        (429, RateLimitError),
        (500, ServerError),
        (503, ServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_statuses_have_their_classes(client: AnimusClient, emulator: Emulator, status: int, kind: type[ApiError], stream: bool) -> None:
    emulator.arm(path=CHAT_PATH, status=status, body={"detail": "no luck"}, headers={"Retry-After": "7"})
    heard = Heard(client)
    with pytest.raises(kind, match="no luck") as caught:
        client.chat.completions(HELLO, stream=stream)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.error_data, error.retry_after, error.attempts) == (status, {"detail": "no luck"}, 7, 1)
    assert error.request_id
    assert heard.names == ["message_start", "message_error"]
    assert heard.events[1].error is error


def test_a_second_401_is_an_error(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=CHAT_PATH, status=401, times=2)
    with pytest.raises(UnauthorizedError) as caught:
        client.chat.completions(HELLO)
    assert caught.value.attempts == 2
    assert caught.value.response.request.headers.get("Authorization") is None
    emulator.arm(path=CHAT_PATH, status=401)
    assert client.chat.completions(HELLO).text


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"json": {"choices": []}}, "there are no choices"),
        ({"json": {}}, "not with a completion"),
        ({"json": [1]}, "not with a completion"),
        ({"json": None}, "not with a completion"),
        ({"body": "<html>oops</html>"}, "no JSON"),
        ({"body": ""}, "no JSON"),
        ({"status": 204, "body": ""}, "204"),
        ({"json": {"choices": [{"message": {"content": 5}}]}}, "not with a completion"),
        ({"json": {"choices": [{}]}}, "not with a completion"),
    ],
)
def test_success_without_an_answer(make_client: ClientMaker, emulator: Emulator, answer: Any, said: str) -> None:
    client = make_client(chat={"history_size": 5})
    heard = Heard(client)
    emulator.script([answer])
    with pytest.raises(ResponseDecodeError, match=said) as caught:
        client.chat.completions(HELLO)
    assert caught.value.status == answer.get("status", 200)
    assert "api_base_url" in str(caught.value)
    assert heard.names == ["message_start", "message_error"]
    assert client.chat.get_chat_history() == []


def test_an_error_object_with_status_200(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"json": {"error": {"message": "overloaded", "code": 9}}}])
    with pytest.raises(ApiError, match="overloaded") as caught:
        client.chat.completions(HELLO)
    assert not isinstance(caught.value, ResponseDecodeError)
    assert caught.value.error_data == {"error": {"message": "overloaded", "code": 9}}


def test_no_exception_of_requests_comes_through(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=CHAT_PATH, reset=True)
    with pytest.raises(ApiConnectionError) as caught:
        client.chat.completions(HELLO)
    assert not isinstance(caught.value, requests.RequestException)
    assert isinstance(caught.value.__cause__, requests.ConnectionError)
    assert caught.value.sent is True


# ---- streams -------------------------------------------------------------------------------------------


def test_a_stream_as_chunks(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"chunks": ["Hel", "lo"]}])
    with client.chat.completions(HELLO, stream=True) as stream:
        chunks = list(stream)
        final = stream.final()
    assert [chunk.text for chunk in chunks if chunk.text] == ["Hel", "lo"]
    assert all(chunk.raw["object"] == "chat.completion.chunk" for chunk in chunks)
    assert (final.text, final.finish_reason) == ("Hello", "stop")
    assert final.http is not None
    assert (final.http.status, final.http.attempts) == (200, 1)
    assert final.request_id == emulator.requests.last("api").request_id
    assert emulator.requests.last("api").headers["Accept"] == "text/event-stream"


def test_a_stream_as_text_and_as_its_end(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"chunks": ["Hel", "lo"], "times": 2}])
    with client.chat.completions(HELLO, stream=True) as stream:
        assert list(stream.text) == ["Hel", "lo"]
    assert client.chat.completions(HELLO, stream=True).final().text == "Hello"


def test_streamed_calls_of_tools_and_thoughts(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5})
    heard = Heard(client)
    wanted = {"name": "look_up", "arguments": {"q": "a long enough text"}}
    emulator.script([{"content": None, "reasoning": "think a bit", "tool_calls": [wanted]}])
    with client.chat.completions(HELLO, stream=True) as stream:
        final = stream.final()
    assert final.tool_calls[0].function.arguments == '{"q": "a long enough text"}'
    stored = client.chat.get_chat_history()[1]
    assert (stored["reasoning"], stored["content"]) == ("think a bit", None)
    assert stored["tool_calls"] == [call("call_1", "look_up", '{"q": "a long enough text"}')]
    [complete] = heard.named("message_complete")
    assert (complete.reasoning, list(complete.tool_calls), complete.finish_reason) == ("think a bit", stored["tool_calls"], "tool_calls")


def test_events_of_a_stream(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5})
    heard = Heard(client)
    seen: list[Any] = []
    client.on("message_complete", lambda event: seen.append(len(client.chat.history)))
    pieces = ["0123456789", "0123456789", "01234567890123456789012345", "678"]  # 10, 20, 46, 49
    emulator.script([{"chunks": pieces}])
    with client.chat.completions([user("first"), user("last")], stream=True) as stream:
        assert heard.names == ["message_start"]
        list(stream)
    whole = "".join(pieces)
    tokens, progress = "message_tokens", "message_progress"
    assert heard.names == ["message_start", tokens, tokens, progress, tokens, progress, tokens, "message_complete"]
    assert heard.events[0].content == "last"
    assert heard.contents(tokens) == pieces
    assert heard.contents(progress) == [whole[:20], whole[:46]]
    assert heard.events[-1].content == whole
    assert {(event.chat_id, event.message_type) for event in heard.events} == {(client.chat.chat_id, "regular")}
    assert len({event.conversation_id for event in heard.events}) == 1
    assert seen == [3]  # the history had it before it was announced


def test_the_history_has_a_stream_once_it_is_complete(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5})
    emulator.script([{"chunks": ["a", "b"]}])
    with client.chat.completions(HELLO, stream=True) as stream:
        next(stream)
        assert client.chat.get_chat_history() == []
        list(stream)
    assert [m["content"] for m in client.chat.get_chat_history()] == ["Hello", "ab"]


@pytest.mark.parametrize("leave", ["with", "close", "break"])
def test_leaving_a_stream_ends_its_connection_and_stores_nothing(make_client: ClientMaker, emulator: Emulator, leave: str) -> None:
    client = make_client(chat={"history_size": 5})
    heard = Heard(client)
    emulator.script([{"chunks": ["a", "b"] * 20, "chunk_delay": 0.02}])
    with client.chat.completions(HELLO, stream=True) as stream:
        for chunk in stream:
            if chunk.text:
                break
        if leave == "close":
            stream.close()
            assert list(stream) == []
    emulator.requests.wait_until_idle()
    assert emulator.requests.last("api").aborted
    assert client.chat.get_chat_history() == []
    assert set(heard.names) == {"message_start", "message_tokens"}
    assert stream.partial is not None
    assert stream.partial.text == "a"
    with pytest.raises(StreamError, match="closed before"):
        stream.final()


def test_a_forgotten_stream_warns(client: AnimusClient) -> None:
    stream = client.chat.completions(HELLO, stream=True)
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        del stream
        gc.collect()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.chat.completions(HELLO, stream=True).final()
        gc.collect()


FRAME = {"choices": [{"index": 0, "delta": {"content": "some"}, "finish_reason": None}]}


@pytest.mark.parametrize(
    ("frames", "kind", "partial"),
    [
        ([{"json": FRAME}], StreamInterruptedError, "some"),
        ([{"json": FRAME}, {"data": "{broken"}], StreamDecodeError, "some"),
        ([{"json": FRAME}, {"data": "null"}], StreamDecodeError, "some"),
        ([{"json": FRAME}, {"json": {"error": {"message": "overloaded", "code": 529}}}], StreamApiError, "some"),
        ([{"json": FRAME}, {"raw": 'event: error\ndata: {"message": "overloaded"}\n\n'}], StreamApiError, "some"),
        ([], ResponseDecodeError, None),
        ([{"done": True}], ResponseDecodeError, None),
        ([{"raw": ": nothing but comments\n\n"}, {"done": True}], ResponseDecodeError, None),
        ([{"raw": json.dumps({"choices": [{"message": {"content": "json"}}]})}], ResponseDecodeError, None),
    ],
)
def test_a_stream_that_fails(make_client: ClientMaker, emulator: Emulator, frames: Any, kind: type[Exception], partial: str | None) -> None:
    client = make_client(chat={"history_size": 5})
    heard = Heard(client)
    emulator.script([{"sse": frames}])
    with client.chat.completions(HELLO, stream=True) as stream, pytest.raises(kind) as caught:
        list(stream)
    error: Any = caught.value
    assert (error.partial.text if error.partial is not None else None) == partial
    assert error.attempts == 1
    assert heard.names[0] == "message_start"
    assert heard.names[-1] == "message_error"
    assert heard.events[-1].error is error
    assert "message_complete" not in heard.names
    assert client.chat.get_chat_history() == []
    with pytest.raises(kind) as again:
        stream.final()
    assert type(again.value) is type(error)


def test_a_torn_stream(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5})
    emulator.script([{"chunks": ["so", "me", "text"]}])
    emulator.arm(path=CHAT_PATH, tear_after=3)
    with client.chat.completions(HELLO, stream=True) as stream, pytest.raises(StreamInterruptedError) as caught:
        list(stream)
    assert caught.value.partial.text == "some"
    assert client.chat.get_chat_history() == []
    assert emulator.requests.count(path=CHAT_PATH) == 1, "what began to arrive is not asked for again"


@pytest.mark.parametrize(("stall", "limit"), [(0, "first_event"), (3, "idle")])
def test_a_silent_stream(client: AnimusClient, emulator: Emulator, stall: int, limit: str) -> None:
    emulator.arm(path=CHAT_PATH, stall_after=stall)
    limits = {"first_event": 0.1 if not stall else 20, "idle": 0.1}
    with pytest.raises(StreamTimeoutError) as caught, client.chat.completions(HELLO, stream=True, timeouts=limits) as stream:
        list(stream)
    assert caught.value.limit == limit


def test_a_finished_answer_needs_no_marker(client: AnimusClient, emulator: Emulator) -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    emulator.script([{"sse": [{"json": FRAME}, {"json": end}]}])
    with client.chat.completions(HELLO, stream=True) as stream:
        assert stream.final().text == "some"
    assert not stream.done


def test_a_whole_answer_to_a_streaming_call(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(chat={"history_size": 5})
    whole = {"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}, "finish_reason": "stop"}]}
    emulator.script([{"json": whole, "times": 2}])
    heard = Heard(client, "message_start", "message_complete", "message_error")
    with client.chat.completions(HELLO, stream=True) as stream:
        assert list(stream.text) == ["whole"]
    assert stream.final().raw == whole
    assert heard.names == ["message_start", "message_complete"]
    assert len(client.chat.history) == 2
    assert client.chat.send("again", stream=True).text == "whole"


def test_a_whole_error_to_a_streaming_call(client: AnimusClient, emulator: Emulator) -> None:
    emulator.script([{"json": {"error": {"message": "overloaded"}}}, {"json": {"choices": []}}])
    with pytest.raises(ApiError, match="overloaded"):
        client.chat.completions(HELLO, stream=True)
    with pytest.raises(ResponseDecodeError, match="no choices"):
        client.chat.completions(HELLO, stream=True)


def test_the_connection_of_a_finished_stream_serves_again(client: AnimusClient, emulator: Emulator) -> None:
    for _ in range(3):
        client.chat.completions(HELLO, stream=True).final()
    client.chat.completions(HELLO)
    assert len({request.connection for request in emulator.requests.where(path=CHAT_PATH)}) == 1
