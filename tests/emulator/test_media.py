from __future__ import annotations

from typing import Any

import pytest
import requests

from animus.emulator import Emulator
from animus.emulator.media_jobs import MediaJobs
from animus.emulator.sight import KINDS, is_video, name_of, seen_in
from animus.testing.clock import ManualClock
from tests.emulator.caller import Caller

CATEGORIES = "/media/categories"
COMPLETIONS = "/media/completions"
PICTURE = "https://pictures.example/holiday/red-boat.jpg?size=2"
VIDEO = "https://videos.example/red-boat.mp4"


def look(caller: Caller, job_id: str) -> dict[str, Any]:
    response = caller.session.get(f"{caller.emulator.api_base_url}{CATEGORIES}/{job_id}", timeout=20)
    assert response.status_code == 200, response.text
    state: dict[str, Any] = response.json()
    return state


def begin(caller: Caller, url: str = VIDEO, **fields: Any) -> dict[str, Any]:
    response = caller.post(CATEGORIES, json={"media_url": url, "metadata": ["tags"], **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def part(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_a_picture_is_answered_at_once_with_the_kinds_asked_for(caller: Caller) -> None:
    response = caller.post(CATEGORIES, json={"media_url": PICTURE, "metadata": ["tags", "scene"], "model": "v"})
    found = response.json()
    assert set(found) == {"metadata"}
    assert set(found["metadata"]) == {"tags", "scene"}
    assert {"red", "boat"} <= set(found["metadata"]["tags"])
    assert found["metadata"] == seen_in(PICTURE, ["tags", "scene"])


def test_a_video_is_a_job_that_moves_with_each_look(caller: Caller) -> None:
    begun = begin(caller, custom_payload={"id": 7})
    assert begun == {"job_id": begun["job_id"], "status": "CREATED", "custom_payload": {"id": 7}}
    states = [look(caller, begun["job_id"]) for _ in range(4)]
    assert [(state["status"], state["percent_complete"]) for state in states] == [
        ("PROCESSING", 33),
        ("PROCESSING", 66),
        ("COMPLETED", 100),
        ("COMPLETED", 100),
    ]
    assert states[3]["custom_payload"] == {"id": 7}
    assert [set(frame) for frame in states[3]["results"]] == [{"timestamp", "tags"}] * 3
    assert "results" not in states[1]


def test_use_scenes_takes_fewer_frames(emulator: Emulator, caller: Caller) -> None:
    emulator.media_jobs.looks = 1
    job = look(caller, begin(caller, use_scenes=True)["job_id"])
    assert [frame["timestamp"] for frame in job["results"]] == ["00:00:00", "00:00:10"]


def test_a_job_can_follow_the_clock() -> None:
    clock = ManualClock()
    jobs = MediaJobs()
    jobs.duration = 20.0
    job_id = jobs.begin([], None, None, clock.now)["job_id"]
    assert jobs.look(job_id, clock.now) == {"job_id": job_id, "status": "CREATED", "percent_complete": 0}
    clock.advance(5)
    assert jobs.look(job_id, clock.now) == {"job_id": job_id, "status": "PROCESSING", "percent_complete": 25}
    clock.advance(15)
    assert jobs.look(job_id, clock.now) == {"job_id": job_id, "status": "COMPLETED", "percent_complete": 100, "results": []}


def test_what_cannot_be_read_fails(caller: Caller, emulator: Emulator) -> None:
    emulator.media_jobs.looks = 1
    job = look(caller, begin(caller, "https://videos.example/corrupt.mov")["job_id"])
    assert (job["status"], job["error"]) == ("FAILED", "corrupt.mov cannot be decoded")
    response = caller.post(CATEGORIES, json={"media_url": "https://p.example/corrupt.png", "metadata": ["tags"]})
    assert response.status_code == 400


def test_unknown_jobs_are_404(caller: Caller) -> None:
    response = caller.session.get(f"{caller.emulator.api_base_url}{CATEGORIES}/nothing", timeout=20)
    assert (response.status_code, response.json()) == (404, {"detail": "Job not found"})


def test_reset_forgets_jobs_and_settings(emulator: Emulator) -> None:
    emulator.media_jobs.looks, emulator.media_jobs.duration = 9, 9.0
    job_id = emulator.media_jobs.begin([], None, None, 0.0)["job_id"]
    emulator.reset()
    assert emulator.media_jobs.looks == 3
    assert not emulator.media_jobs.duration
    assert emulator.media_jobs.look(job_id, 0.0) is None


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"metadata": ["tags"]}, ["media_url"]),
        ({"media_url": PICTURE}, ["metadata"]),
        ({"media_url": PICTURE, "metadata": []}, ["metadata"]),
        ({"media_url": PICTURE, "metadata": ["tags", "colour"]}, ["metadata", 1]),
        ({"media_url": PICTURE, "metadata": ["tags"], "use_scenes": 1}, ["use_scenes"]),
        ({"media_url": PICTURE, "metadata": ["tags"], "custom_payload": []}, ["custom_payload"]),
    ],
)
def test_bad_categories_requests_are_422(caller: Caller, body: dict[str, Any], place: list[Any]) -> None:
    response = caller.post(CATEGORIES, json=body)
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["body", *place]


