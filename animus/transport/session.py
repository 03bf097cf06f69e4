"""The authenticated session: a real :class:`requests.Session`."""

from __future__ import annotations

import contextlib
import copy
import datetime
import random
import re
import threading
import time
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from urllib.request import getproxies

import requests
from requests import PreparedRequest, Request, Response
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.hooks import default_hooks, dispatch_hook
from requests.sessions import merge_setting
from requests.utils import requote_uri, resolve_proxies

from animus import _fork
from animus._chance import Chance
from animus._check import UNSET
from animus._clock import SYSTEM_CLOCK, Clock
from animus._emitter import Emitter
from animus._origin import is_loopback, origin_of
from animus._secret import bare_url
from animus._version import __version__
from animus.http.adapter import AnimusAdapter
from animus.http.cookies import free_lock_of
from animus.http.failure import LimitExceeded, sort_failure
from animus.http.response import LazyResponse, sets_cookies
from animus.http.timeouts import Timeouts
from animus.http.watchdog import Watchdog, guarded_by
from animus.transport.attempts import FAILURES, Attempts
from animus.transport.bearer import BearerAuth, BearerValue, carried_token, due_by
from animus.transport.budget import RetryBudget
from animus.transport.call import Call
from animus.transport.express import REDIRECT_STATI, Templates, send_is_untouched
from animus.transport.limits import call_cancelled, go_on_watching, limit_exceeded, reach_foreign, timeout_within
from animus.transport.pauses import Pauses
from animus.transport.policy import RetryPolicy
from animus.transport.redirects import method_after, same_origin, strip_for_elsewhere

if TYPE_CHECKING:
    from animus.refresh.manager import TokenManager

_FOLLOWED_ELSEWHERE = ("GET", "HEAD")
_ABSOLUTE = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]*://")


class SendOnlyPolicy(DefaultCookiePolicy):
    """Cookies that the caller set are sent; cookies that a server sets are not kept."""

    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


class _CallSlot(threading.local):
    """What the next ``send`` of this thread belongs to: a call, and where a chain of redirects began."""

    call: Call | None = None
    first_url: str | None = None


