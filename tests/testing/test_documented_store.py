"""The store that the documentation writes keeps the promises, by the test class that the documentation writes."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

_PAGE = Path(__file__).parents[2] / "docs" / "write-a-token-store.md"


def _classes() -> types.ModuleType:
    module = sys.modules["documented_store"] = types.ModuleType("documented_store")
    for example in re.findall(r"^```python\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(example, str(_PAGE), "exec"), module.__dict__)
    return module


TestSqliteTokenStore = _classes().TestSqliteTokenStore
