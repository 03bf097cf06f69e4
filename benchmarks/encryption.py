"""Rows 22 and 23: what a new TLS connection costs, and that no call weakens another."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from benchmarks import wire
from benchmarks.calling import client_of
from benchmarks.measure import Client, Group, Row, of, ratio
from benchmarks.trust import trust
from benchmarks.worker import Place, Sample, repeated

_PATH = "/chat/completions"


def animus(place: Place) -> Sample:
    """A call of ours on a new connection: the server ends each."""
    trust(place)
    client = client_of(f"{place.https}/once/v3")
    return repeated(lambda: client.chat.completions(wire.MESSAGES[1:]))


def requests_post(place: Place) -> Sample:
    """The same with requests."""
    trust(place)
    import requests

    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {wire.TOKEN}"
    return repeated(lambda: session.post(f"{place.https}/once/v3{_PATH}", json=wire.PAYLOAD).json())


def openai(place: Place) -> Sample:
    """The same with openai-python."""
    import importlib
    import ssl

    library = importlib.import_module("openai")
    http = library.DefaultHttpxClient(verify=ssl.create_default_context(cafile=place.bundle))
    client = library.OpenAI(api_key=wire.TOKEN, base_url=f"{place.https}/once/v3", http_client=http)
    return repeated(lambda: client.chat.completions.create(model=wire.MODEL, messages=wire.MESSAGES))


def weakened(place: Place) -> Sample:
    """How many of the calls that check certificates were answered by a server nobody knows, while others do not check."""
    import requests

    session = client_of(f"{place.https}/once/v3", retry=0).session

    def sample(count: int) -> Mapping[str, float]:
        answered = unchecked = 0
        ended = threading.Event()

        def careless() -> None:
            nonlocal unchecked
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                while not ended.is_set():
                    session.get("/models", verify=False)
                    unchecked += 1

        thread = threading.Thread(target=careless)
        thread.start()
        try:
            for _ in range(count):
                try:
                    session.get("/models")
                    answered += 1
                except requests.exceptions.SSLError:
                    pass
        finally:
            ended.set()
            thread.join()
        assert unchecked
        return {"answered": answered}

    return sample


GROUPS = [
    Group(
        "new TLS connection",
        __name__,
        [
            Client("animus"),
            Client("requests", "requests_post"),
            Client("requests, twin", "requests_post"),
            Client("openai", needs="openai"),
        ],
        [Row("22", "CPU of a call on a new TLS connection / requests", ratio("animus", "requests"), 0.25, 0.12)],
        30,
        9,
        ("requests", "requests, twin", "cpu"),
        ("cpu", "requests"),
    ),
    Group(
        "verify=False beside",
        __name__,
        [Client("animus", "weakened")],
        [Row("23", "calls that checked nothing because another did not", of("animus", "answered"), 0, 0, exact=True)],
        20,
        2,
    ),
]
