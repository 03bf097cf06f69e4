"""Several sources, one after another."""

from __future__ import annotations

import contextvars
import copy
import gc
import logging
import pickle
import threading
from typing import Any

import pytest

from animus import AnimusClient
from animus.errors import ConfigurationError, TokenSourceError
from animus.refresh.manager import TokenManager
from animus.sources.apikey import ApiKeyTokenSource
from animus.sources.chain import ChainTokenSource
from animus.sources.command import CommandTokenSource
from animus.sources.env import EnvironmentTokenSource
from animus.sources.function import CallableTokenSource
from animus.sources.protocol import TokenRequest, TokenSource
from animus.sources.static import StaticTokenSource
from animus.sources.url import UrlTokenSource
from animus.testing import ManualClock
from tests.refresh.sources import Scripted
from tests.tokens.minting import SIGNATURE, mint

ASK = TokenRequest()


def not_here(text: str = "the variable is not set") -> TokenSourceError:
    return TokenSourceError(text, reason="not_available", hint="Set it")


def failed(reason: str = "unreachable", **state: Any) -> TokenSourceError:
    return TokenSourceError("nobody answers", reason=reason, hint="Look at the network", **state)


def failure_of(chain: ChainTokenSource, request: TokenRequest = ASK) -> TokenSourceError:
    with pytest.raises(TokenSourceError) as caught:
        chain.fetch(request)
    return caught.value


# ---- asking --------------------------------------------------------------------------------------------


def test_the_first_that_has_a_token_gives_it_and_nobody_behind_it_is_asked() -> None:
    first, second, third = Scripted(not_here()), Scripted("token-2"), Scripted("token-3")
    chain = ChainTokenSource({"a": first, "b": second, "c": third})
    assert isinstance(chain, TokenSource)
    assert chain.fetch(ASK).value == "token-2"
    assert [len(source.asked) for source in (first, second, third)] == [1, 1, 0]


def test_making_one_asks_nobody() -> None:
    source = Scripted("token")
    ChainTokenSource([("a", source), ("b", "https://back.end/token"), ("c", "exec:no-such-program")])
    assert source.asked == []


def test_the_request_goes_to_each_as_it_is() -> None:
    first, second = Scripted(not_here()), Scripted("token")
    clock = ManualClock()
    request = TokenRequest(force=True, identity="ada", deadline=clock.monotonic() + 5, clock=clock)
    ChainTokenSource({"a": first, "b": second}).fetch(request)
    assert first.asked == second.asked == [request]


def test_no_failure_disables_a_source() -> None:
    first = Scripted(failed(), not_here(), "token-1")
    chain = ChainTokenSource({"a": first, "b": Scripted("token-2")})
    assert [chain.fetch(ASK).value for _ in range(3)] == ["token-2", "token-2", "token-1"]


def test_all_reasons_are_kept() -> None:
    chain = ChainTokenSource(
        {
            "environment": EnvironmentTokenSource("NOTHING_THERE"),
            "function": lambda: 7,
            "provider": Scripted(failed(status=503, retry_after=7.0)),
            "raising": Scripted(RuntimeError("out of order")),
        }
    )
    error = failure_of(chain)
    assert [(name, one.reason) for name, one in error.failures] == [
        ("environment", "not_available"),
        ("function", "wrong_shape"),
        ("provider", "unreachable"),
        ("raising", "failed"),
    ]
    for said in ("environment: not_available (NOTHING_THERE is not set)", "provider: unreachable (nobody answers)", "out of order"):
        assert said in str(error)
    assert error.source == "chain of environment, function, provider, raising"
    twin = pickle.loads(pickle.dumps(error))
    assert [one.reason for _, one in twin.failures] == [one.reason for _, one in error.failures]


def test_the_first_that_failed_decides_what_the_chain_says() -> None:
    chain = ChainTokenSource({"a": Scripted(not_here()), "b": Scripted(failed(status=503, retry_after=7.0)), "c": Scripted(failed("tls"))})
    error = failure_of(chain)
    assert (error.reason, error.status, error.retry_after, error.hint) == ("unreachable", 503, 7.0, "Look at the network")
    assert error.__cause__ is error.failures[1][1]


