"""The way from here to an answer of the API, step by step."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies

from animus import _check
from animus._clock import SYSTEM_CLOCK, Clock
from animus._origin import origin_of
from animus._secret import bare_url
from animus.doctor.address import check_connection, check_name
from animus.doctor.api import ANSWER as API_ANSWER, TOKEN as API_TOKEN, Seen, check_token, look_at_api
from animus.doctor.clocks import CHECK as CLOCK, check_clocks
from animus.doctor.cors import ANSWER as CORS_ANSWER, PREFLIGHT, check_cors
from animus.doctor.environment import API_BASE_URL, Setting, read_setting, versions
from animus.doctor.finding import Finding, skipped
from animus.doctor.life import CHECK as LIFE, check_life
from animus.doctor.netrc import CHECK as NETRC, check_netrc
from animus.doctor.provider import CHECK as PROVIDER_ANSWER, Asked, ask_for_token
from animus.doctor.proxy import check_proxy, proxy_for
from animus.doctor.report import Report
from animus.doctor.tls import check_tls, is_tls_failure
from animus.sources.credentials import Headers, secret_texts
from animus.sources.env import ACCESS_TOKEN, API_KEY, TOKEN_PROVIDER_URL
from animus.sources.url import UrlTokenSource

CHECKS = (
    "environment",
    NETRC,
    "provider.proxy",
    "provider.dns",
    "provider.connect",
    "provider.tls",
    PROVIDER_ANSWER,
    PREFLIGHT,
    CORS_ANSWER,
    "api.proxy",
    "api.dns",
    "api.connect",
    "api.tls",
    API_ANSWER,
    CLOCK,
    LIFE,
    API_TOKEN,
)


def examine(
    token_source: Any = None,
    *,
    origin: str | None = None,
    headers: Headers | None = None,
    method: str = "POST",
    api_base_url: str | None = None,
    timeout: float = 10.0,
    allow_insecure_http: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    on_finding: Callable[[Finding], None] | None = None,
) -> Report:
    """Walk the whole way: environment, network, token provider, CORS, clocks, the token's life, the API; and report each step.

    The provider is asked for a token once, once more with ``origin``, and a further time if the API refuses the first token. The API
    gets two empty requests, which no model can answer. Nothing is repeated, stored or changed. A fault never raises: it is a finding.

    Args:
        token_source: As for :class:`~animus.AnimusClient`; None: what the environment says.
        origin: The origin of a page, such as ``https://app.example.com``, that is to ask for tokens in a browser.
        headers, method: Of the request to a provider that is given by its URL; see :class:`~animus.UrlTokenSource`.
        api_base_url: The API; default as for the client.
        timeout: Seconds for each single step; a look-up of a name takes as long as the system's resolver does.
        allow_insecure_http: As for the client.
        clock: For tests.
        on_finding: Called with each finding as soon as it is there.

    Raises:
        ConfigurationError: ``origin`` is none, or ``timeout`` is no time.
    """
    timeout = _check.seconds("timeout", timeout, zero=False)
    origin = None if origin is None else _checked_origin(origin)
    setting = read_setting(
        token_source,
        headers=headers,
        method=method,
        api_base_url=api_base_url,
        timeout=timeout,
        allow_insecure_http=allow_insecure_http,
        clock=clock,
    )
    walk = _Walk(setting, origin=origin, timeout=timeout, allow_insecure_http=allow_insecure_http, clock=clock)
    secrets = _secrets(token_source, headers, api_base_url or os.environ.get(API_BASE_URL, ""))
    findings = []
    try:
        for found in walk.findings():
            finding = found.without(secrets)
            findings.append(finding)
            if on_finding is not None:
                on_finding(finding)
    finally:
        close = getattr(setting.source, "close", None)
        if close is not None and setting.source is not token_source:
            close()
    return Report(
        findings=tuple(findings),
        source=setting.source_name,
        api_base_url=None if setting.api_base_url is None else bare_url(setting.api_base_url),
        origin=origin,
        versions=versions(),
    )


@dataclass(frozen=True, slots=True)
class _Walk:
    """One walk: what is examined, and with which limits."""

    setting: Setting
    origin: str | None
    timeout: float
    allow_insecure_http: bool
    clock: Clock

    def findings(self) -> Iterator[Finding]:
        setting = self.setting
        yield setting.finding
        yield check_netrc(url for url in (setting.provider_url, setting.api_base_url) if url is not None)
        asked = yield from self._provider()
        yield from self._cors(asked)
        seen = yield from self._api()
        sightings = [outcome.sighting for outcome in (asked, seen) if outcome is not None and outcome.sighting is not None]
        yield check_clocks(sightings, asked.claims if asked is not None else {})
        yield check_life(asked.token if asked is not None else None, self.clock.time())
        yield self._token(asked, seen)

    def _provider(self) -> Generator[Finding, None, Asked | None]:
        source, name = self.setting.source, self.setting.source_name
        if source is None or name is None:
            yield from _all_skipped("provider", (PROVIDER_ANSWER,), "there is no token source")
            return None
        url, blocked = self.setting.provider_url, None
        if url is not None:
            blocked = yield from self._way("provider", url)
        if blocked is not None:
            yield skipped("provider.tls", blocked)
            yield skipped(PROVIDER_ANSWER, blocked)
            return None
        asked = ask_for_token(source, name, timeout=self.timeout, clock=self.clock, for_page=self.origin is not None)
        if url is None:
            yield from _all_skipped("provider", (), f"the token comes from {name}, and not from a URL")
        else:
            yield check_tls("provider.tls", url, None if asked.answered else asked.error)
        if asked.error is not None and url is not None and is_tls_failure(asked.error):
            yield skipped(PROVIDER_ANSWER, "there is no secure connection")
        else:
            yield asked.finding
        return asked

    def _way(self, prefix: str, url: str) -> Generator[Finding, None, str | None]:
        """Give the findings about proxy, name and connection; at the end, why nothing beyond them can be checked, or None."""
        proxy = proxy_for(url)
        found = check_proxy(f"{prefix}.proxy", url, proxy, self.timeout)
        yield found
        if proxy is not None:
            why = "that is the matter of the proxy"
            yield skipped(f"{prefix}.dns", why)
            yield skipped(f"{prefix}.connect", why)
            return "the proxy cannot be reached" if found.status == "failed" else None
        found = check_name(f"{prefix}.dns", url)
        yield found
        if found.status == "failed":
            why = "the host has no address"
            yield skipped(f"{prefix}.connect", why)
            return why
        found = check_connection(f"{prefix}.connect", url, self.timeout)
        yield found
        return "there is no connection" if found.status == "failed" else None

    def _cors(self, asked: Asked | None) -> Iterator[Finding]:
        source, origin = self.setting.source, self.origin
        why = None
        if origin is None:
            why = "no origin of a page was given (--origin)"
        elif not isinstance(source, UrlTokenSource):
            why = "tokens do not come from a URL that pages could ask"
        elif asked is None or not asked.answered:
            why = "the provider does not answer"
        if why is not None or origin is None or not isinstance(source, UrlTokenSource):
            yield skipped(PREFLIGHT, why or "")
            yield skipped(CORS_ANSWER, why or "")
            return
        yield from check_cors(source, origin, timeout=self.timeout, clock=self.clock)

    def _api(self) -> Generator[Finding, None, Seen | None]:
        base = self.setting.api_base_url
        if base is None:
            yield from _all_skipped("api", (API_ANSWER,), "its URL is not possible")
            return None
        blocked = yield from self._way("api", base)
        if blocked is not None:
            yield skipped("api.tls", blocked)
            yield skipped(API_ANSWER, blocked)
            return None
        seen = look_at_api(base, timeout=self.timeout, clock=self.clock)
        answered = seen.error is None or getattr(seen.error, "status", None) is not None
        yield check_tls("api.tls", base, None if answered else seen.error)
        if seen.error is not None and not answered and is_tls_failure(seen.error):
            yield skipped(API_ANSWER, "there is no secure connection")
        else:
            yield seen.finding
        return seen

    def _token(self, asked: Asked | None, seen: Seen | None) -> Finding:
        source, base = self.setting.source, self.setting.api_base_url
        if asked is None or asked.token is None or source is None:
            return skipped(API_TOKEN, "there is no usable token")
        if base is None or seen is None or seen.finding.status != "ok":
            return skipped(API_TOKEN, "the API does not answer as it should")
        return check_token(
            source,
            asked.token,
            self.setting.source_name or "",
            base,
            seen=seen,
            timeout=self.timeout,
            allow_insecure_http=self.allow_insecure_http,
            clock=self.clock,
        )


def _all_skipped(prefix: str, further: tuple[str, ...], why: str) -> Iterator[Finding]:
    for check in (f"{prefix}.proxy", f"{prefix}.dns", f"{prefix}.connect", f"{prefix}.tls", *further):
        yield skipped(check, why)


def _checked_origin(origin: str) -> str:
    """Give an origin as browsers write it."""
    text = _check.text("origin", origin).strip()
    try:
        found = str(origin_of(text))
    except ValueError as error:
        raise _check.refuse("origin", text, "an origin such as https://app.example.com", hint=f"It is {error}") from None
    if text.lower() != found:
        raise _check.refuse("origin", text, "scheme, host and port alone", hint=f"Did you mean {found!r}?")
    return found


def _secrets(token_source: Any, headers: Headers | None, api_base_url: str) -> list[str]:
    """Give what must not be shown, whoever echoes it; a text that is no URL may be a key at the wrong place."""
    given = token_source if isinstance(token_source, str) else ""
    urls = [given, os.environ.get(TOKEN_PROVIDER_URL, ""), api_base_url, *getproxies().values()]
    found = [] if "://" in api_base_url else [api_base_url]
    found += [os.environ.get(name, "").strip() for name in (ACCESS_TOKEN, API_KEY)]
    for url in urls:
        try:
            found += secret_texts(url=url)
        except ValueError:  # no URL; the finding about it shows nothing of it
            continue
    for text in secret_texts(headers):  # the value of a cookie, or what follows "Bearer", is as good as the whole header
        found += [text, text.partition(" ")[2], *(pair.partition("=")[2].strip() for pair in text.split(";"))]
    return found
