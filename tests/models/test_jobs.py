from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from animus.models.jobs import outcome_of


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("COMPLETED", "succeeded"),
        ("completed", "succeeded"),
        ("Succeeded", "succeeded"),
        ("FAILED", "failed"),
        ("error", "failed"),
        ("CANCELED", "failed"),
        ("Cancelled", "failed"),
        ("CREATED", "pending"),
        ("processing", "pending"),
        ("in progress", "pending"),
        ("In-Progress", "pending"),
        ("IN_QUEUE", "pending"),
        ("SIMMERING", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_status_means(status: str | None, outcome: str) -> None:
    assert outcome_of(status) == outcome


@given(st.text())
def test_any_text_has_a_meaning_whatever_its_case(text: str) -> None:
    assert outcome_of(text) in ("succeeded", "failed", "pending", "unknown")
    if text.isascii():
        assert outcome_of(text.lower()) == outcome_of(text.upper()) == outcome_of(f" {text} ")
