"""A streamed answer as an iterator: what it gives, and how it ends."""

from __future__ import annotations

import contextlib
import copy
import gc
import itertools
import json
import pickle
import threading
import warnings
import weakref
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.errors import (
    AnimusError,
    ApiConnectionError,
    ApiTimeoutError,
    ResponseDecodeError,
    StreamApiError,
    StreamDecodeError,
    StreamError,
    StreamInterruptedError,
    StreamTimeoutError,
)
from animus.models.answer import HttpInfo
from animus.models.chat import ChatCompletion, decode_completion
from animus.streaming.stream import ChatStream
from tests.streaming.bodies import DONE, BlockingBody, Body, Listener, frame, said

HELLO = (said(role="assistant"), said("Hel"), said("lo"), said(finish="stop"), DONE)


def test_iterating_gives_the_chunks_as_sent() -> None:
    chunks = list(ChatStream(Body(*HELLO)))
    assert [chunk.text for chunk in chunks] == ["", "Hel", "lo", ""]
    assert chunks[1].raw == {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]}


def test_text_gives_the_pieces_of_choice_0() -> None:
    body = Body(said("B", index=1), said("A"), said("a", index=0), DONE)
    assert list(ChatStream(body).text) == ["A", "a"]


def test_final_reads_to_the_end_and_can_be_asked_again() -> None:
    stream = ChatStream(Body(*HELLO), http=HttpInfo(status=200, headers={}), request_id="r1")
    final = stream.final()
    assert (final.text, final.finish_reason, final.request_id) == ("Hello", "stop", "r1")
    assert final.http is not None
    assert stream.final() is final
    assert stream.partial is final
    assert stream.done


def test_chunks_text_and_final_share_one_pass() -> None:
    stream = ChatStream(Body(*HELLO))
    assert next(stream).text == ""
    for chunk in stream:
        assert chunk.text == "Hel"
        break
    assert next(stream.text) == "lo"
    assert stream.final().text == "Hello"
    assert list(stream) == list(stream.text) == []
    with pytest.raises(StopIteration):
        next(stream)


def test_partial_grows() -> None:
    stream = ChatStream(Body(*HELLO))
    assert stream.partial is None
    seen = [stream.partial and stream.partial.text for _ in stream]
    assert seen == ["", "Hel", "Hello", "Hello"]


def test_nothing_is_read_behind_done() -> None:
    body = Body(*HELLO[:-1], DONE + said("ghost"), said("ghost"), AssertionError("read on"))
    with ChatStream(body) as stream:
        assert stream.final().text == "Hello"
    assert body.read == len(HELLO)
    assert body.log[-1] == "finish"


@pytest.mark.parametrize("end", ["[DONE] ", "\t[DONE]", "[DONE]\n\n: x"])
def test_done_may_have_space_around_it(end: str) -> None:
    assert ChatStream(Body(said("a"), frame(end))).final().text == "a"


def test_done_ends_even_an_unfinished_choice() -> None:
    assert ChatStream(Body(said("a"), DONE)).final().finish_reason is None


@pytest.mark.parametrize(
    "ending", [None, StreamInterruptedError("cut"), ApiConnectionError("cut"), StreamTimeoutError("late", limit="idle")]
)
def test_without_done_it_is_complete_if_every_choice_was_finished(ending: Exception | None) -> None:
    pieces: list[Any] = [said("A", finish="stop"), said("B", index=1, finish="length")]
    listener = Listener()
    stream = ChatStream(Body(*pieces, *([ending] if ending else [])), observer=listener)
    assert stream.final().text == "A"
    assert not stream.done
    assert listener.names == ["delta", "complete"]


@pytest.mark.parametrize("ending", [None, StreamInterruptedError("cut"), ApiConnectionError("cut")])
def test_without_done_it_is_interrupted_if_a_choice_was_not_finished(ending: Exception | None) -> None:
    pieces: list[Any] = [said("A", finish="stop"), said("B", index=1)]
    body, listener = Body(*pieces, *([ending] if ending else [])), Listener()
    stream = ChatStream(body, observer=listener, http=HttpInfo(status=200, headers={}, attempts=2))
    with pytest.raises(StreamInterruptedError) as caught:
        stream.final()
    error = caught.value
    assert [choice.message.content for choice in error.partial.choices] == ["A", "B"]
    assert error.attempts == 2
    assert "partial" in str(error)
    assert listener.heard == [("delta", "A"), ("failed", error)]
    assert body.log[-1] == "close"
    assert list(stream) == []


