from __future__ import annotations

from urllib.parse import unquote

import pytest
import requests
from hypothesis import given, strategies as st

from animus.resources.path import path_part


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("job-1", "job-1"),
        ("a/b?c=1#d", "a%2Fb%3Fc%3D1%23d"),
        ("x y", "x%20y"),
        ("../completions", "..%2Fcompletions"),
        ("%2e%2e", "%252e%252e"),
        ("http://evil.example/", "http%3A%2F%2Fevil.example%2F"),
        ("é", "%C3%A9"),
    ],
)
def test_a_part_is_percent_encoded(value: str, part: str) -> None:
    assert path_part("id", value) == part


@pytest.mark.parametrize("value", ["", " ", None, 3, b"x", ".", "..", "\ud83d"])
def test_what_is_no_part_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^the_id "):
        path_part("the_id", value)


@given(st.text())
def test_a_part_stays_one_part_on_the_wire(value: str) -> None:
    try:
        part = path_part("id", value)
    except ValueError:
        return
    url = requests.Request("GET", f"http://127.0.0.1:1/v3/jobs/{part}").prepare().path_url
    assert url.startswith("/v3/jobs/")
    assert unquote(url.removeprefix("/v3/jobs/")) == value
    assert url.count("/") == 3
