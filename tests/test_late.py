"""Parts that are made when they are first asked for."""

from __future__ import annotations

import threading
from unittest import mock

from animus import AnimusClient
from animus._late import Late
from animus.conversation.chat import Conversation


class _Thing:
    def __init__(self) -> None:
        self.gate = threading.Barrier(2, timeout=20)

    def _make(self) -> list[int]:
        """A part."""
        self.gate.wait()
        return []

    part: Late[list[int]] = Late(_make)


def _client() -> AnimusClient:
    return AnimusClient(lambda: "token", api_base_url="http://127.0.0.1:1/v3", chat={"model": "m", "system_message": "s"})


def test_threads_that_ask_at_once_get_the_same_one() -> None:
    thing, found = _Thing(), list[list[int]]()
    threads = [threading.Thread(target=lambda: found.append(thing.part)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1] is thing.part


def test_the_class_tells_about_it() -> None:
    assert isinstance(_Thing.part, Late)
    assert _Thing.part.__doc__ == "A part."


def test_parts_of_a_client_are_made_once_and_can_be_seen_before() -> None:
    with _client() as client:
        assert {"chat", "media"} <= set(dir(client))
        assert {"chat", "media"}.isdisjoint(vars(client))
        assert client.chat is client.chat
        assert client.media is client.media


def test_a_part_can_be_replaced_as_any_attribute() -> None:
    with _client() as client:
        with mock.patch.object(client, "chat", "another"):
            assert client.chat == "another"
        assert isinstance(client.chat, Conversation)


def test_a_view_has_parts_of_its_own_that_hold_what_was_configured() -> None:
    with _client() as client:
        early = client.for_identity("ada")
        client.update_chat_config({"temperature": 0.5})
        late = client.for_identity("bob")
        assert early.chat.config.temperature is None
        assert late.chat.config.temperature == 0.5
        assert len({id(one.chat) for one in (client, early, late)}) == 3
        assert len({id(one.media) for one in (client, early, late)}) == 3
        assert late.for_identity("eve").chat.config.temperature == 0.5