def test_an_event_without_its_blank_line_is_dropped() -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        ChatStream(Body(said("a"), said(finish="stop")[:-1])).final()
    assert caught.value.partial.text == "a"


@pytest.mark.parametrize("limit", ["first_event", "idle", "deadline"])
@pytest.mark.parametrize("kind", [StreamTimeoutError, ApiTimeoutError])
def test_a_time_limit_stays_one_and_gets_what_had_arrived(limit: str, kind: type[ApiTimeoutError]) -> None:
    listener = Listener()
    with pytest.raises(StreamTimeoutError) as caught:
        ChatStream(Body(said("a"), kind("silent", limit=limit, hint="Wait longer")), observer=listener).final()
    error = caught.value
    assert (error.limit, error.message, error.hint, error.partial.text) == (limit, "silent", "Wait longer", "a")
    assert listener.heard[-1] == ("failed", error)


def test_a_failure_can_be_asked_for_again() -> None:
    stream = ChatStream(Body(said("a")))
    with pytest.raises(StreamInterruptedError) as first:
        list(stream)
    with pytest.raises(StreamInterruptedError) as second:
        stream.final()
    assert second.value is not first.value
    assert (str(second.value), second.value.partial) == (str(first.value), first.value.partial)
    assert stream.partial == first.value.partial


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("oops my-secret-value", "it is no JSON: Expecting value at character 1 of 20"),
        ('{"choices": [{"delta": "my-secret-value"}]}', "$.choices[0].delta is a string, not an object"),
        ('{"choices": [{"delta": {"content": 42}}]}', "$.choices[0].delta.content is a number, not a string"),
        ('{"choices": [{"delta": {"tool_calls": [{"index": "0"}]}}]}', "$.choices[0].delta.tool_calls[0].index is a string, not a number"),
        ("[1]", "it is an array, not an object"),
        ("null", "it is null, not an object"),
        ('{"a":' * 100_000, "it is nested too deeply"),
    ],
)
def test_an_event_that_is_no_chunk_is_an_error_that_names_the_shape(data: str, why: str) -> None:
    body, listener = Body(said("a") + frame(data) + DONE), Listener()
    with pytest.raises(StreamDecodeError) as caught:
        ChatStream(body, observer=listener).final()
    error = caught.value
    assert error.message == f"event 2 of the stream is no chunk of an answer: {why}"
    assert error.partial.text == "a"
    assert listener.names == ["delta", "failed"]
    assert body.log == ["event", "close"]


@pytest.mark.parametrize(
    ("event", "message", "code", "kind", "status"),
    [
        (frame({"error": {"message": "busy", "type": "server_error", "code": "overloaded"}}), "busy", "overloaded", "server_error", None),
        (frame({"error": {"message": "busy", "code": 503}, "choices": "broken"}), "busy", 503, None, 503),
        (frame({"error": {"status": 429, "code": 7}, "message": "outside"}), "outside", 7, None, 429),
        (frame({"error": "busy"}), "busy", None, None, None),
        (frame({"error": {"detail": [{"loc": ["body", "n"], "msg": "too many"}]}}), "body.n: too many", None, None, None),
        (frame({"error": {"code": "rate_limit"}}), None, "rate_limit", None, None),
        (frame({"error": True}), None, None, None, None),
        (frame({"error": {"message": 5, "type": [], "code": {}}}), None, None, None, None),
        (frame({"error": {"message": "half \ud83d"}}), "half �", None, None, None),
        (b"event: error\n" + frame({"code": 500, "message": "down"}), "down", 500, None, 500),
        (b"event: error\n" + frame({"error": {"message": "down"}}), "down", None, None, None),
        (b"event: error\n" + frame({"error": None, "choices": []}), None, None, None, None),
        (b"event: error\n" + frame("plain words"), "plain words", None, None, None),
        (b"event: error\n" + frame(""), None, None, None, None),
        (b"event: error\n" + DONE, "[DONE]", None, None, None),
    ],
)
def test_an_error_in_the_stream_is_raised(event: bytes, message: str | None, code: Any, kind: str | None, status: int | None) -> None:
    listener = Listener()
    http = HttpInfo(status=200, headers={"x-request-id": "r1"})
    with pytest.raises(StreamApiError) as caught:
        ChatStream(Body(said("a") + event + said("ghost")), observer=listener, http=http).final()
    error = caught.value
    assert error.message == (message or "the API reported an error in the stream, without a message")
    assert (error.code, error.type, error.status, error.request_id) == (code, kind, status, "r1")
    assert error.partial.text == "a"
    assert listener.heard == [("delta", "a"), ("failed", error)]


