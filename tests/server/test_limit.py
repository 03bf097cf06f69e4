"""How often somebody may ask."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from limits.storage import MemoryStorage

import animus
from animus.errors import ConfigurationError
from animus.server import RateLimit
from animus.testing import ManualClock
from tests.servers import unused_port


class FailingStorage(MemoryStorage):
    """A storage in memory that can be switched off."""

    STORAGE_SCHEME = ["failing"]
    failing = False
    asked = 0

    def acquire_sliding_window_entry(self, *args: Any, **options: Any) -> bool:
        FailingStorage.asked += 1
        if FailingStorage.failing:
            raise ConnectionError("secret-of-the-storage is away")
        return super().acquire_sliding_window_entry(*args, **options)


@pytest.fixture(autouse=True)
def _working_storage() -> None:
    FailingStorage.failing = False
    FailingStorage.asked = 0


def test_one_too_many_waits() -> None:
    limit = RateLimit("3/day")
    assert [limit.hit(user="ada", address=None) for _ in range(3)] == [None] * 3
    wait = limit.hit(user="ada", address=None)
    assert wait is not None
    assert 1 <= wait <= 86400
    assert wait == int(wait)


def test_users_and_addresses_are_counted_apart() -> None:
    limit = RateLimit("1/day")
    for who in ({"user": "ada"}, {"user": "bob"}, {"address": "192.0.2.1"}, {"address": "192.0.2.2"}, {"address": None}):
        keys = {"user": None, "address": None, **who}
        assert limit.hit(**keys) is None
        assert limit.hit(**keys) is not None
    assert limit.hit(user="192.0.2.3", address="192.0.2.1") is None  # a user is not held up by strangers at the same address


def test_a_site_with_many_ipv6_addresses_is_one() -> None:
    limit = RateLimit("1/day")
    assert limit.hit(user=None, address="2001:db8:1:2::1") is None
    assert limit.hit(user=None, address="2001:db8:1:2:ffff::9%eth0") is not None
    assert limit.hit(user=None, address="2001:db8:1:3::1") is None
    assert limit.hit(user=None, address="192.0.2.1") is None
    assert limit.hit(user=None, address="::ffff:192.0.2.1") is not None
    assert limit.hit(user=None, address="no address at all") is None


def test_several_limits_hold_together() -> None:
    limit = RateLimit("100/minute; 2/day")
    assert [limit.hit(user="ada", address=None) is None for _ in range(3)] == [True, True, False]


def test_threads_never_get_more_than_the_limit() -> None:
    limit = RateLimit("10/day")
    with ThreadPoolExecutor(32) as pool:
        passed = sum(wait is None for wait in pool.map(lambda _: limit.hit(user="ada", address=None), range(100)))
    assert 1 <= passed <= 10


@pytest.mark.parametrize("limit", ["", "many", "30", "0/minute", "-1/minute", "30/fortnight", None, 30])
def test_what_is_no_limit_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="limit must be"):
        RateLimit(limit)


@pytest.mark.parametrize("storage", ["", "here", "floppy://a", "async+memory://", "redis://user:topsecret@host:port"])
def test_what_is_no_storage_is_refused_without_showing_a_password(storage: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        RateLimit("1/day", storage=storage)
    assert "topsecret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_storage_that_fails_is_stood_in_for(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    limit = RateLimit("2/day", storage="failing://", clock=clock)
    FailingStorage.failing = True
    with caplog.at_level(logging.WARNING, "animus.server"):
        assert [limit.hit(user="ada", address=None) is None for _ in range(3)] == [True, True, False]
        assert FailingStorage.asked == 1  # not again for a while, else each request would wait for it
        clock.advance(11)
        limit.hit(user="ada", address=None)
        assert FailingStorage.asked == 2
        FailingStorage.failing = False
        clock.advance(11)
        assert limit.hit(user="ada", address=None) is None
    assert len(caplog.messages) == 1


def test_redis_that_is_away_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    limit = RateLimit("1/day", storage=f"redis://:topsecret@127.0.0.1:{unused_port()}")
    assert [limit.hit(user="ada", address=None) is None for _ in range(2)] == [True, False]
    assert "topsecret" not in caplog.text + repr(limit)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_counts_by_itself() -> None:
    limit = RateLimit("1/day")
    assert limit.hit(user="ada", address=None) is None
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if limit.hit(user="ada", address=None) is None and limit.hit(user="ada", address=None) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert limit.hit(user="ada", address=None) is not None


def test_without_the_package_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['limits'] = None\nfrom animus.server import RateLimit\nRateLimit('1/day')"
    environment = {**os.environ, "PYTHONPATH": str(Path(animus.__file__).parent.parent)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert 'pip install "animus-client[server]"' in result.stderr


def test_it_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(RateLimit("1/day"))
