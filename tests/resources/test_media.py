"""``client.media``: what goes on the wire, what comes back, and how videos are waited for."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from animus import (
    AnimusClient,
    ApiConnectionError,
    ApiError,
    BadRequestError,
    ConfigurationError,
    JobError,
    JobFailedError,
    JobTimeoutError,
    NotFoundError,
    ResponseDecodeError,
    ServerError,
)
from animus.emulator import Emulator
from animus.models.media import MediaAnalysis, MediaMetadata
from animus.testing import ManualClock
from tests.wired import ClientMaker, Heard, assistant, bodies, user

VISION = {"model": "seer"}
COMPLETIONS = "/media/completions"
CATEGORIES = "/media/categories"
JOB = f"{CATEGORIES}/job-1"
PICTURE = "https://pictures.example/red-boat.png"
VIDEO = "https://videos.example/red-boat.mp4"
PARTS = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]

# calls made wrongly on purpose, which type checkers rightly refuse
Wrongly = Callable[..., Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> AnimusClient:
    emulator.clock = clock
    return make_client(vision=VISION, clock=clock, retry=0)


def text_part(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def script_job(emulator: Emulator, *states: dict[str, Any], first: dict[str, Any] | None = None) -> None:
    """Have an analysis answered with ``first``, and the looks at its job with ``states`` in order."""
    emulator.script([{"json": {"job_id": "job-1"} if first is None else first, "when": {"path": CATEGORIES}}])
    emulator.script([{"json": state, "when": {"path": JOB}} for state in states], strict=True)


# ---- questions -----------------------------------------------------------------------------------------


def test_text_becomes_a_part_and_parts_stay(client: AnimusClient, emulator: Emulator) -> None:
    completion = client.media.completions([{"role": "system", "content": "Short."}, user(PARTS), assistant("A boat."), user("")])
    assert bodies(emulator, COMPLETIONS) == [
        {
            "messages": [
                {"role": "system", "content": text_part("Short.")},
                {"role": "user", "content": PARTS},
                {"role": "assistant", "content": text_part("A boat.")},
                {"role": "user", "content": text_part("")},
            ],
            "model": "seer",
        }
    ]
    assert "red-boat.png" in completion.text
    assert completion.model == "seer"
    assert completion.raw["choices"][0]["message"]["content"] == completion.text
    assert completion.http is not None
    assert completion.request_id == "req-000002"


def test_nothing_of_the_callers_is_changed_and_bookkeeping_stays_here(client: AnimusClient, emulator: Emulator) -> None:
    messages = ({**user("a"), "name": "Ada", "timestamp": "now", "group_id": "g"}, MappingProxyType(user(tuple(PARTS))))
    before = copy.deepcopy([dict(message) for message in messages])
    client.media.completions(messages)
    assert [dict(message) for message in messages] == before
    assert bodies(emulator, COMPLETIONS)[0]["messages"] == [{**user(text_part("a")), "name": "Ada"}, user(PARTS)]


@pytest.mark.parametrize(
    ("vision", "parameters", "fields"),
    [
        (VISION, {}, {"model": "seer"}),
        (VISION, {"model": "other"}, {"model": "other"}),
        (VISION, {"model": None}, {"model": "seer"}),
        (None, {"model": "other"}, {"model": "other"}),
        (VISION, {"temperature": 0.1}, {"model": "seer", "temperature": 0.1}),
        ({**VISION, "temperature": 0.5}, {}, {"model": "seer", "temperature": 0.5}),
        ({**VISION, "temperature": 0.5}, {"temperature": 0}, {"model": "seer", "temperature": 0}),
        ({**VISION, "temperature": 0.5}, {"temperature": None}, {"model": "seer"}),
        (VISION, {"extra_body": {"max_tokens": 5}}, {"model": "seer", "max_tokens": 5}),
    ],
)
def test_each_parameter_is_sent(make_client: ClientMaker, emulator: Emulator, vision: Any, parameters: Any, fields: Any) -> None:
    make_client(vision=vision).media.completions([user("a")], **parameters)
    assert bodies(emulator, COMPLETIONS) == [{"messages": [user(text_part("a"))], **fields}]


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ("Hello", "messages must be a list of messages, not a str"),
        (user("a"), "messages must be a list"),
        (None, "messages must be a list"),
        ([user("a"), "b"], r"messages\[1\] must be a mapping"),
        ([{"content": "a"}], r"messages\[0\] has the role None"),
        ([user(None)], r"messages\[0\] has no content"),
        ([user(3)], r"messages\[0\] has no content"),
        ([user([*PARTS, "c"])], r"messages\[0\].content\[2\] must be a mapping"),
    ],
)
def test_what_is_no_message_is_refused_before_anything_is_sent(client: AnimusClient, emulator: Emulator, messages: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        client.media.completions(messages)
    assert emulator.requests.count() == 0


@pytest.mark.parametrize("parameters", [{"model": ""}, {"model": 3}, {"temperature": 3}, {"temperature": "hot"}, {"extra_body": 3}])
def test_what_is_not_allowed_is_refused(client: AnimusClient, emulator: Emulator, parameters: Any) -> None:
    with pytest.raises(ConfigurationError):
        client.media.completions([user("a")], **parameters)
    assert emulator.requests.count() == 0


@pytest.mark.parametrize("answer", [{"json": {"choices": []}}, {"json": []}, {"body": "<html>"}, {"status": 204}])
def test_an_answer_that_is_no_completion_is_an_error(client: AnimusClient, emulator: Emulator, answer: dict[str, Any]) -> None:
    emulator.script([{**answer, "when": {"path": COMPLETIONS}}])
    with pytest.raises(ResponseDecodeError) as caught:
        client.media.completions([user("a")])
    assert caught.value.status == answer.get("status", 200)


def test_questions_are_repeated_as_chat_is(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    emulator.arm(path=COMPLETIONS, status=500)
    assert make_client(vision=VISION, clock=clock).media.completions([user("a")]).http is not None
    assert emulator.requests.count(path=COMPLETIONS) == 2


def test_media_calls_touch_no_history_and_tell_nothing_of_messages(make_client: ClientMaker) -> None:
    client = make_client(chat={"history_size": 10}, vision=VISION)
    heard = Heard(client)
    client.media.completions([user("a")])
    client.media.analyze(PICTURE, metadata=["tags"])
    assert client.chat.get_chat_history() == []
    assert heard.names == []


# ---- keywords and models -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("max_tokens", "extra_body"),
        ("stream", "extra_body"),
        ("temprature", "'temperature'"),
        ("extraBody", "'extra_body'"),
        ("message", "'messages'"),
    ],
)
def test_an_unknown_keyword_of_completions_names_the_near_one(client: AnimusClient, emulator: Emulator, keyword: str, hint: str) -> None:
    wrongly: Wrongly = client.media.completions
    with pytest.raises(TypeError, match=rf"media.completions\(\) got an unexpected keyword argument '{keyword}'.*{hint}"):
        wrongly([user("a")], **{keyword: 1})
    assert emulator.requests.count() == 0


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [("webhook", "extra_body"), ("customPayload", "'custom_payload'"), ("use_scene", "'use_scenes'"), ("time_out", "'timeout'")],
)
def test_an_unknown_keyword_of_analyze_names_the_near_one(client: AnimusClient, emulator: Emulator, keyword: str, hint: str) -> None:
    wrongly: Wrongly = client.media.analyze
    with pytest.raises(TypeError, match=rf"media.analyze\(\) got an unexpected keyword argument '{keyword}'.*{hint}"):
        wrongly(PICTURE, metadata=["tags"], **{keyword: 1})
    assert emulator.requests.count() == 0


def test_without_a_model_nothing_is_sent(make_client: ClientMaker, emulator: Emulator) -> None:
    media = make_client().media
    for ask in (lambda: media.completions([user("a")]), lambda: media.analyze(PICTURE, metadata=["tags"])):
        with pytest.raises(ConfigurationError, match=r"no vision model\. Pass model="):
            ask()
    with pytest.raises(ConfigurationError):
        media.completions([user("a")], model="")
    assert emulator.requests.count() == 0


# ---- images --------------------------------------------------------------------------------------------


def test_an_image_is_answered_at_once(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    heard = Heard(client)
    analysis = client.media.analyze(PICTURE, metadata=["tags", "scene"])
    assert isinstance(analysis.metadata, MediaMetadata)
    assert {"red", "boat"} <= set(analysis.tags)
    assert analysis.metadata.actions is None
    assert analysis.raw == {"metadata": {"tags": analysis.tags, "scene": analysis.scene}}
    assert (analysis.outcome, analysis.request_id) == ("succeeded", "req-000002")
    assert analysis.http is not None
    assert heard.names == []
    assert clock.waits == []


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        ({"metadata": ["tags"]}, {"metadata": ["tags"], "model": "seer"}),
        ({"metadata": ("tags", "scene")}, {"metadata": ["tags", "scene"], "model": "seer"}),
        ({"metadata": "tags"}, {"metadata": ["tags"], "model": "seer"}),
        ({"metadata": ["colours"]}, {"metadata": ["colours"], "model": "seer"}),
        ({"metadata": ["tags"], "model": "other"}, {"metadata": ["tags"], "model": "other"}),
        ({"metadata": ["tags"], "model": ""}, {"metadata": ["tags"], "model": ""}),
        ({"metadata": ["tags"], "use_scenes": False}, {"metadata": ["tags"], "model": "seer", "use_scenes": False}),
        ({"metadata": ["tags"], "use_scenes": None}, {"metadata": ["tags"], "model": "seer"}),
        ({"metadata": ["tags"], "custom_payload": {}}, {"metadata": ["tags"], "model": "seer", "custom_payload": {}}),
        (
            {"metadata": ["tags"], "custom_payload": MappingProxyType({"id": 7}), "extra_body": {"webhook": "w"}},
            {"metadata": ["tags"], "model": "seer", "custom_payload": {"id": 7}, "webhook": "w"},
        ),
    ],
)
def test_each_parameter_of_analyze_is_sent(client: AnimusClient, emulator: Emulator, parameters: Any, fields: Any) -> None:
    emulator.arm(path=CATEGORIES, status=200, body={"metadata": {}})
    assert client.media.analyze(PICTURE, **parameters).raw == {"metadata": {}}
    assert bodies(emulator, CATEGORIES) == [{"media_url": PICTURE, **fields}]


@pytest.mark.parametrize(
    "parameters",
    [
        {"metadata": None},
        {"metadata": [1]},
        {"metadata": {"tags": 1}},
        {"metadata": ["tags"], "model": 3},
        {"metadata": ["tags"], "use_scenes": 1},
        {"metadata": ["tags"], "custom_payload": "x"},
        {"metadata": ["tags"], "extra_body": []},
        {"metadata": ["tags"], "timeout": -1},
        {"metadata": ["tags"], "interval": 0},
    ],
)
def test_what_analyze_does_not_allow_is_refused(client: AnimusClient, emulator: Emulator, parameters: Any) -> None:
    with pytest.raises(ConfigurationError):
        client.media.analyze(PICTURE, **parameters)
    with pytest.raises(ConfigurationError):
        client.media.analyze(3, metadata=["tags"])  # type: ignore[arg-type]
    assert emulator.requests.count() == 0


@pytest.mark.parametrize("answer", [{"status": 204}, {"json": []}, {"json": None}, {"body": "ready"}, {"json": {"status": "PROCESSING"}}])
def test_an_answer_that_is_no_analysis_is_an_error(client: AnimusClient, emulator: Emulator, answer: dict[str, Any]) -> None:
    emulator.script([{**answer, "when": {"path": CATEGORIES}}])
    with pytest.raises(ResponseDecodeError) as caught:
        client.media.analyze(PICTURE, metadata=["tags"])
    assert caught.value.status == answer.get("status", 200)


def test_an_error_object_with_status_200_is_an_error(client: AnimusClient, emulator: Emulator) -> None:
    script_job(emulator, first={"error": {"message": "no such file"}})
    with pytest.raises(ApiError, match="no such file") as caught:
        client.media.analyze(PICTURE, metadata=["tags"])
    assert caught.value.error_data == {"error": {"message": "no such file"}}


def test_a_failure_without_a_job_is_a_failure(client: AnimusClient, emulator: Emulator) -> None:
    script_job(emulator, first={"status": "failed", "message": "no such file"})
    with pytest.raises(JobFailedError, match="no such file"):
        client.media.analyze(PICTURE, metadata=["tags"])


def test_a_refused_analysis_is_an_api_error(client: AnimusClient) -> None:
    with pytest.raises(BadRequestError, match=r"corrupt\.png"):
        client.media.analyze("https://pictures.example/corrupt.png", metadata=["tags"])


# ---- videos --------------------------------------------------------------------------------------------


def test_a_video_is_waited_for(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    heard = Heard(client)
    analysis = client.media.analyze(VIDEO, metadata=["tags", "actions"], custom_payload={"id": 7})
    assert analysis.status == "COMPLETED"
    assert [scene.timestamp for scene in analysis.results or ()] == ["00:00:00", "00:00:10", "00:00:20"]
    assert {"red", "boat"} <= set(analysis.tags)
    assert analysis.custom_payload == {"id": 7}
    assert clock.waits == [5.0, 5.0]
    told = [(event.kind, event.status, event.percent) for event in heard.named("job_progress")]
    assert told == [
        ("media analysis", "CREATED", None),
        ("media analysis", "PROCESSING", 33),
        ("media analysis", "PROCESSING", 66),
        ("media analysis", "COMPLETED", 100),
    ]
    [end] = heard.named("job_complete")
    assert (end.job_id, end.error) == (analysis.job_id, None)


def test_a_job_that_begins_complete_is_not_looked_at(client: AnimusClient, emulator: Emulator) -> None:
    first = {"job_id": "job-1", "status": "completed", "results": [{"tags": ["x"]}]}
    script_job(emulator, first=first)
    analysis = client.media.analyze(VIDEO, metadata=["tags"])
    assert (analysis.raw, analysis.tags) == (first, ["x"])


def test_the_result_is_what_the_last_look_gave(client: AnimusClient, emulator: Emulator) -> None:
    script_job(emulator, {"status": "PROCESSING"}, {"status": "Completed", "results": []})
    analysis = client.media.analyze(VIDEO, metadata=["tags"])
    assert analysis.raw == {"status": "Completed", "results": []}
    assert analysis.job_id == "job-1", "known although the API left it out"
    assert analysis.request_id == emulator.requests.last(path=JOB).request_id


def test_a_failed_job_says_why(client: AnimusClient, emulator: Emulator) -> None:
    script_job(emulator, {"job_id": "job-1", "status": "FAILED", "reason": "codec"})
    with pytest.raises(JobFailedError, match="the media analysis job job-1 ended as 'FAILED': codec") as caught:
        client.media.analyze(VIDEO, metadata=["tags"])
    assert caught.value.job.raw["reason"] == "codec"
    twin = pickle.loads(pickle.dumps(caught.value))
    assert twin.job == caught.value.job
    assert twin.job.raw == caught.value.job.raw


def test_a_video_that_cannot_be_read_fails_after_a_while(client: AnimusClient, clock: ManualClock) -> None:
    with pytest.raises(JobFailedError, match=r"corrupt\.mp4 cannot be decoded"):
        client.media.analyze("https://videos.example/corrupt.mp4", metadata=["tags"])
    assert clock.waits == [5.0, 5.0]


def test_a_reason_shows_no_token(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(lambda: emulator.issue_token(), vision=VISION)
    client.media.analyze(PICTURE, metadata=["tags"])
    token = emulator.requests.last(path=CATEGORIES).headers["Authorization"].partition(" ")[2]
    script_job(emulator, {"status": "FAILED", "reason": f"bad bearer {token} {token.rpartition('.')[2]}"})
    with pytest.raises(JobFailedError, match="bad bearer") as caught:
        client.media.analyze(VIDEO, metadata=["tags"])
    assert token.rpartition(".")[2] not in f"{caught.value} {caught.value!r} {caught.value.message}"


def test_time_is_up_and_one_goes_on_later(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    emulator.media_jobs.duration = 400.0
    with pytest.raises(JobTimeoutError, match="within 300 s") as caught:
        client.media.analyze(VIDEO, metadata=["tags"])
    assert sum(clock.waits) == 295.0  # type: ignore[arg-type]
    assert caught.value.job.status == "PROCESSING"
    analysis = client.media.wait_for_analysis(caught.value.job)
    assert analysis.status == "COMPLETED"
    assert client.media.wait_for_analysis(str(analysis.job_id)).results == analysis.results


def test_one_need_not_wait(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    emulator.media_jobs.looks = 2
    heard = Heard(client)
    job = client.media.analyze(VIDEO, metadata=["tags"], wait=False)
    assert (job.status, job.outcome, heard.names) == ("CREATED", "pending", [])
    assert client.media.get_analysis_status(job).status == "PROCESSING"
    assert client.media.wait_for_analysis(job).outcome == "succeeded"
    assert clock.waits == []


def test_limit_and_interval_can_be_chosen(client: AnimusClient, emulator: Emulator, clock: ManualClock) -> None:
    emulator.media_jobs.looks = 99
    with pytest.raises(JobTimeoutError):
        client.media.analyze(VIDEO, metadata=["tags"], timeout=7, interval=3)
    assert clock.waits == [3, 3]


def test_an_unknown_job_ends_the_wait_with_what_is_known(client: AnimusClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.media.wait_for_analysis("nothing")
    assert caught.value.partial == MediaAnalysis(job_id="nothing")


def test_a_look_is_repeated_and_then_borne(make_client: ClientMaker, emulator: Emulator, clock: ManualClock) -> None:
    emulator.clock = clock
    client = make_client(vision=VISION, clock=clock)
    job = client.media.analyze(VIDEO, metadata=["tags"], wait=False)
    emulator.arm(path=f"{CATEGORIES}/{job.job_id}", status=502, times=9)
    assert client.media.wait_for_analysis(job).status == "COMPLETED"
    assert emulator.requests.count(path=f"{CATEGORIES}/{job.job_id}") == 3 * 3 + 3


def test_without_repeats_a_failed_look_ends_the_wait(client: AnimusClient, emulator: Emulator) -> None:
    job = client.media.analyze(VIDEO, metadata=["tags"], wait=False)
    for fault in ({"status": 503}, {"reset": True}):
        emulator.arm(path=f"{CATEGORIES}/{job.job_id}", **fault)
        with pytest.raises((ServerError, ApiConnectionError)) as caught:
            client.media.wait_for_analysis(job)
        assert caught.value.partial == job
    assert emulator.requests.count(path=f"{CATEGORIES}/{job.job_id}") == 2
    emulator.arm(path=f"{CATEGORIES}/{job.job_id}", status=503)
    assert client.media.wait_for_analysis(job, retry=1).status == "COMPLETED", "a policy of the call's own"


def test_the_token_is_renewed_while_waiting(client: AnimusClient, emulator: Emulator) -> None:
    job = client.media.analyze(VIDEO, metadata=["tags"], wait=False)
    emulator.revoke_tokens()
    assert client.media.wait_for_analysis(job).status == "COMPLETED"
    assert emulator.requests.count("token") == 2


# ---- a single look -------------------------------------------------------------------------------------


def test_a_failed_job_can_be_looked_at(client: AnimusClient, emulator: Emulator) -> None:
    script_job(emulator, {"job_id": "job-1", "status": "FAILED"})
    assert client.media.get_analysis_status("job-1").outcome == "failed"


def test_a_look_asks_once(client: AnimusClient, emulator: Emulator) -> None:
    emulator.arm(path=JOB, status=503)
    with pytest.raises(ServerError):
        client.media.get_analysis_status("job-1")
    assert emulator.requests.count(path=JOB) == 1
    assert emulator.requests.last(path=JOB).body == b""
    assert "Content-Type" not in emulator.requests.last(path=JOB).headers


@pytest.mark.parametrize("answer", [{"status": 204}, {"json": []}, {"body": "ready"}])
def test_a_look_at_something_else_is_an_error(client: AnimusClient, emulator: Emulator, answer: dict[str, Any]) -> None:
    emulator.script([{**answer, "when": {"path": JOB}}] * 2)
    with pytest.raises(ResponseDecodeError):
        client.media.get_analysis_status("job-1")
    with pytest.raises(ResponseDecodeError) as caught:
        client.media.wait_for_analysis("job-1")
    assert caught.value.partial == MediaAnalysis(job_id="job-1")


@pytest.mark.parametrize("job_id", ["", " ", None, 3, ".", "..", MediaAnalysis()])
def test_an_id_that_leads_elsewhere_is_refused(client: AnimusClient, emulator: Emulator, job_id: Any) -> None:
    for look in (client.media.get_analysis_status, client.media.wait_for_analysis):
        with pytest.raises(ValueError, match="job_id"):
            look(job_id)
    assert emulator.requests.count() == 0


@pytest.mark.parametrize("job_id", ["a/b?c=1", "../completions", "%2e%2e", "x y#z", "http://elsewhere.example/"])
def test_an_id_stays_one_part_of_the_path(client: AnimusClient, emulator: Emulator, job_id: str) -> None:
    with pytest.raises(NotFoundError):
        client.media.get_analysis_status(job_id)
    request = emulator.requests.last(kind="api")
    assert (request.path, request.query) == (f"/v3{CATEGORIES}/{job_id}", "")


# ---- closing, views, identities ------------------------------------------------------------------------


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


@pytest.mark.parametrize("closed", ["client", "view", "root"])
@pytest.mark.parametrize("during", ["pause", "look"])
def test_closing_the_client_ends_the_wait(make_client: ClientMaker, emulator: Emulator, closed: str, during: str) -> None:
    clock = ManualClock(auto_advance=False)
    root = make_client(vision=VISION, clock=clock, retry=0)
    client = {"client": root, "view": root.with_options(retry=0), "root": root.for_identity("ada")}[closed]
    client.clear_auth_token()
    job = client.media.analyze(VIDEO, metadata=["tags"], wait=False)
    looked = threading.Event()
    client.on("request_start", lambda event: looked.set())
    client.on("job_progress", lambda event: looked.set())
    if during == "look":
        emulator.arm(path=f"{CATEGORIES}/{job.job_id}", delay=20.0)
    thread, raised = in_thread(lambda: client.media.wait_for_analysis(job))
    assert looked.wait(10)
    if during == "pause":
        clock.wait_until_blocked()
    root.close()
    thread.join(10)
    assert not thread.is_alive()
    [error] = raised
    assert type(error) is JobError
    assert "the client was closed" in str(error)
    assert error.job.job_id == job.job_id


@pytest.mark.parametrize("make", [lambda root: root.for_identity("ada"), lambda root: root.with_options(retry=1)], ids=["identity", "view"])
def test_closing_an_identity_or_a_view_ends_only_its_own_waits(
    make_client: ClientMaker, emulator: Emulator, make: Callable[[AnimusClient], AnimusClient]
) -> None:
    clock = ManualClock(auto_advance=False)
    bob = make_client(vision=VISION, clock=clock)
    ada = make(bob)
    emulator.media_jobs.looks = 2
    jobs = [each.media.analyze(VIDEO, metadata=["tags"], wait=False) for each in (ada, bob)]
    first, of_ada = in_thread(lambda: ada.media.wait_for_analysis(jobs[0]))
    second, of_bob = in_thread(lambda: bob.media.wait_for_analysis(jobs[1]))
    clock.wait_until_blocked(2)
    ada.close()
    first.join(10)
    assert [type(error) for error in of_ada] == [JobError]
    clock.advance(5)
    second.join(10)
    assert (second.is_alive(), of_bob) == (False, [])


def test_a_view_keeps_the_model_and_has_its_own_policy(make_client: ClientMaker, emulator: Emulator) -> None:
    client = make_client(vision=VISION)
    emulator.arm(path=COMPLETIONS, status=503)
    with pytest.raises(ServerError):
        client.with_options(retry=0).media.completions([user("a")])
    assert bodies(emulator, COMPLETIONS)[0]["model"] == "seer"


def test_a_pickled_client_has_its_vision_settings(make_client: ClientMaker, emulator: Emulator) -> None:
    twin = pickle.loads(pickle.dumps(make_client(vision={**VISION, "temperature": 0.5})))
    with twin:
        twin.media.completions([user("a")])
    assert bodies(emulator, COMPLETIONS)[0]["temperature"] == 0.5