@pytest.mark.parametrize("error", [None, False, 0, "", {}, []])
def test_an_error_field_with_nothing_in_it_is_none(error: Any) -> None:
    body = Body(frame({"choices": [{"delta": {"content": "a"}}], "error": error}), DONE)
    assert ChatStream(body).final().text == "a"


def test_what_a_server_says_is_scrubbed() -> None:
    secret = "sesame-opens-the-door"
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    said_by_server = {"error": {"message": f"{secret} and {token}", "code": secret, "type": secret, "more": {secret: [token]}}}
    with pytest.raises(StreamApiError) as caught:
        ChatStream(Body(frame(said_by_server)), secrets=(secret,)).final()
    shown = f"{caught.value!r} {caught.value.__dict__}"
    assert secret not in shown
    assert token not in shown


def test_an_error_that_nests_deeper_than_functions_call_is_an_error_all_the_same() -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"detail": deep}
    with pytest.raises(StreamApiError) as caught:
        ChatStream(Body(frame({"error": deep, "message": "down"}))).final()
    assert caught.value.partial is None


@pytest.mark.parametrize(
    "pieces", [(), (b": hi\n\n",), (b"<html>\n\n</html>\n",), (b'{"choices":[{"message":{"content":"x"}}]}',), (b"data:\n\n",)]
)
def test_a_stream_with_nothing_in_it_is_no_answer(pieces: tuple[bytes, ...]) -> None:
    listener = Listener()
    stream = ChatStream(Body(*pieces), http=HttpInfo(status=200, headers={}), observer=listener)
    with pytest.raises(ResponseDecodeError) as caught:
        stream.final()
    assert (caught.value.status, caught.value.partial) == (200, None)
    assert "api_base_url" in str(caught.value)
    assert listener.heard == [("failed", caught.value)]
    assert not stream.done


def test_a_stream_without_choices_is_no_answer() -> None:
    stream = ChatStream(Body(frame({"choices": [], "usage": {"total_tokens": 3}}), DONE))
    with pytest.raises(ResponseDecodeError) as caught:
        stream.final()
    assert caught.value.partial.usage.total_tokens == 3
    assert stream.done


def test_a_connection_that_breaks_before_any_event_is_interrupted() -> None:
    with pytest.raises(StreamInterruptedError) as caught:
        ChatStream(Body(b": hi\n\n", StreamInterruptedError("cut"))).final()
    assert caught.value.partial is None
    assert "partial" not in str(caught.value)


def test_a_connection_that_ends_behind_events_without_choices_is_interrupted() -> None:
    with pytest.raises(StreamInterruptedError):
        ChatStream(Body(frame({}))).final()


def test_only_real_events_count_for_the_idle_limit() -> None:
    body = Body(
        b": comment\n\n",
        b"data:\n\n",
        frame(" "),
        frame({}),
        b"event: ping\n" + frame({"type": "ping"}),
        said("a") + said("b"),
        frame({"choices": [], "usage": {"total_tokens": 1}}),
        DONE,
    )
    assert ChatStream(body).final().text == "ab"
    assert body.log == ["event", "event", "finish"]


def test_closing_early_ends_the_connection_and_tells_nobody() -> None:
    body, listener = Body(*HELLO), Listener()
    with ChatStream(body, observer=listener) as stream:
        for chunk in stream:
            if chunk.text:
                break
    assert body.log == ["event", "event", "close"]
    assert body.read == 2
    assert listener.heard == [("delta", "Hel")]
    assert list(stream) == list(stream.text) == []
    with pytest.raises(StreamError, match=r"closed before .* in \.partial") as caught:
        stream.final()
    assert type(caught.value) is StreamError
    assert caught.value.partial.text == "Hel"
    stream.close()
    assert body.log.count("close") == 1