class AnimusSession(requests.Session):
    """A :class:`requests.Session` whose requests to the API carry a token and are repeated by the rules.

    URLs may be relative to the API's base URL. It raises what requests raises, and
    :class:`~animus.errors.AuthenticationError` when there is no token. ``timeout`` defaults to the client's limits.

    It differs from a plain session in this: origins on this machine ignore proxies of the environment (explicit
    ``session.proxies`` are obeyed); a redirect to another origin is followed only for GET and HEAD, without bearer or
    body; cookies set by the API are not kept.

    Threads: requests may be made from any number of threads; change ``headers``, ``proxies`` and adapters before.
    Fork: works in the child. Pickle: configuration and token source travel; tokens, sockets and receivers do not. Refused with a
    cookie, a password in a proxy's URL, or a header or parameter that may be a secret.

    Args:
        base_url: The API's base URL; its origin gets the token.
        manager: Where tokens come from; None sends none.
        extra_origins: Further URLs whose origins get the token.
        timeouts, retry: Defaults of all calls.
        emitter: Whom to tell about requests.
    """

    __attrs__: list[str] = [*requests.Session.__attrs__, "base_url", "timeouts", "retry", "_manager", "_extra_origins"]  # noqa: RUF012  # requests declares it so

    def __init__(
        self,
        base_url: str,
        manager: TokenManager | None = None,
        *,
        extra_origins: tuple[str, ...] = (),
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        emitter: Emitter | None = None,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
    ) -> None:
        super().__init__()
        self.base_url: str = base_url.rstrip("/")
        self.timeouts: Timeouts = timeouts or Timeouts()
        self.retry: RetryPolicy = retry or RetryPolicy()
        self._manager = manager
        self._extra_origins = extra_origins
        self.headers["User-Agent"] = f"animus-client/{__version__} {self.headers['User-Agent']}"
        self.cookies.set_policy(SendOnlyPolicy())
        # not an assignment, which a type checker would take for a narrower declaration than requests' own
        self.__dict__["auth"] = BearerAuth(manager, frozenset(map(origin_of, (self.base_url, *extra_origins))))
        self.mount("https://", AnimusAdapter())
        self.mount("http://", AnimusAdapter())
        self._wire(
            emitter or Emitter(self), clock, rng or Chance(), Watchdog(), RetryBudget(self.retry.budget), Pauses(clock)
        )

    def _wire(
        self, emitter: Emitter, clock: Clock, rng: random.Random, watchdog: Watchdog, budget: RetryBudget, pauses: Pauses
    ) -> None:
        self._slot = _CallSlot()
        self._templates = Templates()
        self._pauses = pauses
        self._emitter = emitter
        self._clock = clock
        self._rng = rng
        self._watchdog = watchdog
        self._budget = budget
        self._owns_transport = True
        self._attempts = Attempts(self._exchange, emitter=emitter, budget=budget, clock=clock, pauses=pauses, rng=rng)
        _fork.register(self)

    def _reset_after_fork(self) -> None:
        free_lock_of(self.cookies)

    def __getstate__(self) -> dict[str, Any]:
        with _fork.forks_wait:
            from animus.transport.luggage import refuse_secrets

        refuse_secrets(self)
        return self._settings()

    def _settings(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def __copy__(self) -> AnimusSession:
        return self._twin(self._settings())

    def __deepcopy__(self, memo: dict[int, Any]) -> AnimusSession:
        return self._twin(copy.deepcopy(self._settings(), memo))

    def _twin(self, settings: dict[str, Any]) -> AnimusSession:
        other = object.__new__(type(self))
        other.__setstate__(settings)
        return other

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._wire(
            Emitter(self), SYSTEM_CLOCK, Chance(), Watchdog(), RetryBudget(self.retry.budget), Pauses(SYSTEM_CLOCK)
        )

    def sharing(self, manager: TokenManager | None, emitter: Emitter) -> AnimusSession:
        """Give a session for another identity on the same connections; closing it leaves them open."""
        other = copy.copy(self)
        other.__dict__.update(
            headers=self.headers.copy(),
            hooks={event: list(hooks) for event, hooks in self.hooks.items()},
            params=copy.copy(self.params),
            proxies=dict(self.proxies),
            cookies=RequestsCookieJar(SendOnlyPolicy()),  # cookies say who someone is, too
            _manager=manager,
            auth=BearerAuth(manager, frozenset(map(origin_of, (self.base_url, *self._extra_origins)))),
        )
        other._wire(emitter, self._clock, self._rng, self._watchdog, self._budget, Pauses(self._clock, within=self._pauses))
        other._owns_transport = False
        return other

    # ---- preparing -------------------------------------------------------------------------------------

    def request(  # type: ignore[override, unused-ignore]  # requests' own types change from release to release
        self,
        method: str,
        url: Any,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = UNSET,
        *further: Any,
        **named: Any,
    ) -> Response:
        """As :meth:`requests.Session.request`; ``timeout`` left out means the client's limits, None means none."""
        slot = self._slot
        if slot.call is None:
            slot.call = Call(self.timeouts, self.retry, self._clock)
        if timeout is UNSET:
            timeout = (slot.call.timeouts.connect, slot.call.timeouts.read)
        try:
            return super().request(method, url, params, data, headers, cookies, files, auth, timeout, *further, **named)
        finally:
            slot.call = None

    def prepare_request(self, request: Request) -> PreparedRequest:
        """As :meth:`requests.Session.prepare_request`; a relative URL is joined to the base URL.

        Raises:
            AuthenticationError: there is no token to be had.
        """
        url: Any = request.url
        url = url.decode("utf-8") if isinstance(url, bytes) else str(url or "")
        if not _ABSOLUTE.match(url):
            request = copy.copy(request)
            request.url = f"{self.base_url}/{url.lstrip('/')}" if url else self.base_url
        slot = self._slot
        call, slot.call = slot.call, None  # the caller's own auth may make requests on this session, too
        try:
            with due_by(call.deadline if call is not None else None):
                return super().prepare_request(request)
        finally:
            slot.call = call

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As plain requests, but proxies of the environment are not asked for origins on this machine."""
        settings = super().merge_environment_settings(url, dict(proxies or {}), stream, verify, cert)
        if _is_on_this_machine(url):
            settings["proxies"] = merge_setting(dict(proxies or {}), self.proxies)
        return settings

    def rebuild_proxies(self, prepared_request: PreparedRequest, proxies: Any) -> Any:
        """As plain requests, with the same exception for origins on this machine."""
        if _is_on_this_machine(prepared_request.url):
            prepared_request.headers.pop("Proxy-Authorization", None)
            return self._without_environment(proxies)
        return super().rebuild_proxies(prepared_request, proxies)

    def _without_environment(self, proxies: Any) -> dict[str, str]:
        """Give ``proxies`` without those that an earlier request, to another machine, got from the environment."""
        given = dict(proxies or {})
        if not self.trust_env:
            return given
        environment = getproxies()
        return {key: proxy for key, proxy in given.items() if environment.get(key) != proxy or self.proxies.get(key) == proxy}

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Decide about Authorization after a redirect: by the new URL's origin, and never by netrc."""
        url = prepared_request.url or ""
        # not the last one: requests puts cookies on each hop anew; in older releases the history lacks the first
        first = self._slot.first_url or (response.history[0] if response.history else response).request.url
        if not same_origin(first or "", url):
            strip_for_elsewhere(prepared_request)
        if carried_token(prepared_request) is not None:
            if not (isinstance(self.auth, BearerAuth) and self.auth.allows(url)):
                del prepared_request.headers["Authorization"]
        elif "Authorization" in prepared_request.headers and self.should_strip_auth(response.request.url or "", url):
            del prepared_request.headers["Authorization"]

    # ---- sending ---------------------------------------------------------------------------------------

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a prepared request: repeated by the rules, its hooks run on the last attempt's answer, redirects followed.

        Emits ``request_start``, ``request_complete`` and ``request_retry``.

        Raises:
            requests.RequestException: there was no answer.
            AuthenticationError: there is no token to be had.
        """
        if isinstance(request, Request):
            raise ValueError("You can only send PreparedRequests.")
        call = self._slot.call or Call(self.timeouts, self.retry, self._clock)
        self._slot.call = None  # a hook that makes a request makes a call of its own
        _fork.check_pid()
        kwargs.setdefault("stream", self.stream)
        kwargs.setdefault("verify", self.verify)
        kwargs.setdefault("cert", self.cert)
        kwargs.setdefault("timeout", (call.timeouts.connect, call.timeouts.read))
        if "proxies" not in kwargs:
            here = _is_on_this_machine(request.url)
            kwargs["proxies"] = dict(self.proxies) if here else resolve_proxies(request, self.proxies, self.trust_env)
        follow = kwargs.pop("allow_redirects", True)
        call.send_kwargs = kwargs
        response = self._attempts.run(request, call, self.auth if isinstance(self.auth, BearerAuth) else None)
        answer = response
        response = dispatch_hook("response", request.hooks, answer, **kwargs)
        if response is not answer:  # a hook (digest auth) has made further requests; a jar of the caller's own keeps their cookies
            for earlier in (*response.history, response):
                extract_cookies_to_jar(self.cookies, earlier.request or request, earlier.raw)
        response._next = None
        if response.status_code not in REDIRECT_STATI:
            pass
        elif follow:
            response = self._follow(request, response, call, kwargs)
        elif response.is_redirect:
            following: Any = self.resolve_redirects(response, request, yield_requests=True, **kwargs)
            response._next = next(following, None)
        if call.guard is not None and not call.resource:
            go_on_watching(call, response)
        return response

    def _exchange(self, request: PreparedRequest, call: Call) -> Response:
        """Make one exchange through requests' own ``send``, under the limits of the call."""
        hop = request
        if request.hooks.get("response"):  # they run once, on the answer that counts
            hop = request.copy()
            hop.hooks = default_hooks()
        limit = call.limit()
        try:
            if limit is None and call.cancellation is None and not call.streaming:
                response = self._hop(hop, call.send_kwargs)
            else:
                response = self._guarded(hop, call, limit)
        except requests.RequestException as error:
            if error.request is hop:
                error.request = request
            raise
        if response.request is hop:
            response.request = request
        return response

    def _hop(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Response:
        """Do what ``requests.Session.send`` does without hooks and redirects; itself, if somebody has put his own in its place."""
        if not send_is_untouched(self):
            return super().send(request, allow_redirects=False, **kwargs)
        adapter = self.get_adapter(url=request.url or "")
        start = time.perf_counter()
        response = adapter.send(request, **kwargs)
        response.elapsed = datetime.timedelta(seconds=time.perf_counter() - start)
        if type(response) is not LazyResponse or sets_cookies(response.raw):
            extract_cookies_to_jar(self.cookies, request, response.raw)
        if not kwargs["stream"]:
            response.content  # noqa: B018  # a body that breaks off is a failure of this exchange
        return response

    def _guarded(self, request: PreparedRequest, call: Call, limit: tuple[str, float] | None) -> Response:
        """Make one exchange that a limit or another thread may end."""
        kwargs = call.send_kwargs
        guard = self._watchdog.guard()
        if limit is not None:
            if limit[1] <= 0:
                raise limit_exceeded(limit[0], request, sent=False)
            guard.arm(*limit)
            if limit[0] == "deadline":  # for adapters of other people, which know no guard
                kwargs = {**kwargs, "timeout": timeout_within(kwargs["timeout"], limit[1])}
        kept = False
        try:
            if call.cancellation is not None:
                call.cancellation.guard = guard
            if call.cancelled:
                raise call_cancelled(request)
            with guarded_by(guard):
                response = self._hop(request, kwargs)
            if guard.fired:  # a body that ends with the connection looks complete when its socket is shut
                raise limit_exceeded(guard.fired, request)
            if call.cancelled:
                raise call_cancelled(request)
            kept = bool(kwargs["stream"])
            if kept:
                call.guard = guard
                reach_foreign(response, guard)
            return response
        except FAILURES as error:
            exceeded = guard.exceeded()
            if exceeded is not None and not isinstance(error, LimitExceeded):
                raise limit_exceeded(exceeded, request, sent=sort_failure(error).kind == "unanswered") from error
            raise
        finally:
            if not kept:
                guard.release()

    # ---- redirects -------------------------------------------------------------------------------------

    def _follow(self, request: PreparedRequest, response: Response, call: Call, kwargs: dict[str, Any]) -> Response:
        history: list[Response] = []
        if request._cookies is None:  # from a template
            request._cookies = RequestsCookieJar()
        redirects = self.resolve_redirects(response, request, **kwargs)
        while self._may_follow(response, call):
            _finish_redirect(call, response)
            self._slot.call = call  # for the send() that resolve_redirects makes
            self._slot.first_url = request.url
            try:
                further = next(redirects, None)
            finally:
                self._slot.call = self._slot.first_url = None
            if further is None:
                break
            history.append(response)
            response = further
            response.history = history[:]
        return response

    def _may_follow(self, response: Response, call: Call) -> bool:
        target = self.get_redirect_target(response)
        if target is None:
            return False
        method = response.request.method or ""
        stays = same_origin(response.url, urljoin(response.url, requote_uri(target)))
        if call.resource:
            return stays and method_after(response.status_code, method) == method
        return stays or method in _FOLLOWED_ELSEWHERE

    def call_api(self, call: Call, method: str, path: str, *, headers: dict[str, str], body: bytes | None, params: Any) -> Response:
        """Make a call of the package itself: as :meth:`request`, by the short way where that is the same."""
        bearer = self.auth
        request = None
        if not params and isinstance(bearer, BearerAuth) and isinstance(path, str):
            url = path if _ABSOLUTE.match(path) else f"{self.base_url}/{path.lstrip('/')}"
            request = self._templates.prepared(self, method, url, headers, body)
        if request is None:
            self._slot.call = call
            return self.request(method, path, params=params, data=body, headers=headers, stream=call.streaming)
        assert isinstance(bearer, BearerAuth)
        if bearer.manager is not None and bearer.allows(request.url):
            request.headers["Authorization"] = BearerValue("Bearer ")  # each attempt puts in the token of the moment
        settings = self._templates.settings(self, request.url or "", call.streaming)
        self._slot.call = call
        try:
            return self.send(request, timeout=(call.timeouts.connect, call.timeouts.read), **settings)
        finally:
            self._slot.call = None

    # ---- life ------------------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The clock of this session."""
        return self._clock

    @property
    def emitter(self) -> Emitter:
        """Whom this session tells about requests."""
        return self._emitter

    def close(self) -> None:
        """End waits, close the connections and the thread that watches limits."""
        _fork.check_pid()
        self._pauses.end()
        if self._owns_transport:
            super().close()
            self._watchdog.close()

    def __repr__(self) -> str:
        return f"<AnimusSession {bare_url(self.base_url)}>"


def _finish_redirect(call: Call, response: Response) -> None:
    """Read the body of a redirect while the limit still holds, and let go of its connection."""
    guard = call.guard
    if guard is None:
        return
    with contextlib.suppress(*FAILURES, RuntimeError):  # resolve_redirects reads it again, and knows what to do then
        response.content  # noqa: B018
    call.release()
    if guard.fired:
        raise limit_exceeded(guard.fired, response.request)


def _is_on_this_machine(url: Any) -> bool:
    try:
        return is_loopback(origin_of(url if isinstance(url, str) else url.decode("utf-8")).host)
    except (ValueError, AttributeError):
        return False
