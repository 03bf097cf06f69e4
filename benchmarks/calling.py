"""Rows 1 to 6: one call, request to typed answer, against what others do for the same."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from benchmarks import wire
from benchmarks.measure import Client, Group, Row, ratio
from benchmarks.trust import trust
from benchmarks.worker import Place, Sample, repeated

_PATH = "/chat/completions"


def _base(place: Place, kind: str = "") -> str:
    kind = kind or place.options.get("kind", "plain")
    return f"{place.https if place.options.get('tls') else place.http}/{kind}/v3"


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {wire.TOKEN}"}


def client_of(base_url: str, **options: Any) -> Any:
    """Give our client, which gets its token from a function."""
    from animus import AnimusClient

    chat = {"model": wire.MODEL, "system_message": wire.SYSTEM, "temperature": 0.7}
    return AnimusClient(lambda: wire.TOKEN, api_base_url=base_url, chat=chat, **options)


def animus(place: Place) -> Sample:
    """Our call: token, events, repetitions and typed answer included; ``listeners`` to each event of a request."""
    trust(place)
    client = client_of(_base(place))
    for _ in range(place.options.get("listeners", 0)):
        for name in ("request_start", "request_complete"):
            client.on(name, lambda event: None)
    messages = wire.MESSAGES[1:]
    assert client.chat.completions(messages).text
    return repeated(lambda: client.chat.completions(messages))


def animus_session(place: Place) -> Sample:
    """Our session as a plain one."""
    trust(place)
    session = client_of(_base(place)).session
    return repeated(lambda: session.post(_PATH, json=wire.PAYLOAD).json())


def requests_post(place: Place) -> Sample:
    """What people write with requests."""
    trust(place)
    import requests

    session, url = requests.Session(), _base(place) + _PATH
    session.headers.update(_bearer())
    return repeated(lambda: session.post(url, json=wire.PAYLOAD).json())


def urllib3_request(place: Place) -> Sample:
    """What requests is built on."""
    import urllib3

    pool: Any = urllib3.PoolManager(ca_certs=place.bundle)
    url = _base(place) + _PATH
    return repeated(lambda: pool.request("POST", url, json=wire.PAYLOAD, headers=_bearer()).json())


def httpx_post(place: Place) -> Sample:
    """The same with httpx."""
    httpx = importlib.import_module("httpx")
    import ssl

    client = httpx.Client(headers=_bearer(), verify=ssl.create_default_context(cafile=place.bundle))
    url = _base(place) + _PATH
    return repeated(lambda: client.post(url, json=wire.PAYLOAD).json())


def google_auth(place: Place) -> Sample:
    """The session of google-auth, with a token that lasts."""
    trust(place)
    credentials = importlib.import_module("google.oauth2.credentials").Credentials(token=wire.TOKEN)
    session = importlib.import_module("google.auth.transport.requests").AuthorizedSession(credentials)
    url = _base(place) + _PATH
    return repeated(lambda: session.post(url, json=wire.PAYLOAD).json())


def openai_create(place: Place) -> Sample:
    """openai-python, against the same server."""
    client = importlib.import_module("openai").OpenAI(api_key=wire.TOKEN, base_url=_base(place), **_http_client(place, "openai"))
    options = {"model": wire.MODEL, "messages": wire.MESSAGES, "temperature": 0.7, "extra_body": {"compliance": True, "autoTurn": False}}
    return repeated(lambda: client.chat.completions.create(**options))


def anthropic_create(place: Place) -> Sample:
    """anthropic-sdk-python; its answer is of its own form."""
    made = importlib.import_module("anthropic")
    client = made.Anthropic(auth_token=wire.TOKEN, base_url=_base(place, "anthropic"), **_http_client(place, "anthropic"))
    options = {"model": wire.MODEL, "system": wire.SYSTEM, "messages": wire.MESSAGES[1:], "max_tokens": 400}
    return repeated(lambda: client.messages.create(**options))


def _http_client(place: Place, name: str) -> dict[str, Any]:
    if not place.options.get("tls"):
        return {}
    import ssl

    return {"http_client": importlib.import_module(name).DefaultHttpxClient(verify=ssl.create_default_context(cafile=place.bundle))}


def _clients(options: Mapping[str, Any], *, all_peers: bool = False) -> list[Client]:
    given = dict(options)
    few = [
        Client("animus", options=given),
        Client("requests", "requests_post", options=given),
        Client("requests, twin", "requests_post", options=given),
        Client("urllib3", "urllib3_request", options=given),
        Client("openai", "openai_create", "openai", given, share=0.5),
    ]
    if not all_peers:
        return few
    return [
        *few,
        Client("animus, 1 listener", "animus", options={**given, "listeners": 1}),
        Client("animus.session", "animus_session", options=given),
        Client("httpx", "httpx_post", "httpx", given),
        Client("google-auth", "google_auth", "google.auth", given),
        Client("anthropic", "anthropic_create", "anthropic", given, share=0.5),
    ]


_ANIMUS_TO_REQUESTS = ratio("animus", "requests")
_TWINS = ("requests", "requests, twin", "cpu")
_SHOWN = ("cpu", "requests")


def _condition(name: str, options: Mapping[str, Any], row: Row) -> Group:
    return Group(name, __name__, _clients(options), [row], 300, 11, _TWINS, _SHOWN)


GROUPS = [
    Group(
        "one call",
        __name__,
        _clients({}, all_peers=True),
        [
            Row("1", "CPU of a call / requests", _ANIMUS_TO_REQUESTS, 0.55, 0.40, 0.35),
            Row("3", "CPU of a call / urllib3", ratio("animus", "urllib3"), 1.15, 0.95),
            Row("4", "CPU of a call / openai", ratio("animus", "openai"), 0.25, 0.20, peer=True),
            Row("5", "CPU of a call / httpx", ratio("animus", "httpx"), 0.70, 0.60, peer=True),
        ],
        300,
        15,
        _TWINS,
        _SHOWN,
    ),
    _condition("22 headers", {"kind": "rich"}, Row("2a", "the same with 22 headers", _ANIMUS_TO_REQUESTS, 0.55, 0.45)),
    _condition(
        "22 headers, Set-Cookie", {"kind": "cookie"}, Row("2b", "with 22 headers and Set-Cookie", _ANIMUS_TO_REQUESTS, 0.60, 0.50)
    ),
    _condition("TLS", {"tls": True}, Row("2c", "with TLS", _ANIMUS_TO_REQUESTS, 0.55, 0.45)),
    Group(
        "size of the environment",
        __name__,
        [
            Client("animus, 4 variables", "animus"),
            Client("animus, 400 variables", "animus", variables=396),
            Client("animus, twin", "animus"),
            Client("requests, 4 variables", "requests_post"),
            Client("requests, 400 variables", "requests_post", variables=396),
        ],
        [Row("6", "CPU of a call at 400 variables / at 4", ratio("animus, 400 variables", "animus, 4 variables"), 1.15, 1.05)],
        300,
        11,
        ("animus, 4 variables", "animus, twin", "cpu"),
        ("cpu", "requests, 4 variables"),
    ),
]
