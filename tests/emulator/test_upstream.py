from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from animus.emulator import Emulator
from tests.emulator.caller import Caller


@pytest.fixture
def upstream() -> Iterator[Emulator]:
    with Emulator(api_key="upstream-key") as upstream:
        yield upstream


@pytest.fixture
def relaying(emulator: Emulator, upstream: Emulator) -> Emulator:
    emulator.upstream, emulator.upstream_key = f"{upstream.api_base_url}/", upstream.api_key
    return emulator


def test_chat_is_relayed_with_the_key_of_the_other(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    upstream.script(["From afar"])
    response = caller.chat("Hello", temperature=0.5)
    assert response.json()["choices"][0]["message"]["content"] == "From afar"
    [request] = upstream.requests
    assert (request.credential, request.json["temperature"]) == ("api_key", 0.5)
    assert response.headers["X-Request-Id"] == relaying.requests[-1].request_id


def test_fields_of_ours_stay_here(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    caller.chat(autoTurn=True, compliance=True, check_image_generation=True, reasoning=True, show_reasoning=True, top_k=3)
    assert set(upstream.requests[0].json) == {"messages", "top_k"}


def test_errors_are_relayed(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    upstream.arm(status=429, headers={"Retry-After": "7"}, body={"error": {"message": "slow"}})
    response = caller.chat()
    assert (response.status_code, response.headers["Retry-After"], response.json()) == (429, "7", {"error": {"message": "slow"}})


def test_streams_are_relayed_at_once(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    upstream.arm(stall_after=2)
    with caller.stream() as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = response.iter_lines()
        assert b"assistant" in next(lines)
        assert next(lines) == b""
        assert b"Hello!" in next(lines)


def test_whole_stream_is_the_same(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    upstream.script([{"chunks": ["a", "b"]}])
    relayed = caller.chat(stream=True).content
    assert relayed.count(b"\n\n") == 5
    assert relayed.endswith(b"data: [DONE]\n\n")


def test_torn_streams_are_torn_here(relaying: Emulator, upstream: Emulator, caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    upstream.arm(tear_after=2)
    with caller.stream() as response:
        pieces = response.iter_content(None)
        assert [next(pieces).count(b"data:"), next(pieces).count(b"data:")] == [1, 1]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(pieces)
    relaying.requests.wait_until_idle()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_scripts_come_first(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    relaying.script(["Mine"])
    assert caller.message()["content"] == "Mine"
    assert len(upstream.requests) == 0


def test_tokens_are_still_ours(relaying: Emulator, upstream: Emulator, caller: Caller) -> None:
    relaying.revoke_tokens()
    assert caller.chat().status_code == 401
    assert len(upstream.requests) == 0


def test_unreachable_upstream_is_a_502(emulator: Emulator, caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        emulator.upstream = f"http://127.0.0.1:{closed.getsockname()[1]}"
    response = caller.chat()
    assert response.status_code == 502
    assert "cannot be reached" in response.json()["detail"]


def test_netrc_does_not_replace_the_key(
    relaying: Emulator, upstream: Emulator, caller: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else")
    monkeypatch.setenv("NETRC", str(netrc))
    caller.session.trust_env = False
    assert caller.chat().status_code == 200
    assert upstream.requests[0].credential == "api_key"
