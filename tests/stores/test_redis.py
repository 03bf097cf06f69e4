"""Tokens in a real Redis: what is shared, how locks end, and what happens without it."""

from __future__ import annotations

import copy
import logging
import pickle
import secrets
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from redis import Redis, asyncio as redis_asyncio
from redis.cluster import ClusterPipeline
from redis.exceptions import ResponseError

from animus import ConfigurationError
from animus._clock import SYSTEM_CLOCK
from animus.refresh.manager import TokenManager
from animus.stores import extra, lease
from animus.stores.protocol import StoredToken, store_key
from animus.stores.redis import RedisTokenStore
from animus.testing import ManualClock
from animus.testing.suites import TokenStoreSuite
from animus.tokens.token import LiveKitDetails
from tests.redis_serving import RedisServer
from tests.refresh.sources import Scripted
from tests.servers import unused_port

KEY = store_key("url:x", "u1")
TOKEN = StoredToken("token", 4102444800.0, 1.5, 1000.0)
PASSWORD = "p@ss/word-that-must-not-show"


class TestRedisTokenStore(TokenStoreSuite):
    """All that a store promises."""

    @pytest.fixture(autouse=True)
    def _place(self, redis_url: str) -> None:
        self.url, self.prefix = redis_url, f"{secrets.token_hex(8)}:"

    def make_store(self) -> RedisTokenStore:
        return RedisTokenStore(self.url, prefix=self.prefix)


class TestRedisTokenStoreOfAClient(TestRedisTokenStore):
    """The same with a client of the user's own, which gives text."""

    @pytest.fixture(autouse=True)
    def _client(self, redis_url: str) -> Iterator[None]:
        self.client = Redis.from_url(redis_url, decode_responses=True)
        yield
        self.client.close()

    def make_store(self) -> RedisTokenStore:
        return RedisTokenStore(self.client, prefix=self.prefix)


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.005)


@pytest.fixture
def prefix() -> str:
    return f"{secrets.token_hex(8)}:"


@pytest.fixture
def store(redis_url: str, prefix: str) -> Iterator[RedisTokenStore]:
    store = RedisTokenStore(redis_url, prefix=prefix)
    yield store
    store.close()


@pytest.fixture
def redis(redis_url: str) -> Iterator[Any]:
    client = Redis.from_url(redis_url)
    yield client
    client.close()


# ---- what is there -------------------------------------------------------------------------------------


