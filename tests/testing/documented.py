"""The code that the documentation writes, as a module."""

from __future__ import annotations

import functools
import re
import sys
import types
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"


@functools.cache
def documented(page: str) -> types.ModuleType:
    """Give the Python examples of a page, run one after the other."""
    name = f"documented_{page.replace('-', '_')}"
    module = sys.modules[name] = types.ModuleType(name)
    path = _DOCS / f"{page}.md"
    for example in re.findall(r"^```python\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(example, str(path), "exec"), module.__dict__)
    return module
