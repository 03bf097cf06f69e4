"""A history in a notebook: everything is shown, nothing is run."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from hypothesis import given, strategies as st

from animus import ChatHistory
from tests.wired import assistant, call, tool, user

EVIL = "<script>alert(1)</script><img src=x onerror='alert(2)'>"


class Parser(HTMLParser):
    """Finds the tags, and the text of each row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.rows: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "tr":
            self.rows.append("")

    def handle_data(self, data: str) -> None:
        if self.rows:
            self.rows[-1] += data


def shown(*messages: dict[str, Any], size: int = 500) -> Parser:
    history = ChatHistory(size)
    if messages:
        history.set(list(messages))
    return Parser(history._repr_html_())


def test_messages_are_rows() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    parser = shown(
        user("a\n b"),
        assistant(None, tool_calls=[call("1", arguments='{"word": "<b>"}')]),
        tool("1", "found"),
        {**user(parts), "name": "Ada"},
    )
    assert parser.rows == ["usera\n b", 'assistantlook_up({"word": "<b>"})', "toolfound", "AdaLook:\n[image_url]"]
    assert parser.tags == {"table", "tr", "th", "td"}
    assert parser.attributes == {"style"}


def test_nothing_of_a_message_is_html() -> None:
    parser = shown({**user(EVIL), "name": EVIL}, assistant(EVIL, tool_calls=[call("1", EVIL, EVIL)]), tool("1", EVIL))
    assert parser.tags == {"table", "tr", "th", "td"}
    assert parser.attributes == {"style"}
    assert all(EVIL in row for row in parser.rows)


@given(st.lists(st.text(min_size=1).filter(str.strip), max_size=4))
def test_every_text_is_shown_as_it_is(texts: list[str]) -> None:
    parser = shown(*map(user, texts))
    assert [row.replace("\r\n", "\n") for row in parser.rows] == [f"user{text}".replace("\r\n", "\n") for text in texts]


def test_a_long_history_is_shown_from_its_end() -> None:
    parser = shown(*[user(f"message {number}") for number in range(120)])
    assert len(parser.rows) == 101
    assert (parser.rows[0], parser.rows[1], parser.rows[-1]) == ("… 20 earlier messages", "usermessage 20", "usermessage 119")


def test_an_empty_history_says_so() -> None:
    assert "no messages" in ChatHistory(5)._repr_html_()