def test_if_all_are_not_here_so_is_the_chain_and_chains_nest() -> None:
    inner = ChainTokenSource({"a": Scripted(not_here()), "b": Scripted(not_here())})
    assert failure_of(inner).reason == "not_available"
    assert ChainTokenSource({"inner": inner, "c": Scripted("token")}).fetch(ASK).value == "token"


def test_it_can_be_told_to_stop_at_a_failure() -> None:
    last = Scripted("token")
    chain = ChainTokenSource({"a": Scripted(not_here()), "b": Scripted(failed("unauthorized")), "c": last}, stop_on_failure=True)
    error = failure_of(chain)
    assert (error.reason, [name for name, _ in error.failures], last.asked) == ("unauthorized", ["a", "b"], [])
    assert chain.remove("b").stop_on_failure
    assert chain.remove("b").fetch(ASK).value == "token"


def test_an_unusable_answer_is_a_failure_of_that_source() -> None:
    chain = ChainTokenSource({"a": Scripted(mint(1)), "b": Scripted({"nothing": 1}), "c": Scripted("token")})
    assert chain.fetch(ASK).value == "token"


def test_they_are_asked_within_the_deadline() -> None:
    clock = ManualClock()

    def slow() -> str:
        clock.advance(8)
        raise failed("timeout")

    last = Scripted("token")
    chain = ChainTokenSource({"a": slow, "b": slow, "c": last})
    error = failure_of(chain, TokenRequest(deadline=clock.monotonic() + 10, clock=clock))
    assert error.reason == "timeout"
    assert "no time left to ask it, after a, b" in str(error.failures[2][1])
    assert last.asked == []


def test_each_has_its_own_time() -> None:
    clock = ManualClock()
    left: list[float | None] = []

    def look(request: TokenRequest) -> str:
        left.append(request.left)
        raise failed()

    quick, unlimited = Scripted(failed()), CallableTokenSource(look)
    quick.timeout = 2.5  # type: ignore[attr-defined]
    chain = ChainTokenSource({"quick": quick, "slow": CallableTokenSource(look, timeout=7), "unlimited": unlimited})
    failure_of(chain, TokenRequest(deadline=clock.monotonic() + 20, clock=clock))
    assert [quick.asked[0].left, *left] == [2.5, 7, 20]
    failure_of(chain, TokenRequest(clock=clock))
    assert [quick.asked[1].left, *left[2:]] == [2.5, 7, 30]


def test_one_that_hangs_is_left_behind_and_the_next_is_asked() -> None:
    clock = ManualClock()
    stop = threading.Event()
    chain = ChainTokenSource({"hangs": CallableTokenSource(lambda: str(stop.wait(20)), timeout=1), "works": StaticTokenSource("token")})
    request = TokenRequest(deadline=clock.monotonic() + 31, clock=clock)
    assert chain.fetch(request).value == "token"
    assert clock.waits == [1]
    with AnimusClient(chain, api_base_url="http://127.0.0.1:1/v3", clock=clock) as client:
        assert client._manager.token().value == "token"
    for _ in range(2):
        chain.fetch(TokenRequest(clock=clock))
    before = threading.active_count()
    error = failure_of(chain.remove("works").insert_after("hangs", "down", Scripted(failed())), TokenRequest(clock=clock))
    assert [each.reason for _, each in error.failures] == ["timeout", "unreachable"]
    chain.fetch(TokenRequest(clock=clock))  # the fifth time: four have not come back
    assert threading.active_count() == before + 1
    stop.set()


def test_what_hangs_for_one_identity_hangs_for_no_other() -> None:
    clock, stop = ManualClock(), threading.Event()

    def fetch(request: TokenRequest) -> str:
        return "token" if request.identity == "good" else str(stop.wait(20))

    chain = ChainTokenSource({"a": CallableTokenSource(fetch, timeout=1)})
    for _ in range(5):
        failure_of(chain, TokenRequest(identity="bad", clock=clock))
    assert chain.fetch(TokenRequest(identity="good")).value == "token"
    before = threading.active_count()
    errors = [failure_of(chain, TokenRequest(identity="bad", clock=clock)) for _ in range(3)]
    assert "4 calls of it have not come back" in str(errors[0])
    assert threading.active_count() == before
    stop.set()


