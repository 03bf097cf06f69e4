"""Those who hold tokens: ours, and what other libraries have for it, each used as its own client uses it.

A holder gives a token that is valid now (:meth:`Holder.get`), and knows what its client does when the API answers 401
(:meth:`Holder.refused`).
"""

from __future__ import annotations

import datetime
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Holder(Protocol):
    """Holds a token."""

    def get(self) -> str:
        """Give a valid token, fetched from the provider if need be."""

    def refused(self, token: str) -> str:
        """The API has answered 401 to ``token``: do what the client does, and give the token it goes on with.

        Raises:
            NotImplementedError: its client does nothing then.
        """


@dataclass(frozen=True)
class Contestant:
    """One library.

    Attributes:
        make: Makes a holder, cold, for a provider's URL.
        needs: The package that must be there.
        life, wait: A token with so many seconds of life is to be renewed, but still valid, after so many seconds.
        note: What a reader of the numbers should know.
    """

    name: str
    make: Callable[[str], Holder]
    needs: str
    life: float
    wait: float = 0.0
    note: str = ""


class Ours:
    """Our manager, with a source as ``AnimusClient(url)`` makes it."""

    def __init__(self, url: str, store: Any = None, *, repeats: bool = True) -> None:
        from animus.refresh.manager import TokenManager
        from animus.sources.url import UrlTokenSource

        self._manager = TokenManager(UrlTokenSource(url), store=store, repeats=repeats)

    def get(self) -> str:
        return str(self._manager.token().value)

    def refused(self, token: str) -> str:
        self._manager.invalidate(token)
        return self.get()


class GoogleAuth:
    """``google.oauth2.credentials.Credentials`` as an ``AuthorizedSession`` uses them."""

    def __init__(self, url: str) -> None:
        credentials = importlib.import_module("google.oauth2.credentials").Credentials
        self._request = importlib.import_module("google.auth.transport.requests").Request(_session())
        self._credentials = credentials(None, refresh_token="r", token_uri=url, client_id="c", client_secret="s")

    def get(self) -> str:
        headers: dict[str, str] = {}
        self._credentials.before_request(self._request, "GET", "https://api.example/", headers)
        return headers["authorization"].partition(" ")[2]

    def refused(self, token: str) -> str:
        self._credentials.refresh(self._request)
        return self.get()


class AzureCore:
    """A pipeline with a ``BearerTokenCredentialPolicy``; its transport gives 401 to what was refused."""

    def __init__(self, url: str) -> None:
        pipeline, policies = (importlib.import_module(f"azure.core.pipeline{part}") for part in ("", ".policies"))
        access_token = importlib.import_module("azure.core.credentials").AccessToken
        self._http_request = importlib.import_module("azure.core.pipeline.transport").HttpRequest
        session = _session()

        class Credential:
            def get_token(self, *scopes: str, **options: Any) -> Any:
                answer = session.post(url, timeout=10)
                answer.raise_for_status()
                data = answer.json()
                return access_token(data["access_token"], int(time.time() + data["expires_in"]))

        self._transport = _StubTransport()
        self._pipeline = pipeline.Pipeline(self._transport, [policies.BearerTokenCredentialPolicy(Credential(), "scope")])

    def _send(self) -> str:
        request = self._http_request("GET", "https://api.example/")
        self._pipeline.run(request)
        return str(request.headers["Authorization"]).partition(" ")[2]

    def get(self) -> str:
        return self._send()

    def refused(self, token: str) -> str:
        self._transport.refused.add(f"Bearer {token}")
        self._send()  # its 401 goes to the caller; the token is dropped
        return self._send()


class _StubTransport:
    """Answers without any network."""

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def __enter__(self) -> _StubTransport:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def send(self, request: Any, **options: Any) -> Any:
        class Answer:
            status_code = 401 if request.headers["Authorization"] in self.refused else 200
            headers: dict[str, str] = {}  # noqa: RUF012  # as the pipeline reads it

        return Answer()


class Authlib:
    """``OAuth2Session`` with a token that is over."""

    def __init__(self, url: str) -> None:
        session = importlib.import_module("authlib.integrations.requests_client").OAuth2Session
        over = {"access_token": "over", "refresh_token": "r", "expires_at": 1, "token_type": "Bearer"}
        self._session = session("c", "s", token=over, token_endpoint=url)

    def get(self) -> str:
        self._session.ensure_active_token(self._session.token)
        return str(self._session.token["access_token"])

    def refused(self, token: str) -> str:
        raise NotImplementedError("a 401 goes to the caller")


class Botocore:
    """``RefreshableCredentials`` that are over."""

    def __init__(self, url: str) -> None:
        credentials = importlib.import_module("botocore.credentials").RefreshableCredentials
        session = _session()

        def fetch() -> dict[str, str]:
            answer = session.post(url, timeout=10)
            answer.raise_for_status()
            data = answer.json()
            end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=data["expires_in"])
            return {"access_key": "a", "secret_key": "s", "token": data["access_token"], "expiry_time": end.isoformat()}

        over = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
        self._credentials = credentials("a", "s", "over", over, fetch, "bench")

    def get(self) -> str:
        return str(self._credentials.get_frozen_credentials().token)

    def refused(self, token: str) -> str:
        raise NotImplementedError("a 401 goes to the caller")


class OpenAI:
    """What ``OpenAI(workload_identity=…)`` keeps its token in."""

    def __init__(self, url: str) -> None:
        auth = importlib.import_module("openai.auth")
        identity = {
            "identity_provider_id": "i",
            "service_account_id": "s",
            "provider": {"token_type": "jwt", "get_token": lambda: "subject"},
        }
        self._auth = auth.WorkloadIdentityAuth(workload_identity=identity, token_exchange_url=url)

    def get(self) -> str:
        return str(self._auth.get_token())

    def refused(self, token: str) -> str:
        self._auth.invalidate_token(token)
        return self.get()


class Anthropic:
    """What ``Anthropic(credentials=…)`` keeps its token in."""

    def __init__(self, url: str) -> None:
        credentials = importlib.import_module("anthropic.lib.credentials")
        session = _session()

        def fetch(*, force_refresh: bool = False) -> Any:
            answer = session.post(url, timeout=10)
            answer.raise_for_status()
            data = answer.json()
            return credentials.AccessToken(data["access_token"], int(time.time() + data["expires_in"]))

        self._cache = credentials.TokenCache(fetch)

    def get(self) -> str:
        return str(self._cache.get_token())

    def refused(self, token: str) -> str:
        self._cache.invalidate()
        return self.get()


def _session() -> Any:
    """Give a session with room for all threads: who fetches once for each should not suffer from the pool besides."""
    import requests

    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=100))
    return session


OURS = Contestant("animus", Ours, "animus", life=4.0, wait=3.1)
RIVALS = (
    Contestant("google-auth", GoogleAuth, "google.auth", life=120.0, note="repeats failures by itself"),
    Contestant("azure-core", AzureCore, "azure.core", life=120.0),
    Contestant("authlib", Authlib, "authlib", life=30.0),
    Contestant("botocore", Botocore, "botocore", life=720.0),
    Contestant("openai", OpenAI, "openai", life=4.0, wait=2.1),
    Contestant("anthropic", Anthropic, "anthropic", life=60.0),
)
