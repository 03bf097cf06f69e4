"""Answers and chunks as a server may send them: each field right, missing, or of any type at all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
ANY_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=4
)


def _objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: field | ANY_JSON for name, field in fields.items()})


_FUNCTION = _objects(name=st.text(max_size=5), arguments=st.text(max_size=5))
_CALL = _objects(index=st.integers(), id=st.text(max_size=5), type=st.just("function"), function=_FUNCTION)
_MESSAGE = _objects(
    role=st.just("assistant"),
    content=st.text(max_size=5),
    reasoning=st.text(max_size=5),
    tool_calls=st.lists(_CALL, max_size=2),
    turns=st.lists(st.text(max_size=5), max_size=2),
    next=st.booleans(),
    image_prompt=st.text(max_size=5),
)
_CHOICE = _objects(
    index=st.integers(0, 2), message=_MESSAGE, delta=_MESSAGE, finish_reason=st.just("stop"), compliance_violations=st.lists(st.text())
)
_USAGE = _objects(prompt_tokens=st.integers(), completion_tokens=st.integers(), total_tokens=st.integers())
ANSWERS = _objects(id=st.text(max_size=5), choices=st.lists(_CHOICE, max_size=2), usage=_USAGE, created=st.integers(), error=st.none())
