"""Storms on a token provider, over real HTTP: how many fetches, and how long the slowest caller waits.

    python benchmarks/storms.py

One provider that takes 0.2 s for each answer. Ours is measured on all storms; google-auth on those it can be put into, if it is
installed. Counts are exact; seconds are those of this machine.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from animus import AnimusClient, TokenSourceError
from animus.emulator import Emulator

ANSWER_SECONDS = 0.2
CHAT = {"model": "m", "system_message": "s"}
Row = tuple[str, str, int, float, str]


def together(count: int, work: Callable[[], Any]) -> tuple[list[Any], float]:
    """Run ``work`` in so many threads at once; give what came out, and the seconds of the slowest."""
    barrier, results, slowest = threading.Barrier(count), [], [0.0]

    def run() -> None:
        barrier.wait()
        start = time.perf_counter()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)
        slowest[0] = max(slowest[0], time.perf_counter() - start)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, slowest[0]


def client_of(emulator: Emulator, **options: Any) -> AnimusClient:
    """Give a client of the emulator."""
    return AnimusClient(emulator.token_url, api_base_url=emulator.api_base_url, chat=CHAT, **options)


def ask(client: AnimusClient) -> Callable[[], Any]:
    """Give a function that makes one call."""
    return lambda: client.chat.completions([{"role": "user", "content": "Hi"}])


def cold(count: int) -> Row:
    """Threads on a client without a token."""
    with Emulator() as emulator, client_of(emulator) as client:
        emulator.arm(kind="token", delay=ANSWER_SECONDS, times=None)
        results, slowest = together(count, ask(client))
        failed = sum(isinstance(result, Exception) for result in results)
        return f"{count} cold threads", "animus", emulator.requests.count(kind="token"), slowest, f"{failed} failed"


def provider_down(count: int) -> Row:
    """The provider fails: one flight, its one repetition included, and one failure for all."""
    with Emulator() as emulator, client_of(emulator) as client:
        emulator.arm(kind="token", status=503, delay=ANSWER_SECONDS, times=None)
        results, slowest = together(count, ask(client))
        told = sum(isinstance(result, TokenSourceError) and result.reason == "server_error" for result in results)
        return f"provider down, {count} threads", "animus", emulator.requests.count(kind="token"), slowest, f"{told} got the failure"


def staggered_refusals(count: int) -> Row:
    """One token is revoked; its 401s arrive one after the other."""
    with Emulator() as emulator, client_of(emulator) as client:
        ask(client)()
        emulator.revoke_tokens()
        numbers = iter(range(count))
        lock = threading.Lock()

        def late() -> Any:
            with lock:
                number = next(numbers)
            time.sleep(number * 0.01)
            return ask(client)()

        results, slowest = together(count, late)
        renewals = emulator.requests.count(kind="token") - 1
        failed = sum(isinstance(result, Exception) for result in results)
        return f"{count} staggered 401s", "animus", renewals, slowest, f"{failed} failed"


def renewal_window(count: int) -> Row:
    """A token in its renewal window is renewed while all others go on with it."""
    with Emulator() as emulator:
        emulator.token_lifetime = 4  # renewal begins after three quarters
        with client_of(emulator) as client:
            ask(client)()
            time.sleep(3.1)
            emulator.arm(kind="token", delay=ANSWER_SECONDS, times=None)
            _, slowest = together(count, ask(client))
            emulator.requests.wait_until_idle()
            return f"renewal window, {count} threads", "animus", emulator.requests.count(kind="token") - 1, slowest, "nobody waits for it"


def google_auth(count: int) -> Row | None:
    """The same cold storm on google-auth, whose credentials refresh in each thread that finds them cold."""
    try:
        from google.auth.credentials import Credentials
        from google.auth.transport.requests import AuthorizedSession
    except ImportError:
        return None
    import requests

    with Emulator() as emulator:
        emulator.arm(kind="token", delay=ANSWER_SECONDS, times=None)

        class FromProvider(Credentials):  # type: ignore[misc]
            def refresh(self, request: Any) -> None:
                self.token = requests.post(emulator.token_url, timeout=10).json()["accessToken"]

        session = AuthorizedSession(FromProvider())
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
        url = f"{emulator.api_base_url}/chat/completions"
        results, slowest = together(count, lambda: session.post(url, data=body, headers={"Content-Type": "application/json"}))
        failed = sum(isinstance(result, Exception) for result in results)
        return f"{count} cold threads", "google-auth", emulator.requests.count(kind="token"), slowest, f"{failed} failed"


def main() -> None:
    """Run all storms and print a table."""
    rows = [cold(32), google_auth(32), cold(1000), provider_down(32), staggered_refusals(32), renewal_window(32)]
    print(f"{'storm':32} {'who':12} {'fetches':>8} {'slowest s':>10}  outcome")
    for row in rows:
        if row is not None:
            print("{:32} {:12} {:8} {:10.3f}  {}".format(*row))
    if rows[1] is None:
        print("google-auth is not installed and was left out")


if __name__ == "__main__":
    main()