def test_one_with_a_time_limit_gets_the_callers_context_and_gives_what_it_gives() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    user.set("u1")
    chain = ChainTokenSource({"a": CallableTokenSource(lambda: f"token-of-{user.get()}", timeout=20)})
    assert chain.fetch(ASK).value == "token-of-u1"

    def refuse() -> str:
        raise failed("unauthorized")

    def interrupted() -> str:
        raise KeyboardInterrupt

    assert failure_of(ChainTokenSource({"a": CallableTokenSource(refuse, timeout=20)})).reason == "unauthorized"
    with pytest.raises(KeyboardInterrupt):
        ChainTokenSource({"a": CallableTokenSource(interrupted, timeout=20), "b": StaticTokenSource("token")}).fetch(ASK)


def test_without_threads_one_with_a_time_limit_is_asked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    chain = ChainTokenSource({"a": CallableTokenSource(lambda: "token", timeout=20)})
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_start)
        assert chain.fetch(ASK).value == "token"


def test_an_impossible_member_is_told_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match=r"sources\['login'\]: token_source must be"):
        ChainTokenSource({"a": StaticTokenSource("t"), "login": 7})


def test_an_interrupt_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        ChainTokenSource({"a": Scripted(KeyboardInterrupt()), "b": Scripted("token")}).fetch(ASK)


def test_a_stand_in_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    chain = ChainTokenSource({"a": Scripted(not_here()), "b": Scripted(failed(), failed(), failed("tls")), "c": Scripted("token")})
    for _ in range(3):
        chain.fetch(ASK)
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert warnings[0].startswith("the token comes from 'c', since 'b' failed: nobody answers (reason: unreachable")


def test_a_failure_leaves_nothing_to_the_garbage_collector() -> None:
    chain = ChainTokenSource({"a": EnvironmentTokenSource("NOTHING_THERE"), "b": Scripted(RuntimeError("x"))})

    def fail() -> None:
        try:
            chain.fetch(ASK)
        except TokenSourceError:
            pass

    def alive() -> list[object]:
        # issubclass of the type, not isinstance: other tests' lazy proxies must not be woken
        return [thing for thing in gc.get_objects() if issubclass(type(thing), TokenSourceError)]

    fail()
    gc.collect()
    before = list(map(id, alive()))  # other tests may hold some
    gc.disable()
    try:
        fail()
        left = [thing for thing in alive() if id(thing) not in before]
    finally:
        gc.enable()
    assert left == []


# ---- editing -------------------------------------------------------------------------------------------


def chain_of(*names: str) -> ChainTokenSource:
    return ChainTokenSource({name: StaticTokenSource(f"token-{name}") for name in names})


def test_another_chain_comes_of_every_change() -> None:
    chain = chain_of("a", "b", "c")
    new = StaticTokenSource("new")
    assert chain.insert_before("a", "x", new).names == ("x", "a", "b", "c")
    assert chain.insert_before("c", "x", new).names == ("a", "b", "x", "c")
    assert chain.insert_after("c", "x", new).names == ("a", "b", "c", "x")
    assert chain.insert_after("a", "x", "https://back.end/token").names == ("a", "x", "b", "c")
    assert chain.replace("b", new)["b"] is new
    assert chain.replace("b", new).names == ("a", "b", "c")
    assert chain.remove("b").names == ("a", "c")
    assert chain.names == ("a", "b", "c")
    assert (list(chain), len(chain)) == (["a", "b", "c"], 3)
    with pytest.raises(KeyError):
        chain["x"]


@pytest.mark.parametrize(
    "change",
    [
        lambda chain: chain.insert_before("vualt", "x", "https://back.end/token"),
        lambda chain: chain.insert_after("vualt", "x", "https://back.end/token"),
        lambda chain: chain.replace("vualt", "https://back.end/token"),
        lambda chain: chain.remove("vualt"),
    ],
)
def test_an_unknown_name_is_told_with_the_near_one(change: Any) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'vault'"):
        change(chain_of("vault", "file"))


