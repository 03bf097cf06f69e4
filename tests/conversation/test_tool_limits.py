from __future__ import annotations

import pytest

from animus import ToolError
from animus.emulator import Emulator
from tests.wired import ClientMaker


def test_send_keeps_to_the_limits_it_is_given(make_client: ClientMaker, emulator: Emulator) -> None:
    def look_up(text: str) -> str:
        return text

    call = {"tool_calls": [{"name": "look_up", "arguments": {"text": "tides"}}]}
    emulator.script([{**call, "times": None}])
    client = make_client(chat={"tools": [look_up]})
    with pytest.raises(ToolError, match="limit: rounds"):
        client.chat.send("Why?", tool_limits={"rounds": 1})
