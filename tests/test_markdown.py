"""Markdown for notebooks: it shows everything and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from animus import Reply
from animus._markdown import image_markdown, without_html
from animus.models.chat import decode_completion
from animus.resources.images import GeneratedImage

SCRIPT = "<script>alert(1)</script>"
OURS = re.compile(r"<pre><code>|</code></pre>|<code>|</code>")


@pytest.mark.parametrize(
    "text",
    ["", "plain", "**bold** _it_ > quote\n> more", "```python\nif a > b:\n    pass\n```", "a & b &lt; c", "`code` $x$ [a](https://b.example)"],
)
def test_without_a_tag_nothing_changes(text: str) -> None:
    assert without_html(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (SCRIPT, "&lt;script>alert(1)&lt;/script>"),
        ("a < b", "a &lt; b"),
        ("<https://a.example>", "&lt;https://a.example>"),
        ("so `a<b` is", "so <code>a&lt;b</code> is"),
        ("``a ` <b``", "<code>a &#96; &lt;b</code>"),
        ("`*a*<b` and `c`", "<code>&#42;a&#42;&lt;b</code> and `c`"),
        ("`open <b", "`open &lt;b"),
        ("```html\n<b>&amp;\n```\nafter <i>", "\n<pre><code>&lt;b&gt;&amp;amp;</code></pre>\n\nafter &lt;i>"),
        ("~~~\n<b>\n```\n~~~~\n<i>", "\n<pre><code>&lt;b&gt;\n```</code></pre>\n\n&lt;i>"),
        ("```\n<b>", "\n<pre><code>&lt;b&gt;</code></pre>\n"),
        ("```\na > b\n```\n<i>", "```\na > b\n```\n&lt;i>"),
        ("``` <b>`\n<i>", "``` &lt;b>`\n&lt;i>"),
    ],
)
def test_tags_are_shown(text: str, shown: str) -> None:
    assert without_html(text) == shown


_PIECES = st.sampled_from(["<", ">", "`", "``", "```", "~~~", "\n", " ", "a", "<b>", SCRIPT, "[x](", ")", '"', "&lt;", "- ", "    ", "$"])


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=20).map("".join)))
def test_no_tag_is_left_but_those_that_show_code(text: str) -> None:
    shown = without_html(text)
    assert "<" not in OURS.sub("", shown)
    assert shown.count("<code>") == shown.count("</code>")


@given(st.text(), st.text())
def test_an_image_is_an_image_whatever_it_holds(url: str, description: str) -> None:
    shown = image_markdown(url, description)
    match = re.fullmatch(r"!\[([^\[\]<>\n`]*)\]\(([^()<>\s\"]*)\)", shown)
    assert match


def test_answers_and_replies_run_nothing() -> None:
    reply = Reply(text=SCRIPT, images=("https://a.example/x.png)" + SCRIPT,), compliance_violations=(SCRIPT,))
    body = f'{{"choices": [{{"message": {{"role": "assistant", "content": "{SCRIPT}", "reasoning": "{SCRIPT}"}}}}]}}'
    for shown in (reply._repr_markdown_(), decode_completion(body.encode())._repr_markdown_()):
        assert "<" not in shown
        assert "alert(1)" in shown


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@given(st.text(), st.text())
def test_an_image_is_one_tag_in_html(url: str, prompt: str) -> None:
    parser = _Tags()
    parser.feed(GeneratedImage(url, prompt)._repr_html_())
    parser.close()
    [(tag, attributes)] = parser.found
    assert (tag, set(attributes)) == ("img", {"src", "alt"})
