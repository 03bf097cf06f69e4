"""What a look at a token costs with ten and with ten thousand of them in the store.

    python -m benchmarks.lookups [--rounds 9]

The median of some rounds, in microseconds of CPU for one ``load()``; rounds of both sizes take turns. Redis is left out where
there is none.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

from animus import FileTokenStore, MemoryTokenStore, RedisTokenStore, StoredToken, TokenStore
from animus.stores.protocol import store_key
from benchmarks import storms

SIZES = (10, 10_000)
_LOOKS = 1000
_TOKEN = StoredToken("x" * 700, 4102444800.0, 0.0, 1.0)


def microseconds(store: TokenStore, size: int) -> float:
    """Give the CPU of one look, the looks spread over all keys."""
    keys = [store_key("url:bench", f"user {number}") for number in range(0, size, max(1, size // _LOOKS))]
    began = time.process_time()
    for number in range(_LOOKS):
        assert store.load(keys[number % len(keys)]) is not None
    return (time.process_time() - began) / _LOOKS * 1e6


def filled(store: TokenStore, size: int) -> TokenStore:
    """Put so many tokens into a store."""
    for number in range(size):
        store.save(store_key("url:bench", f"user {number}"), _TOKEN)
    return store


def show(name: str, stores: dict[int, TokenStore], rounds: int) -> None:
    """Measure and print one line."""
    taken: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size, store in stores.items():
            taken[size].append(microseconds(store, size))
    few, many = (statistics.median(taken[size]) for size in SIZES)
    print(f"{name:8} {few:10.1f} {many:10.1f} {many / few:8.2f}", flush=True)


def main() -> int:
    """Measure and show."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    rounds = options.parse_args().rounds
    print(f"{'store':8} {'us of 10':>10} {'of 10,000':>10} {'ratio':>8}")
    show("memory", {size: filled(MemoryTokenStore(), size) for size in SIZES}, rounds)
    with tempfile.TemporaryDirectory() as folder:
        show("file", {size: filled(FileTokenStore(Path(folder) / str(size)), size) for size in SIZES}, rounds)
    if storms.REDIS is not None:
        print(f"redis    skipped: {storms.REDIS}")
        return 0
    with storms.redis_server() as url, contextlib.ExitStack() as stack:
        stores = {size: RedisTokenStore(url, prefix=f"{size}:") for size in SIZES}
        for size, store in stores.items():
            stack.callback(store.close)
            filled(store, size)
        show("redis", dict(stores), rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
