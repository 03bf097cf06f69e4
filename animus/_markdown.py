"""Markdown for notebooks: what people and models wrote is shown, and never run.

A notebook trusts what its cells give: raw HTML in a Markdown answer, scripts too, would be run where the user's files and
tokens are. So there is no raw HTML in what we give it, but for the tags that show code.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import quote

# CommonMark 0.31, section 4.5; inside of lists and quotes fences are taken for text, which is only less pretty
_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_PUNCTUATION = re.compile(r"[\\`*_\[\]{}()#+\-.!|~$<>&\"']")
_SAFE_IN_URLS = "%/:?#@!$&'*+,;=~-._"


def without_html(markdown: str) -> str:
    """Give Markdown that shows the same without raw HTML: each ``<`` is shown as it is, in code too.

    >>> without_html("**a** < b <script>alert(1)</script>")
    '**a** &lt; b &lt;script>alert(1)&lt;/script>'
    >>> without_html("an `<img>` and `x`")
    'an <code>&lt;img&gt;</code> and `x`'
    """
    if "<" not in markdown:
        return markdown
    return "\n".join(_code(lines) if fenced else _text(lines) for fenced, lines in _blocks(markdown))


def image_markdown(url: str, description: str) -> str:
    """Give the Markdown of an image, whatever its URL and description hold.

    >>> image_markdown("https://a.example/1.png?a=1&b=(2)", "a [cat]")
    '![a &#91;cat&#93;](https://a.example/1.png?a=1&amp;b=%282%29)'
    """
    shown = _PUNCTUATION.sub(_entity, " ".join(description.split()))
    return f"![{shown}]({quote(url, safe=_SAFE_IN_URLS, errors='replace').replace('&', '&amp;')})"


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _blocks(markdown: str) -> Iterator[tuple[bool, list[str]]]:
    """Give runs of lines, and whether they are fenced code (with its fences)."""
    lines: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        found = _FENCE.match(line)
        if not fence and found:
            if lines:
                yield False, lines
            lines, fence = [line], found[1]
            continue
        lines.append(line)
        if fence and found and found[1].startswith(fence) and not line[found.end() :].strip():
            yield True, lines
            lines, fence = [], ""
    if lines:
        yield bool(fence), lines


def _code(lines: list[str]) -> str:
    whole = "\n".join(lines)
    if "<" not in whole:
        return whole
    inside = lines[1:-1] if len(lines) > 1 and _FENCE.match(lines[-1]) else lines[1:]
    return f"\n<pre><code>{html.escape(chr(10).join(inside), quote=False)}</code></pre>\n"


def _text(lines: list[str]) -> str:
    out, end = "", 0
    text = "\n".join(lines)
    for match in _CODE_SPAN.finditer(text):
        if "<" in match[2]:
            out += text[end : match.start()].replace("<", "&lt;")
            out += f"<code>{_PUNCTUATION.sub(_in_code, match[2].strip(' '))}</code>"
            end = match.end()
    return out + text[end:].replace("<", "&lt;")


def _in_code(match: re.Match[str]) -> str:
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(match[0]) or _entity(match)
