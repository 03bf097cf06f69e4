"""Docstrings in three styles."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from animus.tools.docstring import Docstring, read_docstring

_GOOGLE = """Give the weather
of a city.

    Indented, and not the first paragraph.

Args:
    city (str): The city,
        by name.

        A second paragraph.
    days (Optional[dict(str, int)], optional): How many: 1 to 7.
    unit, kind: Both.
    **further: The rest.
    bare:

Returns:
    text: The weather.
"""
_NUMPY = """Give the weather of a city.

Parameters
----------
city : str
    The city,
    by name.
days : int, optional
    How many: 1 to 7.
unit, kind : {"c", "f"}
    Both.

    Still both.
bare

Returns
-------
text : str
    The weather.
"""
_SPHINX = """
Give the weather of a city.
:param str city: The city,
    by name.
:param days: How many: 1 to 7.
:type days: int
:keyword dict[str, int] unit: Both.

Not part of it.
:returns: The weather.
"""


def test_google() -> None:
    said = read_docstring(_GOOGLE)
    assert said.description == "Give the weather of a city."
    assert said.parameters == {
        "city": "The city, by name. A second paragraph.",
        "days": "How many: 1 to 7.",
        "unit": "Both.",
        "kind": "Both.",
        "further": "The rest.",
    }


def test_numpy() -> None:
    said = read_docstring(_NUMPY)
    assert said.description == "Give the weather of a city."
    both = "Both. Still both."
    assert said.parameters == {"city": "The city, by name.", "days": "How many: 1 to 7.", "unit": both, "kind": both}


def test_sphinx() -> None:
    said = read_docstring(_SPHINX)
    assert said.description == "Give the weather of a city."
    assert said.parameters == {"city": "The city, by name.", "days": "How many: 1 to 7.", "unit": "Both."}


@pytest.mark.parametrize("text", [None, "", "   \n  "])
def test_nothing(text: str | None) -> None:
    assert read_docstring(text) == Docstring()


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("\nArgs:\n    x: One.", None),
        ("Parameters\n----------\nx : int\n    One.", None),
        (":param x: One.", None),
        ("Do it.\nArgs:\n    x: One.", "Do it."),
        ("Do it.\nParameters\n---\nx\n    One.", "Do it."),
    ],
)
def test_list_without_blank_line_before(text: str, description: str | None) -> None:
    assert read_docstring(text) == Docstring(description, {"x": "One."})


def test_first_text_of_a_parameter_counts() -> None:
    assert read_docstring("Args:\n    x: One.\n\nOther Parameters:\n    x: Two.\n    y: Three.").parameters == {"x": "One.", "y": "Three."}


_LINES = ["Args:", "Parameters", "---", "    x: One", "x : int", ":param x: y", "", "  ", "Text", "        more", "Returns:"]


@given(st.lists(st.sampled_from(_LINES)))
def test_any_text_is_read(lines: list[str]) -> None:
    said = read_docstring("\n".join(lines))
    assert all("\n" not in text and text for text in said.parameters.values())
    assert said.description is None or said.description.strip()