@pytest.mark.parametrize("url", ["", "ftp://x/y.png", "picture.png"])
def test_an_address_that_nobody_can_fetch_is_400(caller: Caller, url: str) -> None:
    assert caller.post(CATEGORIES, json={"media_url": url, "metadata": ["tags"]}).status_code == 400


def test_a_question_about_pictures_is_answered_with_a_completion(caller: Caller) -> None:
    content = [{"type": "text", "text": "What is this?"}, part(PICTURE), part("data:image/png;base64,AA")]
    answer = caller.post(COMPLETIONS, json={"model": "v", "messages": [{"role": "user", "content": content}], "temperature": 0.1}).json()
    text = answer["choices"][0]["message"]["content"]
    assert answer["model"] == "v"
    assert "red-boat.jpg" in text
    assert "image/png" in text
    assert '"What is this?"' in text


def test_a_question_without_pictures_is_answered_too(caller: Caller) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}
    assert caller.post(COMPLETIONS, json=body).json()["choices"][0]["message"]["content"] == "I see no picture."


@pytest.mark.parametrize("content", ["text", [part("x"), 3], [{"type": "video"}], [{"type": "image_url"}], [{"type": "text"}]])
def test_content_must_be_a_list_of_known_parts(caller: Caller, content: Any) -> None:
    assert caller.post(COMPLETIONS, json={"messages": [{"role": "user", "content": content}]}).status_code == 422


def test_media_can_be_scripted(emulator: Emulator, caller: Caller) -> None:
    emulator.script([
        {"content": "A cat.", "when": {"path": COMPLETIONS, "contains": "what"}},
        {"json": {"job_id": "j"}, "when": {"path": CATEGORIES}},
        {"json": {"status": "SIMMERING"}, "when": {"path": f"{CATEGORIES}/j"}},
    ])
    question = [{"role": "user", "content": [{"type": "text", "text": "What?"}]}]
    assert caller.post(COMPLETIONS, json={"messages": question}).json()["choices"][0]["message"]["content"] == "A cat."
    assert begin(caller, PICTURE) == {"job_id": "j"}
    assert look(caller, "j") == {"status": "SIMMERING"}


def test_media_needs_a_token(emulator: Emulator) -> None:
    assert requests.post(f"{emulator.api_base_url}{CATEGORIES}", json={}, timeout=20).status_code == 401
    assert requests.get(f"{emulator.api_base_url}{CATEGORIES}/j", timeout=20).status_code == 401
    assert requests.post(f"{emulator.api_base_url}{COMPLETIONS}", json={}, timeout=20).status_code == 401


@pytest.mark.parametrize(
    ("url", "video", "name"),
    [
        ("https://x.example/a/b.MP4?c=1.png", True, "b.MP4"),
        ("https://x.example/a%20b.webm", True, "a b.webm"),
        ("https://x.example/b.png?file=c.mp4", False, "b.png"),
        ("https://x.example/", False, ""),
        ("data:video/mp4;base64,AA", True, "video/mp4"),
        ("DATA:image/png,AA", False, "image/png"),
        ("data:,AA", False, "text/plain"),
        ("http://[", False, ""),
    ],
)
def test_addresses_say_what_they_are_of(url: str, video: bool, name: str) -> None:
    assert is_video(url) is video
    assert name_of(url) == name
    assert set(seen_in(url, list(KINDS))) == set(KINDS)
