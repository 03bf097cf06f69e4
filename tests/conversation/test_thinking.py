from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from animus.conversation.messages import ChatMessage
from animus.conversation.thinking import join_reasoning, split_thinking


@pytest.mark.parametrize(
    ("content", "text", "blocks"),
    [
        ("Hello", "Hello", []),
        ("<think>plan</think>Hello", "Hello", ["plan"]),
        ("<THINK>plan</Think>Hello", "Hello", ["plan"]),
        ("A<think>one</think>B<think>two</think>C", "ABC", ["one", "two"]),
        ("Hello <think>never closed", "Hello", ["never closed"]),
        ("<think></think>Hello", "Hello", []),
        ("<think>  \n </think>Hello", "Hello", []),
        ("<think>only thoughts</think>", "", ["only thoughts"]),
        ("<think>a\n\nb</think>\n\nline one\n\n    code\n", "line one\n\n    code", ["a\n\nb"]),
        ("Hello</think> there", "Hello</think> there", []),
        ("1 < 2 and <thinker>", "1 < 2 and <thinker>", []),
        ("  kept  inside  ", "kept  inside", []),
    ],
)
def test_think_blocks_leave_the_text(content: str, text: str, blocks: list[str]) -> None:
    assert split_thinking(content) == (text, blocks)


def test_api_reasoning_comes_first() -> None:
    said = ChatMessage(role="assistant", content="<think>block</think>Hi<think>more", reasoning="from the API")
    assert said.cleaned() == ChatMessage(role="assistant", content="Hi", reasoning="from the API\n\nblock\n\nmore")


def test_without_anything_there_is_no_reasoning() -> None:
    assert join_reasoning(None, []) is None
    assert join_reasoning("", []) is None


def test_only_assistants_think() -> None:
    asked = ChatMessage(role="user", content="what does <think>this</think> mean?")
    assert asked.cleaned() is asked


_PIECES = st.sampled_from(["<think>", "</think>", "<THINK>", "</Think>", "a", " ", "\n\n", "<", "b  c", "é"])


@given(st.lists(_PIECES).map("".join))
def test_no_block_survives_and_no_text_is_made_up(content: str) -> None:
    text, blocks = split_thinking(content)
    assert "<think>" not in text.lower()
    assert text == text.strip()
    assert all(block and block == block.strip() for block in blocks)
    rest = content
    for part in blocks:  # every block is a piece of the content, in order
        assert part in rest
        rest = rest[rest.index(part) + len(part) :]


@given(st.lists(st.sampled_from(["a", " ", "\n", "\n\n", "  b", "é"])).map("".join), st.text("xy \n", max_size=5))
def test_white_space_of_the_rest_is_kept(text: str, thought: str) -> None:
    kept, _ = split_thinking(f"<think>{thought}</think>{text}")
    assert kept == text.strip()
