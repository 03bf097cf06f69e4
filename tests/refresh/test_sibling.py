"""What those who share a store tell each other of a failure."""

from __future__ import annotations

import json
import pickle
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus import FileTokenStore, MemoryTokenStore
from animus.errors import TokenSourceError
from animus.refresh.manager import TokenManager
from animus.refresh.sibling import failure_in, note_of
from animus.sources.chain import ChainTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.url import UrlTokenSource
from animus.stores.protocol import StoredToken, TokenStore, store_key
from animus.testing import ManualClock
from tests.refresh.conftest import Heard
from tests.refresh.sources import Caller, Gate, Scripted
from tests.servers import unused_port
from tests.sources.provider import Answer, serving
from tests.tokens.minting import SIGNATURE, mint

Managed = Callable[..., TokenManager]
DOWN = TokenSourceError("it is down", reason="server_error", status=503, hint="Look into its log")


@pytest.fixture(params=["memory", "file"])
def stores(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Callable[[], TokenStore]:
    """Makes stores of one place."""
    if request.param == "memory":
        store = MemoryTokenStore(clock=clock)
        return lambda: store
    return lambda: FileTokenStore(tmp_path / "tokens", clock=clock)


def reason_of(manager: TokenManager) -> str:
    with pytest.raises(TokenSourceError) as caught:
        manager.token()
    return caught.value.reason


def test_a_failure_of_the_provider_is_found_out_once(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    sources = [Scripted(DOWN) for _ in range(8)]
    managers = [managed(source, store=stores(), repeats=False) for source in sources]
    errors = []
    for manager in managers:
        with pytest.raises(TokenSourceError, match="it is down") as caught:
            manager.token()
        errors.append(caught.value)
    assert [len(source.asked) for source in sources] == [1] + [0] * 7
    assert {(error.reason, error.status, error.hint, error.source) for error in errors} == {
        ("server_error", 503, "Look into its log", "scripted")
    }
    assert len({id(error) for error in errors}) == 8


def test_whoever_waits_for_the_lock_is_told_the_failure(managed: Managed, stores: Callable[[], TokenStore], clock: ManualClock) -> None:
    clock.auto_advance = False
    gate = Gate(DOWN)
    first, others = Scripted(gate), [Scripted("never asked") for _ in range(4)]
    leading = Caller(managed(first, store=stores(), repeats=False).token)
    assert gate.entered.wait(20)
    waiting = [Caller(managed(other, store=stores()).token) for other in others]
    clock.wait_until_blocked(4)
    gate.opened.set()
    leading.join(20)
    clock.advance(0.25)
    for caller in waiting:
        caller.join(20)
    for caller in (leading, *waiting):
        assert isinstance(caller.error, TokenSourceError)
        assert caller.error.reason == "server_error"
    assert [len(other.asked) for other in others] == [0] * 4


def test_it_is_remembered_for_about_a_second(managed: Managed, stores: Callable[[], TokenStore], clock: ManualClock) -> None:
    reason_of(managed(Scripted(DOWN), store=stores(), repeats=False))
    clock.advance(0.7)
    late = Scripted("t1")
    manager = managed(late, store=stores())
    reason_of(manager)
    clock.advance(0.6)
    assert managed(Scripted("t2"), store=stores()).token().value == "t2"
    assert manager.token().value == "t2", "who has heard of it remembers it no longer than who has met it"
    assert late.asked == []


@pytest.mark.parametrize("stores", ["file"], indirect=True)
def test_a_wall_clock_that_was_moved_makes_nobody_wait(managed: Managed, stores: Callable[[], TokenStore], clock: ManualClock) -> None:
    for jump in (-3600.0, 3600.0):
        reason_of(managed(Scripted(DOWN), store=stores(), repeats=False, identity=str(jump)))
        clock.set_time(clock.time() + jump)
        assert managed(Scripted("t1"), store=stores(), identity=str(jump)).token().value == "t1"


def test_a_token_goes_before_a_failure(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    reason_of(managed(Scripted(DOWN), store=stores(), repeats=False))
    stores().save(store_key("scripted", None), StoredToken("t1"))
    assert managed(Scripted(DOWN), store=stores()).token().value == "t1"


def test_identities_and_sources_do_not_share_failures(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    reason_of(managed(Scripted(DOWN), store=stores(), repeats=False, identity="ada"))
    assert managed(Scripted("t1"), store=stores(), identity="grace").token().value == "t1"
    assert managed(Scripted("t2", fingerprint="another"), store=stores(), identity="ada").token().value == "t2"


def test_a_logout_has_the_source_asked_at_once(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    manager = managed(Scripted(DOWN, "t1"), store=stores(), repeats=False)
    reason_of(manager)
    manager.clear()
    assert manager.token().value == "t1"


def test_a_failure_from_before_a_logout_is_told_to_nobody(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    gate = Gate(DOWN)
    manager = managed(Scripted(gate, "t1"), store=stores(), repeats=False)
    caller = Caller(manager.token)
    assert gate.entered.wait(20)
    manager.clear()
    gate.opened.set()
    assert caller.finish().value == "t1"


def test_a_logout_while_the_failure_is_written_leaves_none(managed: Managed, clock: ManualClock) -> None:
    store = Overtaken(clock=clock)
    manager = managed(Scripted(DOWN, "t1"), store=store, repeats=False)
    store.before_a_failure = manager.clear
    assert manager.token().value == "t1"
    assert store.overtaken


class Overtaken(MemoryTokenStore):
    """A store in which something else comes before a failure."""

    before_a_failure: Callable[[], None]
    overtaken = False

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        self.overtaken = True
        self.before_a_failure()
        super().save_failure(key, text, seconds)


def test_renewals_share_it_and_go_on_with_the_valid_token(
    managed: Managed, stores: Callable[[], TokenStore], clock: ManualClock, heard: Heard
) -> None:
    first = Scripted({"token": "t1", "expires_in": 100}, DOWN, background=False)
    second = Scripted("never asked", background=False)
    managers = [managed(source, store=stores(), repeats=False) for source in (first, second)]
    assert {str(manager.token().value) for manager in managers} == {"t1"}
    clock.advance(80)
    assert {str(manager.token().value) for manager in managers} == {"t1"}
    assert (len(first.asked), len(second.asked)) == (2, 0)
    assert heard.names.count("token_refresh_failed") == 2


class Bare(MemoryTokenStore):
    """A store of the four methods alone."""

    load_failure = save_failure = None  # type: ignore[assignment]


def test_a_store_need_not_have_it(managed: Managed, clock: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    store, sibling = Bare(clock=clock), Scripted("t1")
    reason_of(managed(Scripted(DOWN), store=store, repeats=False))
    assert managed(sibling, store=store).token().value == "t1"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


class Shaky(MemoryTokenStore):
    def load_failure(self, key: str) -> str | None:
        raise OSError("no such device")

    def save_failure(self, key: str, text: str, seconds: float) -> None:
        raise OSError("no such device")


@pytest.mark.parametrize("kind", [Shaky, type("Garbage", (MemoryTokenStore,), {"load_failure": lambda self, key: b"\xff"})])
def test_a_store_that_fails_at_it_is_done_without(managed: Managed, clock: ManualClock, kind: type[MemoryTokenStore]) -> None:
    store = kind(clock=clock)
    assert reason_of(managed(Scripted(DOWN), store=store, repeats=False)) == "server_error"
    assert managed(Scripted("t1"), store=store).token().value == "t1"


# ---- what is told --------------------------------------------------------------------------------------


def _error(reason: str, status: int | None = None) -> TokenSourceError:
    return TokenSourceError("a text", reason=reason, status=status)


@pytest.mark.parametrize(
    ("error", "literal", "functions"),
    [
        (_error("server_error", 503), "all", "all"),
        (_error("rate_limited", 429), "all", "all"),
        (_error("unauthorized", 401), "all", None),
        (_error("not_found", 404), "all", None),
        (_error("html_page", 200), "all", None),
        (_error("unreachable"), "machine", "machine"),
        (_error("timeout"), None, None),
        (_error("failed"), None, None),
        (_error("not_available"), None, None),
        (_error("wrong_shape"), None, None),
        (_error("tls"), None, None),
    ],
    ids=lambda value: value.reason if isinstance(value, TokenSourceError) else None,
)
def test_who_is_told(error: TokenSourceError, literal: str | None, functions: str | None) -> None:
    for contains_callables, told in ((False, literal), (True, functions)):
        note = note_of(error, contains_callables=contains_callables)
        if note is None:
            assert told is None
            continue
        assert json.loads(note)["machine"] == (platform.node() if told == "machine" else None)
        twin = failure_in(note, source="x")
        assert twin is not None
        assert (twin.reason, twin.status, twin.message) == (error.reason, error.status, error.message)


def test_the_network_of_another_machine_is_not_ours() -> None:
    note = note_of(_error("unreachable"), contains_callables=False)
    assert note is not None
    assert failure_in(note.replace(platform.node(), f"{platform.node()}-2"), source="x") is None


def test_a_chain_tells_only_what_all_its_sources_would_meet_elsewhere(managed: Managed, clock: ManualClock) -> None:
    def stands_here_alone() -> str:
        raise OSError("no such file")

    for second, asked in (({"second": Scripted(DOWN)}, 0), ({"second": CallableTokenSource(stands_here_alone)}, 1)):
        store = MemoryTokenStore(clock=clock)
        reason_of(managed(ChainTokenSource({"first": Scripted(DOWN), **second}), store=store, repeats=False, identity="ada"))
        sibling = Scripted(DOWN)
        reason_of(managed(ChainTokenSource({"first": sibling, **second}), store=store, repeats=False, identity="ada"))
        assert len(sibling.asked) == asked


def test_a_provider_that_is_not_there_is_looked_for_once(managed: Managed, stores: Callable[[], TokenStore]) -> None:
    url = f"http://127.0.0.1:{unused_port()}/token"
    first, second = (managed(UrlTokenSource(url), store=stores(), repeats=False) for _ in range(2))
    assert reason_of(first) == "unreachable"
    with pytest.raises(TokenSourceError) as caught:
        second.token()
    assert caught.value.reason == "unreachable"
    assert caught.value.__cause__ is None, "it was told"
    assert pickle.loads(pickle.dumps(caught.value)).reason == "unreachable"


def test_no_secret_is_told(managed: Managed, tmp_path: Path, clock: ManualClock) -> None:
    with serving() as provider:
        provider.script = [Answer({"error": f"bad {mint(4102444800, sub='canary')}"}, status=500)]
        source = UrlTokenSource(f"{provider.url}?key=canary-in-the-query", headers={"apikey": "canary-in-a-header"})
        reason_of(managed(source, store=FileTokenStore(tmp_path / "tokens", clock=clock), repeats=False))
    notes = b"".join(path.read_bytes() for path in tmp_path.rglob("*.failed"))
    assert b"server_error" in notes
    for secret in (b"canary", SIGNATURE.encode()):
        assert secret not in notes


# ---- what is believed ----------------------------------------------------------------------------------

_GOOD: dict[str, Any] = {
    "machine": None, "reason": "server_error", "message": "no", "hint": None, "status": 503, "retry_after": None, "attempts": 1,
}  # fmt: skip


def test_the_form_of_a_note() -> None:
    error = failure_in(json.dumps({**_GOOD, "retry_after": 2.5}), source="x")
    assert error is not None
    assert (error.source, error.retry_after, error.attempts) == ("x", 2.5, 1)


_LACKING = [json.dumps({name: value for name, value in _GOOD.items() if name != lacks}) for lacks in _GOOD]


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "NaN", *_LACKING])
def test_a_damaged_note_is_none(text: str) -> None:
    assert failure_in(text, source="x") is None


@given(st.dictionaries(st.sampled_from(sorted(_GOOD)), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists)))
def test_any_other_value_is_none_or_an_error_that_can_be_shown(changed: dict[str, Any]) -> None:
    error = failure_in(json.dumps({**_GOOD, **changed}), source="x")
    if error is not None:
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_token_in_a_note_of_somebody_else_is_not_shown() -> None:
    token = mint(4102444800, sub="canary")
    error = failure_in(json.dumps({**_GOOD, "message": f"see {token}", "hint": token}), source="x")
    assert error is not None
    assert SIGNATURE not in str(error)