def test_impossible_chains_are_refused() -> None:
    chain = chain_of("a")
    for make in (
        lambda: ChainTokenSource({}),
        lambda: chain.remove("a"),
        lambda: chain.insert_after("a", "a", "https://back.end/token"),
        lambda: ChainTokenSource([("a", "https://x/y"), ("a", "https://x/y")]),
        lambda: ChainTokenSource(["https://x/y"]),  # type: ignore[list-item]
        lambda: ChainTokenSource("https://x/y"),  # type: ignore[arg-type]
        lambda: ChainTokenSource(7),  # type: ignore[arg-type]
        lambda: ChainTokenSource({" ": "https://x/y"}),
        lambda: ChainTokenSource({7: "https://x/y"}),  # type: ignore[dict-item]
        lambda: ChainTokenSource({"a": None}),
        lambda: ChainTokenSource({"a": object()}),
        lambda: ChainTokenSource({"a": "a-secret-key"}),
        lambda: ChainTokenSource({"a": "https://x/y"}, stop_on_failure=None),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigurationError) as caught:
            make()
        assert "a-secret-key" not in str(caught.value)


# ---- what its members make of it -----------------------------------------------------------------------


def test_what_it_says_of_itself_comes_from_its_sources() -> None:
    local = ChainTokenSource({"a": EnvironmentTokenSource(), "b": StaticTokenSource("t")})
    assert (local.local, local.contains_callables, local.background) == (True, False, True)
    mixed = local.insert_after("b", "c", CallableTokenSource(lambda: "t", timeout=7))
    assert (mixed.local, mixed.contains_callables, mixed.background) == (False, True, True)
    assert not mixed.insert_after("c", "d", CallableTokenSource(lambda: "t", background=False)).background
    assert ChainTokenSource({"a": CommandTokenSource("x", timeout=3), "b": UrlTokenSource("https://x/y", timeout=4)}).timeout == 7
    assert ChainTokenSource({"a": Scripted("t")}).timeout == 30


def test_fingerprints_tell_chains_apart_and_show_nothing() -> None:
    chains = [chain_of("a", "b"), chain_of("b", "a"), chain_of("a"), chain_of("a", "c"), ChainTokenSource({"a": StaticTokenSource("x")})]
    assert len({chain.fingerprint for chain in chains}) == len(chains)
    assert chain_of("a", "b").fingerprint == chain_of("a", "b").fingerprint
    assert not any("token-" in text for text in (chain_of("a").fingerprint, repr(chain_of("a"))))
    assert repr(chain_of("a", "b")) == "<ChainTokenSource a, b>"


def test_it_travels_if_its_sources_do() -> None:
    chain = ChainTokenSource({"a": EnvironmentTokenSource("X"), "b": CommandTokenSource("login")}, stop_on_failure=True)
    twin = pickle.loads(pickle.dumps(chain))
    assert (twin.names, twin.stop_on_failure, twin.fingerprint) == (chain.names, True, chain.fingerprint)
    with pytest.raises(TypeError, match="literal token"):
        pickle.dumps(chain_of("a"))
    assert copy.deepcopy(chain) is copy.copy(chain) is chain


def test_closing_it_closes_its_sources() -> None:
    closed: list[str] = []
    sources = {name: Scripted("t", close=lambda name=name: closed.append(name)) for name in ("a", "c")}  # type: ignore[misc]
    ChainTokenSource({"b": EnvironmentTokenSource(), **sources}).close()
    assert closed == ["a", "c"]


def test_an_api_key_in_it_is_exchanged_where_the_client_points() -> None:
    chain = ChainTokenSource({"a": EnvironmentTokenSource(), "key": ApiKeyTokenSource("k")})
    with AnimusClient(chain, api_base_url="https://api.test/v3") as client:
        assert client.token_source["key"].name == "https://api.test/auth/generate-token"
    unbound = ChainTokenSource({"a": EnvironmentTokenSource()})
    assert unbound.for_api("https://api.test/v3") is unbound


def test_the_manager_asks_the_whole_chain_again_after_an_outage() -> None:
    first, second = Scripted(not_here()), Scripted(failed(), mint(4102444800))
    manager = TokenManager(ChainTokenSource({"a": first, "b": second}), clock=ManualClock())
    assert SIGNATURE in manager.token().value
    assert (len(first.asked), len(second.asked)) == (2, 2)
    manager.close()
