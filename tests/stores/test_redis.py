"""Tokens in a real Redis: what is shared, how locks end, and what happens without it."""

from __future__ import annotations

import copy
import logging
import pickle
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from animus import ConfigurationError
from animus.refresh.manager import TokenManager
from animus.stores import extra, lease
from animus.stores.protocol import StoredToken, store_key
from animus.stores.redis import RedisTokenStore
from animus.testing import ManualClock
from animus.testing.suites import TokenStoreSuite
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


def test_a_look_is_one_command_with_ten_thousand_tokens(redis_url: str, prefix: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.mset({f"{prefix}{number:064x}": "x" for number in range(10_000)})
        sent: list[tuple[Any, ...]] = []

        class Counted(Redis):
            def execute_command(self, *command: Any, **options: Any) -> Any:
                sent.append(command)
                return super().execute_command(*command, **options)

        with Counted.from_url(redis_url) as counted:
            store = RedisTokenStore(counted, prefix=prefix)
            store.save(KEY, TOKEN)
            sent.clear()
            assert store.load(KEY) == TOKEN
            assert store.load("another") is None
            assert sent == [("GET", f"{prefix}{KEY}"), ("GET", f"{prefix}another")]
        redis.delete(*redis.scan_iter(f"{prefix}*", count=10_000))


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


def test_the_lock_of_a_holder_that_died_ends_by_itself(
    store: RedisTokenStore, redis: Any, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE", 0.2)
    dead = lease.Lease(store._run, f"{prefix}lock:{KEY}")
    assert dead.take()
    assert 0 < redis.pttl(f"{prefix}lock:{KEY}") <= 200
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


def test_an_answer_that_got_lost_does_not_lock_the_holder_out(store: RedisTokenStore, prefix: str) -> None:
    one = lease.Lease(store._run, f"{prefix}lock:{KEY}")
    assert one.take()
    assert one.take()  # the client asks a second time by itself
    assert not lease.Lease(store._run, f"{prefix}lock:{KEY}").take()
    one.leave()


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
    "url", ["http://x", "redis:", "redis://", "rediss://:pw@", "redis://host:port", f"redis://:{PASSWORD}@host", "", 7, None, {}]
)
def test_what_is_no_redis_is_refused_and_not_shown(url: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RedisTokenStore(url)
    assert "must-not-show" not in str(caught.value)


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


# ---- secrets and travelling ----------------------------------------------------------------------------


def test_nothing_shows_the_password() -> None:
    for url in (f"redis://user:{PASSWORD[7:]}@127.0.0.1:1/0", f"redis://127.0.0.1:1/0?password={PASSWORD[7:]}"):
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
