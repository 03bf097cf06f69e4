from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus.models.answer import HttpInfo, ShapeError
from animus.models.media import KINDS, MediaAnalysis, MediaMetadata, SceneMetadata, decode_analysis
from tests.models.answers import ANY_JSON

_WORDS = st.lists(st.text(max_size=4), max_size=2)
_FOUND = st.fixed_dictionaries({}, optional={kind: _WORDS | ANY_JSON for kind in (*KINDS, "timestamp")})
ANALYSES = st.fixed_dictionaries(
    {},
    optional={
        "job_id": st.text(max_size=4) | ANY_JSON,
        "status": st.sampled_from(["CREATED", "COMPLETED", "failed"]) | ANY_JSON,
        "percent_complete": st.integers(0, 100) | st.floats(0, 100) | ANY_JSON,
        "metadata": _FOUND | ANY_JSON,
        "results": st.lists(_FOUND | ANY_JSON, max_size=2) | _FOUND | ANY_JSON,
        "custom_payload": ANY_JSON,
    },
)


def decoded(**fields: Any) -> MediaAnalysis:
    return decode_analysis(json.dumps(fields).encode())


def test_an_image_is_read() -> None:
    analysis = decoded(metadata={"tags": ["cat", "sofa"], "scene": []}, further=1)
    assert analysis.metadata == MediaMetadata(tags=["cat", "sofa"], scene=[])
    assert analysis.metadata.actions is None
    assert (analysis.tags, analysis.scene, analysis.actions) == (["cat", "sofa"], [], [])
    assert (analysis.outcome, analysis.job_id, analysis.percent) == ("succeeded", None, None)
    assert analysis.raw["further"] == 1


def test_a_video_is_read_and_summed_up() -> None:
    results = [{"timestamp": "00:00:01", "actions": ["run"]}, {"timestamp": "00:00:02", "actions": ["sit", "run"], "tags": None}]
    analysis = decoded(job_id="j", status="completed", percent_complete=100, results=results, custom_payload={"id": [1]})
    assert analysis.results == [
        SceneMetadata(timestamp="00:00:01", actions=["run"]),
        SceneMetadata(timestamp="00:00:02", actions=["sit", "run"]),
    ]
    assert analysis.actions == ["run", "sit"]
    assert (analysis.outcome, analysis.percent, analysis.custom_payload) == ("succeeded", 100.0, {"id": [1]})


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"job_id": "j"}, "unknown"),
        ({"job_id": "j", "status": "Processing"}, "pending"),
        ({"status": "FAILED"}, "failed"),
        ({"job_id": "j", "status": 3}, "unknown"),
    ],
)
def test_a_job_is_judged_by_its_status(fields: dict[str, Any], outcome: str) -> None:
    assert decoded(**fields).outcome == outcome


def test_one_result_and_a_number_as_id_are_understood() -> None:
    analysis = decoded(job_id=7, status="completed", results={"tags": ["a"]})
    assert (analysis.job_id, analysis.tags) == ("7", ["a"])
    assert analysis.raw == {"job_id": 7, "status": "completed", "results": {"tags": ["a"]}}


def test_a_stray_type_loses_only_its_own_field() -> None:
    analysis = decoded(job_id=True, status="COMPLETED", percent_complete="much", metadata=[], results=[{"tags": "x", "actions": ["a"]}])
    assert (analysis.job_id, analysis.percent_complete, analysis.metadata) == (None, None, None)
    assert analysis.results == [SceneMetadata(actions=["a"])]


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"x"', b"{", b"<html>", b"\xff", b"[" * 100_000])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(ShapeError):
        decode_analysis(body)


@given(ANALYSES)
def test_no_object_is_refused_and_all_of_it_stays(value: dict[str, Any]) -> None:
    analysis = decode_analysis(json.dumps(value).encode())
    assert analysis.raw == value
    assert all(isinstance(word, str) for kind in KINDS for word in getattr(analysis, kind))
    assert analysis.outcome in ("succeeded", "failed", "pending", "unknown")
    assert isinstance(repr(analysis), str)
    assert isinstance(analysis._repr_markdown_(), str)


def test_it_pickles_and_copies_with_its_origin() -> None:
    http = HttpInfo(status=200, headers={"X-Request-Id": "r1"})
    analysis = decode_analysis(b'{"job_id": "j", "x": 1}', http)
    for twin in (pickle.loads(pickle.dumps(analysis)), copy.deepcopy(analysis)):
        assert twin == analysis
        assert (twin.raw, twin.request_id, twin.http) == ({"job_id": "j", "x": 1}, "r1", http)


def test_repr_is_short() -> None:
    analysis = decoded(job_id="j", status="COMPLETED", results=[{"tags": [f"tag {n}" for n in range(100)]}])
    assert repr(analysis) == "MediaAnalysis(job_id='j', status='COMPLETED', tags=['tag 0', 'tag 1', 'tag 2', …])"


def test_a_notebook_shows_tables() -> None:
    image = decoded(metadata={"tags": ["a|b", "c\nd"], "scene": []})
    assert image._repr_markdown_() == "| tags |\n| --- |\n| a\\|b, c d |"
    video = decoded(job_id="j", status="COMPLETED", percent_complete=100, results=[{"timestamp": "00:10", "tags": ["x"]}, {}])
    assert video._repr_markdown_() == "**Video analysis** `j`: COMPLETED, 100 %\n\n| at | tags |\n| --- | --- |\n| 00:10 | x |\n|  |  |"
    assert decoded()._repr_markdown_() == "*(nothing found)*"
    assert MediaMetadata(scene=["street"])._repr_markdown_() == "| scene |\n| --- |\n| street |"