@pytest.mark.parametrize("ending", [None, StreamInterruptedError("cut"), ValueError("read of closed file")])
def test_closing_from_another_thread_ends_a_blocked_reader_quietly(ending: Exception | None) -> None:
    body, listener = BlockingBody(said("a"), ending=ending), Listener()
    stream = ChatStream(body, observer=listener)
    texts: list[str] = []
    reader = threading.Thread(target=lambda: texts.extend(stream.text))
    reader.start()
    assert body.silent.wait(10)
    stream.close()
    reader.join(10)
    assert not reader.is_alive()
    assert texts == ["a"]
    assert listener.heard == [("delta", "a")]


def test_an_observer_may_close_the_stream() -> None:
    class Leaving(Listener):
        def delta(self, text: str) -> None:
            super().delta(text)
            stream.close()

    listener = Leaving()
    stream = ChatStream(Body(*HELLO), observer=listener)
    assert [chunk.text for chunk in stream] == ["", "Hel"]
    assert listener.names == ["delta"]


def test_the_observer_hears_the_end_before_the_iterator_ends() -> None:
    listener = Listener()
    stream = ChatStream(Body(*HELLO), observer=listener)
    for _ in stream:
        assert "complete" not in listener.names
    assert listener.heard == [("delta", "Hel"), ("delta", "lo"), ("complete", stream.final())]


def test_an_observer_that_raises_ends_the_stream() -> None:
    class Strict(Listener):
        def delta(self, text: str) -> None:
            raise LookupError("mine")

    body = Body(*HELLO)
    stream = ChatStream(body, observer=Strict())
    with pytest.raises(LookupError):
        list(stream)
    assert body.log[-1] == "close"
    assert list(stream) == []


def test_an_observer_that_raises_at_the_end_does_not_cost_the_answer() -> None:
    class Strict(Listener):
        def complete(self, completion: ChatCompletion) -> None:
            raise LookupError("mine")

    body = Body(*HELLO)
    stream = ChatStream(body, observer=Strict())
    with pytest.raises(LookupError):
        list(stream)
    assert stream.final().text == "Hello"
    assert body.log[-1] == "finish"


def test_an_unexpected_exception_of_the_body_goes_through() -> None:
    body, listener = Body(said("a"), ZeroDivisionError("bug")), Listener()
    with pytest.raises(ZeroDivisionError) as caught:
        ChatStream(body, observer=listener).final()
    assert listener.heard[-1] == ("failed", caught.value)
    assert body.log[-1] == "close"


def test_an_interrupt_goes_through_and_is_no_failure() -> None:
    body, listener = Body(said("a"), KeyboardInterrupt()), Listener()
    with pytest.raises(KeyboardInterrupt), ChatStream(body, observer=listener) as stream:
        stream.final()
    assert listener.names == ["delta"]
    assert body.log[-1] == "close"


def test_a_whole_answer_is_a_stream_of_one_chunk() -> None:
    message = {
        "content": "whole",
        "reasoning": "r",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}],
        "turns": ["whole"],
    }
    body = json.dumps({"id": "c1", "choices": [{"index": 0, "message": message}], "usage": {"total_tokens": 3}, "new": 1}).encode()
    completion = decode_completion(body, HttpInfo(status=200, headers={"x-request-id": "r1"}))
    listener = Listener()
    with ChatStream.of(completion, observer=listener) as stream:
        chunks = list(stream)
    assert [chunk.text for chunk in chunks] == ["whole"]
    assert chunks[0].raw == completion.raw
    delta = chunks[0].choices[0].delta
    assert delta.tool_calls is not None
    assert (delta.reasoning, delta.turns, delta.tool_calls[0].function) == ("r", ["whole"], completion.tool_calls[0].function)
    assert stream.final() is completion
    assert listener.heard == [("complete", completion)]  # nothing arrived piece by piece
    assert list(ChatStream.of(completion).text) == ["whole"]