def test_a_token_is_gone_when_it_is_over(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    now = time.time()
    for left, kept in ((3600, 3600), (1, 60), (-100, 60), (10 * 365 * 86400, 31 * 86400), (None, 86400)):
        store.save(KEY, StoredToken("t", None if left is None else now + left))
        assert redis.ttl(prefix + KEY) == pytest.approx(kept, abs=5)
    store.save(KEY, StoredToken("t", now + 3600 + 500, skew=500))
    assert redis.ttl(prefix + KEY) == pytest.approx(3600, abs=5)


def test_what_is_damaged_is_said_and_replaced(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    for content in (b"", b"\xff", b"{}", b"a cat"):
        redis.set(prefix + KEY, content)
        with pytest.raises(ValueError, match="damaged"):
            store.load(KEY)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN


def test_what_is_no_text_is_damaged_and_replaced_and_spoils_nothing_else(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    store.save("other", TOKEN)
    for put in (lambda name: redis.rpush(name, "x"), lambda name: redis.hset(name, "x", "y"), lambda name: redis.set(name, b"\xff\x00")):
        redis.delete(prefix + KEY)
        put(prefix + KEY)
        with pytest.raises(ValueError, match="damaged, or none of ours"):
            store.load(KEY)
        assert store.load("other") == TOKEN
        store.save(KEY, TOKEN)
        assert store.load(KEY) == TOKEN


class Counted(Redis):
    """Keeps all commands."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.sent: list[tuple[Any, ...]] = []
        super().__init__(*args, **options)

    def execute_command(self, *command: Any, **options: Any) -> Any:
        self.sent.append(command)
        return super().execute_command(*command, **options)


@pytest.fixture
def counted(redis_url: str) -> Iterator[Any]:
    with Counted.from_url(redis_url) as client:
        yield client


def test_a_look_is_one_command_with_ten_thousand_tokens(counted: Any, redis: Any, prefix: str) -> None:
    redis.mset({f"{prefix}{number:064x}": "x" for number in range(10_000)})
    store = RedisTokenStore(counted, prefix=prefix)
    store.save(KEY, TOKEN)
    counted.sent.clear()
    assert store.load(KEY) == TOKEN
    assert store.load("another") is None
    assert counted.sent == [("GET", f"{prefix}{KEY}"), ("GET", f"{prefix}another")]
    redis.delete(*redis.scan_iter(f"{prefix}*", count=10_000))


def test_no_command_has_two_keys_which_a_cluster_would_refuse(counted: Any, redis: Any, prefix: str) -> None:
    store = RedisTokenStore(counted, prefix=prefix)
    for _ in range(2):
        with store.lock(KEY, 0), pytest.raises(TimeoutError), store.lock(KEY, 0):
            pass
        store.save(KEY, TOKEN)
        store.save_failure(KEY, "a text", 60)
        assert (store.load(KEY), store.load_failure(KEY)) == (TOKEN, "a text")
        store.delete(KEY)
        assert (store.load(KEY), store.load_failure(KEY)) == (None, None)
    assert {command[0] for command in counted.sent} == {"SET", "GET", "EVAL", "DEL"}
    for command in counted.sent:
        assert len(redis.execute_command("COMMAND GETKEYS", *command)) == 1, command


def test_a_failure_that_is_no_text_is_none(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    redis.set(f"{prefix}failed:{KEY}", b"\xff")
    assert store.load_failure(KEY) is None


def test_prefixes_keep_apart(store: RedisTokenStore, redis_url: str) -> None:
    other = RedisTokenStore(redis_url, prefix=f"{secrets.token_hex(8)}:")
    store.save(KEY, TOKEN)
    assert other.load(KEY) is None
    with store.lock(KEY, 1), other.lock(KEY, 1):
        pass
    other.close()


# ---- locks ---------------------------------------------------------------------------------------------


def test_a_lock_that_became_somebody_elses_is_left_to_them(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    with store.lock(KEY, 1):
        redis.set(f"{prefix}lock:{KEY}", "somebody else")
    assert redis.get(f"{prefix}lock:{KEY}") == b"somebody else"


def test_what_is_no_lock_keeps_the_lock_and_spoils_nothing_else(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    store.save("other", TOKEN)
    redis.rpush(f"{prefix}lock:{KEY}", "x")
    with pytest.raises(TimeoutError), store.lock(KEY, 0):
        pass
    assert store.load("other") == TOKEN


def test_the_lock_of_a_holder_that_died_ends_by_itself(
    store: RedisTokenStore, redis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", 60.0)  # cut short below, so that a slow machine does not end it before we look
    name = f"{prefix}lock:{KEY}"
    lease.Lease(store._run, name).take(0, SYSTEM_CLOCK)
    assert 0 < redis.pttl(name) <= 60_000
    with pytest.raises(TimeoutError), store.lock(KEY, 0):
        pass
    redis.pexpire(name, 50)
    with store.lock(KEY, 20):
        pass


def test_a_lock_is_kept_for_as_long_as_it_is_held(store: RedisTokenStore, redis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE", 60.0)
    monkeypatch.setattr(lease, "_RENEWALS", 3000)  # in that time: each 20 ms
    name = f"{prefix}lock:{KEY}"
    with store.lock(KEY, 1):
        mark = redis.get(name)
        for _ in range(3):
            redis.pexpire(name, 30_000)
            end = time.monotonic() + 20
            while redis.pttl(name) <= 30_000:
                assert time.monotonic() < end, "it is not renewed"
                time.sleep(0.005)
        assert redis.get(name) == mark
    assert redis.get(name) is None


def test_a_lock_is_kept_though_its_renewal_fails_for_a_while(
    redis_server: RedisServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", 60.0)
    for name in ("_RENEWALS", "_FAILED_RENEWALS"):
        monkeypatch.setattr(lease, name, 3000)
    redis_server.start()
    # its clock stands still: the time for which it leaves Redis alone does not pass
    store = RedisTokenStore(redis_server.url, timeout=0.2, clock=clock)
    with Redis.from_url(redis_server.url) as redis, store.lock(KEY, 1):
        redis.execute_command("CLIENT", "PAUSE", 1500)
        _wait_until(lambda: store._outage is not None)
        _wait_until(lambda: store._outage is None)
        redis.pexpire(f"animus:lock:{KEY}", 30_000)
        _wait_until(lambda: redis.pttl(f"animus:lock:{KEY}") > 30_000)
        assert store.load(KEY) is None, "what is there again is used again"
    store.close()


def test_a_lock_that_became_somebody_elses_is_not_renewed(
    store: RedisTokenStore, redis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", 0.2)
    before = set(threading.enumerate())
    with store.lock(KEY, 1):
        redis.set(f"{prefix}lock:{KEY}", "somebody else")
        _wait_until(lambda: set(threading.enumerate()) <= before)
        assert redis.ttl(f"{prefix}lock:{KEY}") == -1


class Repeating(Redis):
    """Loses the first answer to each SET, and so asks a second time, as the package does after an error of the connection."""

    def set(self, *args: Any, **options: Any) -> Any:
        super().set(*args, **options)
        return super().set(*args, **options)


def test_an_answer_that_got_lost_does_not_lock_the_holder_out(redis_url: str, redis: Any, prefix: str) -> None:
    with Repeating.from_url(redis_url) as client:
        store = RedisTokenStore(client, prefix=prefix)
        for timeout in (0, 0.05):
            with store.lock(KEY, timeout), pytest.raises(TimeoutError), store.lock(KEY, timeout):
                pass
            assert redis.get(f"{prefix}lock:{KEY}") is None


def test_waiting_for_a_lock_is_one_command_a_try(counted: Any, store: RedisTokenStore, prefix: str) -> None:
    clock = ManualClock()
    with store.lock(KEY, 1), pytest.raises(TimeoutError), RedisTokenStore(counted, prefix=prefix, clock=clock).lock(KEY, 1):
        pass
    assert [command[0] for command in counted.sent] == ["SET"] * (len(clock.waits) + 1) + ["EVAL"]
    assert {frozenset(command[3:]) for command in counted.sent[:-1]} == {frozenset(("NX", "PX", 3000))}


def test_the_lock_is_waited_for_by_the_clock(redis_url: str, prefix: str) -> None:
    clock = ManualClock()
    store = RedisTokenStore(redis_url, prefix=prefix, clock=clock)
    with store.lock(KEY, 5), pytest.raises(TimeoutError), store.lock(KEY, 5):
        pass
    assert sum(wait or 0 for wait in clock.waits) == pytest.approx(5)
    store.close()


# ---- without Redis -------------------------------------------------------------------------------------


def _living(value: str) -> dict[str, Any]:
    return {"token": value, "expires_in": 3600}


def test_a_redis_that_is_not_there_is_said_once_and_done_without(caplog: pytest.LogCaptureFixture, clock: ManualClock) -> None:
    store = RedisTokenStore(f"redis://:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{unused_port()}/0", clock=clock)
    sources = [Scripted(_living(f"t{number}"), _living("x")) for number in range(3)]
    managers = [TokenManager(source, store=store, clock=clock, identity=f"u{number}") for number, source in enumerate(sources)]
    for number, manager in enumerate(managers):
        assert manager.token().value == f"t{number}"
    clock.advance(3590)
    for manager in managers:
        manager.clear()
        assert manager.token().value == "x"
        manager.close()
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "going on without the token store" in warnings[0]
    assert "refused" in warnings[0]
    assert PASSWORD not in caplog.text
    assert "p%40ss" not in caplog.text


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1795600000.0)


def test_it_is_used_again_when_it_is_back_and_its_next_end_is_news(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    redis_server.start()
    store = RedisTokenStore(redis_server.url, clock=clock)
    source = Scripted(*(_living(f"t{number}") for number in range(1, 9)))
    manager = TokenManager(source, store=store, clock=clock)

    def renewed() -> str:
        clock.advance(3600)
        return str(manager.token().value)

    def warnings() -> int:
        return sum(record.levelno >= logging.WARNING for record in caplog.records)

    assert renewed() == "t1"
    assert (renewed(), warnings()) == ("t2", 0)
    redis_server.stop()
    assert (renewed(), warnings()) == ("t3", 1)
    assert (renewed(), warnings()) == ("t4", 1)
    redis_server.start()
    assert (renewed(), warnings()) == ("t5", 1)
    loaded = store.load(store_key("scripted", None))
    assert loaded is not None
    assert loaded.value == "t5"
    redis_server.stop()
    assert (renewed(), warnings()) == ("t6", 2)
    manager.close()
    store.close()


def test_a_redis_that_does_not_answer_is_given_little_time_and_then_left_alone(clock: ManualClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = RedisTokenStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.05, clock=clock)
        began = clock.monotonic()
        for _ in range(50):
            with pytest.raises(ConnectionError, match="cannot be used"):
                store.load(KEY)
        assert clock.monotonic() == began
        silent.settimeout(0.01)
        connections = []
        while True:
            try:
                connections.append(silent.accept()[0])
            except TimeoutError:
                break
        assert 1 <= len(connections) <= 3
        for connection in connections:
            connection.close()
        store.close()


def test_what_is_to_be_forgotten_is_told_a_redis_that_is_left_alone(redis_server: RedisServer, clock: ManualClock) -> None:
    redis_server.start()
    store = RedisTokenStore(redis_server.url, timeout=0.2, clock=clock)
    store.save(KEY, TOKEN)
    with Redis.from_url(redis_server.url) as redis:
        redis.execute_command("CLIENT", "PAUSE", 1500)
        with pytest.raises(ConnectionError):
            store.load(KEY)
        redis.ping()  # it answers again
        with pytest.raises(ConnectionError):
            store.load(KEY)
        store.delete(KEY)
        assert redis.keys() == []
    assert store.load(KEY) is None, "what has answered is left alone no longer"
    store.close()


def test_a_redis_that_refuses_is_no_failure_of_the_call(redis_server: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis_server._options = ("--requirepass", PASSWORD)
    redis_server.start()
    manager = TokenManager(Scripted(_living("t")), store=RedisTokenStore(redis_server.url.replace("//", "//:wrong-password@")))
    assert manager.token().value == "t"
    manager.close()
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) == 1
    assert "wrong-password" not in caplog.text


def test_a_password_that_is_right(redis_server: RedisServer) -> None:
    redis_server._options = ("--requirepass", PASSWORD)
    redis_server.start()
    store = RedisTokenStore(redis_server.url.replace("//", f"//:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@"))
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    store.close()


# ---- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["http://x", "redis:", "redis://", "rediss://:pw@", "redis://host:port", f"redis://:{PASSWORD}@host", "", 7, None, {},
     "redis:/host", "redis://host/0#1", "redis://host:0", "redis://host/x", f"redis://user:12/34?x@{PASSWORD[7:]}:6379",
     f"redis://host?password={PASSWORD}", f"unix://:{PASSWORD}@/tmp/socket", f"unix://:pw/{PASSWORD[7:]}@/tmp/socket",
     f"unix://user:12?{PASSWORD[7:]}@/tmp/socket", f"unix:///tmp/{PASSWORD}", "unix://", "unix:///", "unix://tmp/socket",
     "unix:/tmp/socket"],
)  # fmt: skip
def test_what_is_no_redis_is_refused_and_not_shown(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisTokenStore(url)
    assert "must-not-show" not in str(caught.value)


def test_the_case_of_the_scheme_does_not_count(redis_url: str, prefix: str) -> None:
    store = RedisTokenStore(redis_url.replace("redis://", "Redis://"), prefix=prefix)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    store.close()


def test_a_socket_and_strange_characters(redis_server: RedisServer, tmp_path: Path) -> None:
    socket_path = tmp_path / "a socket @ home?"
    redis_server._options = ("--requirepass", PASSWORD, "--unixsocket", str(socket_path))
    redis_server.start()
    store = RedisTokenStore(f"unix://:{quote(PASSWORD, safe='')}@{quote(str(socket_path))}?db=1")
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    assert PASSWORD not in repr(store)
    with pytest.raises(TypeError, match="there is a password in its URL"):
        pickle.dumps(store)
    store.close()


@pytest.mark.parametrize(
    "option",
    ["colour=must-not-show", "must-not-show=1", "db=must-not-show", "protocol=must-not-show", "timeout=must-not-show", "ssl_keyfile=x"],
)
def test_an_option_that_redis_does_not_know_is_an_error_of_the_documented_kind(option: str) -> None:
    store = RedisTokenStore(f"redis://127.0.0.1:{unused_port()}/0?{option}")
    for act in (lambda: store.load(KEY), lambda: store.save(KEY, TOKEN), lambda: store.delete(KEY), lambda: store.lock(KEY, 0).__enter__()):
        with pytest.raises(ValueError, match="cannot be used: its URL cannot be read, or has an option") as caught:
            act()
        assert "must-not-show" not in str(caught.value)


def test_an_option_that_breaks_the_client_later_is_an_outage(redis_url: str) -> None:
    store = RedisTokenStore(f"{redis_url}?credential_provider=x")
    with pytest.raises(ConnectionError, match="cannot be used: AttributeError"):
        store.load(KEY)
    store.close()


def test_only_a_client_that_answers_at_once_is_one(redis: Any) -> None:
    clients = {
        "a Redis for asyncio": redis_asyncio.Redis(),
        "a RedisCluster for asyncio": redis_asyncio.RedisCluster(host="127.0.0.1", port=1),
        "a pipeline": redis.pipeline(),
        "a pipeline, which": ClusterPipeline.__new__(ClusterPipeline),
        "a pipeline, which answers": redis_asyncio.Redis().pipeline(),
        "the class Redis, not an object": Redis,
    }
    for problem, client in clients.items():
        with pytest.raises(ConfigurationError, match=f"redis is {problem}.*Give a redis.Redis, or a URL"):
            RedisTokenStore(client)


def test_what_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"redis.*animus-client\[redis\]"):
        RedisTokenStore("redis://localhost")


def test_a_url_that_a_function_gives_is_asked_for_when_it_is_needed(redis_url: str, prefix: str) -> None:
    asked: list[str] = []

    def url() -> str:
        asked.append("asked")
        return redis_url

    store = RedisTokenStore(url, prefix=prefix)
    assert asked == []
    assert "url()" in repr(store)
    store.save(KEY, TOKEN)
    assert store.load(KEY) == TOKEN
    assert asked == ["asked"]
    assert redis_url in repr(store)
    store.close()


@pytest.mark.parametrize("given", ["", "http://x", None, f"redis://:{PASSWORD}@host"])
def test_a_function_that_gives_no_url(given: Any) -> None:
    store = RedisTokenStore(lambda: given)
    with pytest.raises(ValueError, match="cannot be used") as caught:
        store.load(KEY)
    assert "must-not-show" not in str(caught.value)


def test_a_function_that_raises() -> None:
    def url() -> str:
        raise KeyError(PASSWORD)

    store = RedisTokenStore(url)
    with pytest.raises(ValueError, match=r"the URL of .*url\(\) cannot be used: the function for it raised KeyError$") as caught:
        store.load(KEY)
    assert caught.value.__context__ is None


# ---- secrets and travelling ----------------------------------------------------------------------------


def test_nothing_shows_the_password() -> None:
    for url in (
        f"redis://user:{PASSWORD[7:]}@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?password={PASSWORD[7:]}",
        f"redis://{PASSWORD[7:]}@127.0.0.1:1/0",
    ):
        store = RedisTokenStore(url)
        with pytest.raises(ConnectionError) as caught:
            store.load(KEY)
        shown = [repr(store), str(store), repr(vars(store)), str(caught.value), repr(caught.value.__context__)]
        assert PASSWORD[7:] not in "".join(shown)
        with pytest.raises(TypeError, match="ANIMUS_TOKEN_STORE") as refused:
            pickle.dumps(store)
        assert PASSWORD[7:] not in str(refused.value)


def url_of_module() -> str:
    return "redis://127.0.0.1:1/0"


@pytest.mark.parametrize("redis", ["redis://127.0.0.1:1/0", url_of_module])
def test_it_travels_by_a_url_without_secrets_or_by_a_function(redis: str | Callable[[], str]) -> None:
    store = RedisTokenStore(redis, prefix="shop:", timeout=0.5)
    twin = pickle.loads(pickle.dumps(store))
    assert (repr(twin), twin._prefix, twin._timeout) == (repr(store), "shop:", 0.5)
    assert copy.copy(store) is copy.deepcopy(store) is store


def test_one_made_with_a_client_does_not_travel(redis: Any) -> None:
    with pytest.raises(TypeError, match="made with a client"):
        pickle.dumps(RedisTokenStore(redis))


def test_closing_is_no_end(store: RedisTokenStore, redis: Any, prefix: str) -> None:
    store.close()
    store.save(KEY, TOKEN)
    store.close()
    store.close()
    assert store.load(KEY) == TOKEN
    RedisTokenStore(redis, prefix=prefix).close()
    assert redis.get(prefix + KEY) is not None


def test_a_redis_that_quotes_what_it_was_told_shows_no_token() -> None:
    class Quoting:
        def set(self, name: str, text: str, **options: Any) -> None:
            raise ResponseError(f"unknown command 'SET', with args beginning with: '{name}' '{text}'")

        get = delete = eval = set

    store = RedisTokenStore(Quoting())  # type: ignore[arg-type]
    stored = StoredToken("an-opaque-canary-0123456789", livekit={"voice": LiveKitDetails("wss://x", "a-room-canary-0123456789")})
    for _ in range(2):  # and while it is left alone
        with pytest.raises(ConnectionError, match="unknown command") as caught:
            store.save("k", stored)
        assert "canary" not in "".join(traceback.format_exception(caught.value.with_traceback(None)))