def test_a_whole_answer_without_choices_is_no_answer() -> None:
    with pytest.raises(ResponseDecodeError):
        ChatStream.of(decode_completion(b"{}")).final()


def _streamed(pieces: list[str]) -> bytes:
    return b"".join(said(piece) for piece in pieces) + said(finish="stop") + DONE


@given(st.lists(st.text(st.characters(exclude_categories=()), max_size=3), max_size=8), st.lists(st.integers(0, 2000), max_size=6))
def test_text_and_deltas_are_whole_characters_and_sum_up_to_the_answer(pieces: list[str], cuts: list[int]) -> None:
    stream_bytes = _streamed(pieces)
    places = [0, *sorted(min(cut, len(stream_bytes)) for cut in cuts), len(stream_bytes)]
    body = [stream_bytes[start:end] for start, end in itertools.pairwise(places)]
    listener = Listener()
    stream = ChatStream(Body(*body), observer=listener)
    texts = list(stream.text)
    for text in [*texts, *(delta for name, delta in listener.heard if name == "delta")]:
        text.encode()
    expected = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert "".join(texts) == listener.text == stream.final().text == expected


def test_half_a_character_is_held_back() -> None:
    listener = Listener()
    stream = ChatStream(Body(said("a\ud83d"), said("\ude00b"), said("\ud83d"), said("c"), said("\ud83d"), DONE), observer=listener)
    assert list(stream.text) == ["a", "😀b", "�c", "�"]
    assert [text for name, text in listener.heard if name == "delta"] == ["a", "😀b", "�c", "�"]


def test_errors_pickle_with_what_had_arrived() -> None:
    for last in (frame({"error": "no"}), frame("oops"), b""):
        with pytest.raises(AnimusError) as caught:
            ChatStream(Body(said("a"), last)).final()
        twin = pickle.loads(pickle.dumps(caught.value))
        assert type(twin) is type(caught.value)
        assert twin.partial.text == "a"


def test_a_stream_is_not_pickled_nor_copied() -> None:
    with ChatStream(Body(*HELLO)) as stream:
        with pytest.raises(TypeError, match="final"):
            pickle.dumps(stream)
        with pytest.raises(TypeError, match="final"):
            copy.copy(stream)


def _dropped(stream: ChatStream) -> None:
    """Read a little, or to the end, and forget."""
    for chunk in stream:
        if chunk.text == "stay":
            break


@pytest.mark.parametrize("how", ["read", "interrupted", "malformed", "broken"])
def test_a_stream_that_ended_is_freed_without_the_collector(how: str) -> None:
    last: dict[str, tuple[Any, ...]] = {
        "read": (DONE,),
        "interrupted": (),
        "malformed": (frame("oops"),),
        "broken": (StreamInterruptedError,),
    }
    gc.disable()
    try:
        stream = ChatStream(Body(said("a"), *last.pop(how)))
        with_reference = weakref.ref(stream)
        with contextlib.suppress(AnimusError):
            _dropped(stream)
        del stream
        assert with_reference() is None
    finally:
        gc.enable()


def test_a_stream_that_was_forgotten_warns_and_ends_its_connection() -> None:
    body = Body(said("stay"), said("go"))
    stream = ChatStream(body)
    _dropped(stream)
    with pytest.warns(ResourceWarning, match="neither read to its end nor closed"):
        del stream
    assert body.log[-1] == "close"


@pytest.mark.parametrize("how", ["read", "closed", "failed", "whole"])
def test_a_stream_that_came_to_an_end_does_not_warn(how: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream = (
            ChatStream.of(decode_completion(b'{"choices":[{"message":{}}]}'))
            if how == "whole"
            else ChatStream(Body(*HELLO[:3], *HELLO[3 : 5 if how == "read" else 3]))
        )
        if how == "read":
            stream.final()
        elif how == "closed":
            stream.close()
        elif how == "failed":
            with pytest.raises(StreamInterruptedError):
                stream.final()
        del stream
        gc.collect()


def test_repr_says_where_it_stands() -> None:
    with ChatStream(Body(*HELLO)) as stream:
        next(stream)
        assert repr(stream) == "<ChatStream open, 1 events>"
    assert repr(stream) == "<ChatStream closed, 1 events>"
