"""The client: the one place that knows all parts."""

from __future__ import annotations

import copy
import os
import random as random_module
import re
import secrets
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, overload

import requests

from animus import _fork
from animus._chance import Chance
from animus._clock import SYSTEM_CLOCK, Clock
from animus._emitter import Emitter, Receiver, Subscription
from animus._late import Late
from animus._origin import checked_url
from animus._secret import bare_url
from animus._weak import members
from animus.errors import ConfigurationError
from animus.http.adapter import AnimusAdapter
from animus.http.timeouts import Timeouts
from animus.refresh.manager import TokenManager
from animus.resources.waits import OpenWaits
from animus.sources.env import default_source
from animus.sources.make import as_token_source
from animus.stores.make import as_token_store
from animus.transport.policy import RetryPolicy
from animus.transport.session import AnimusSession

if TYPE_CHECKING:  # what is imported where it is used: a client that only lends its session, or has no media, loads none of it
    from animus.config import ChatConfig, VisionConfig
    from animus.conversation.chat import Conversation
    from animus.refresh.verifier import TokenVerifier
    from animus.resources.images import GeneratedImage
    from animus.resources.media import Media
    from animus.tokens.token import LiveKitDetails
    from animus.tokens.verification import TokenVerification

DEFAULT_API_BASE_URL = "https://api.animusai.co/v3"
_CONVERSATION_HISTORY = 50
_COPIED_FROM_SESSION = ("headers", "proxies", "verify", "cert", "params", "trust_env", "max_redirects")


def new_id(prefix: str) -> str:
    """Give a fresh id."""
    return f"{prefix}_{secrets.token_hex(8)}"


class AnimusClient:
    """A client of the Animus AI platform, for one identity.

    Args:
        token_source: Where tokens come from: the URL of your back end's token endpoint, a callable, or a
            :class:`~animus.TokenSource`. Left out: ``ANIMUS_TOKEN_PROVIDER_URL``, ``ANIMUS_ACCESS_TOKEN`` or
            ``ANIMUS_API_KEY`` of the environment.
        token_provider_url: Another name for a URL given as ``token_source``.
        chat: Settings of chat calls, a :class:`~animus.ChatConfig` or a mapping.
        vision: Settings of media calls, a :class:`~animus.VisionConfig` or a mapping.
        api_base_url: Default ``ANIMUS_API_BASE_URL``, else ``https://api.animusai.co/v3``.
        rest_base_url: For endpoints that only the REST reference documents; default: the same with ``v2``.
        token_store: Where tokens rest, to be shared with other processes: ``"file"``, ``"file:PATH"``, ``"redis://…"``,
            ``"keyring"``, ``"memory"`` or a :class:`~animus.TokenStore`. Left out: ``ANIMUS_TOKEN_STORE``, else in memory.
        identity: Whose tokens these are, where a store is shared.
        verification: A :class:`~animus.TokenVerification`: what tokens must show before they are used; default: the API judges them.
        timeouts: :class:`~animus.Timeouts`, a mapping of limits, or seconds for a whole call.
        retry: :class:`~animus.RetryPolicy`, a mapping, or a number of repetitions.
        session: A :class:`requests.Session` whose headers, proxies, TLS settings, hooks and mounted adapters are taken
            over.
        allow_insecure_http: Let tokens cross the network in clear text.
        strict_receivers: Raise what event receivers raise.
        clock: Time, for tests.
        random: Chance for typing delays, for tests.

    Threads: any number; one client per process is meant. Fork: works in the child. Pickle: configuration and token source
    travel; tokens, history, receivers and sockets do not; refused with a secret in it. Close it, or use it as a context manager.

    Raises:
        ConfigurationError: a setting is missing or not allowed. Nothing is sent before the first call.
    """

    def __init__(
        self,
        token_source: Any = None,
        *,
        token_provider_url: str | None = None,
        chat: ChatConfig | Mapping[str, Any] | None = None,
        vision: VisionConfig | Mapping[str, Any] | None = None,
        api_base_url: str | None = None,
        rest_base_url: str | None = None,
        token_store: Any = None,
        identity: str | None = None,
        verification: TokenVerification | None = None,
        timeouts: Timeouts | Mapping[str, Any] | float | None = None,
        retry: RetryPolicy | Mapping[str, Any] | int | None = None,
        session: requests.Session | None = None,
        allow_insecure_http: bool = False,
        strict_receivers: bool = False,
        clock: Clock | None = None,
        random: random_module.Random | None = None,
    ) -> None:
        self._clock = clock or SYSTEM_CLOCK
        self._random = random or Chance()
        self._allow_insecure_http = allow_insecure_http
        api_base_url = api_base_url or os.environ.get("ANIMUS_API_BASE_URL") or DEFAULT_API_BASE_URL
        self.api_base_url: str = _base_url("api_base_url", api_base_url, allow_insecure_http)
        self.rest_base_url: str = _base_url("rest_base_url", rest_base_url or _rest_base_url(self.api_base_url), allow_insecure_http)
        self._chat_config, self._vision_config = _read_configs(chat, vision)
        self._retry = RetryPolicy.make(retry)
        self._identity = identity
        self._given_store = token_store
        self._token_store = as_token_store(token_store, clock=self._clock)
        self._owns_store = self._token_store is not token_store  # made of a text
        self._verifier = None if verification is None else self._new_verifier(verification)
        self._source = self._source_from(token_source, token_provider_url)
        self._events = Emitter(self, strict=strict_receivers)
        self._manager = self._new_manager(self._source, identity, self._events)
        self._session = AnimusSession(
            self.api_base_url,
            self._manager,
            extra_origins=(self.rest_base_url,),
            timeouts=Timeouts.make(timeouts),
            retry=self._retry,
            emitter=self._events,
            clock=self._clock,
        )
        if session is not None:
            _take_over(self._session, session)
        self._conversations: weakref.WeakSet[Conversation] = weakref.WeakSet()  # a server makes many
        self._waits = OpenWaits()

    def _new_verifier(self, verification: TokenVerification) -> TokenVerifier:
        with _fork.forks_wait:
            from animus.refresh.verifier import TokenVerifier

        return TokenVerifier(verification, clock=self._clock, allow_insecure_http=self._allow_insecure_http)

    def _source_from(self, token_source: Any, token_provider_url: str | None) -> Any:
        if token_source is not None and token_provider_url is not None:
            raise ConfigurationError("token_source and token_provider_url are two names for one thing; give one of them")
        given = token_provider_url if token_source is None else token_source
        settings: dict[str, Any] = {
            "allow_insecure_http": self._allow_insecure_http,
            "clock": self._clock,
            "api_base_url": self.api_base_url,
        }
        return default_source(os.environ, **settings) if given is None else as_token_source(given, **settings)

    def _new_manager(self, source: Any, identity: str | None, emitter: Emitter) -> TokenManager:
        return TokenManager(
            source,
            clock=self._clock,
            store=self._token_store,
            identity=identity,
            emitter=emitter,
            repeats=self._retry.repeats > 0,
            verifier=self._verifier,
        )

    def _new_conversation(self, config: ChatConfig | None) -> Conversation:
        with _fork.forks_wait:
            from animus.conversation.chat import Conversation
            from animus.conversation.history import ChatHistory
            from animus.conversation.room import Room

        room = Room(
            session=self._session,
            history=ChatHistory(0 if config is None else config.history_size, clock=self._clock),
            emitter=Emitter(self._events.sender, parent=self._events, strict=self._events.strict),
            clock=self._clock,
            rng=self._random,
            chat_id=new_id("chat"),
            new_id=new_id,
        )
        conversation = Conversation(room, config)
        self._conversations.add(conversation)
        return conversation

    # ---- parts -----------------------------------------------------------------------------------------

    def _new_media(self) -> Media:
        """Questions about images, and what is in images and videos."""
        with _fork.forks_wait:
            from animus.resources.media import Media

        return Media(self._session, self._vision_config, self._waits)

    def _new_chat(self) -> Conversation:
        """The client's own conversation."""
        return self._new_conversation(self._chat_config)

    chat: Late[Conversation] = Late(_new_chat)
    media: Late[Media] = Late(_new_media)

    @property
    def session(self) -> AnimusSession:
        """A real :class:`requests.Session` that is authenticated and repeats by the rules: the escape hatch."""
        return self._session

    @property
    def token_source(self) -> Any:
        """Where tokens come from."""
        return self._source

    @overload
    def on(self, name: str) -> Callable[[Any], Any]: ...
    @overload
    def on(self, name: str, receiver: Receiver) -> Subscription: ...
    def on(self, name: str, receiver: Receiver | None = None) -> Any:
        """Listen to an event of this client; see :meth:`animus.events.Emitter.on`."""
        _load_payloads()
        return self._events.on(name) if receiver is None else self._events.on(name, receiver)

    def once(self, name: str, receiver: Receiver) -> Subscription:
        """Listen to the next event of that name only."""
        _load_payloads()
        return self._events.once(name, receiver)

    def off(self, name: str, receiver: Receiver | None = None) -> int:
        """Stop ``receiver`` (without one: all) from listening to that event; give how many stopped."""
        return self._events.off(name, receiver)

    # ---- conversations and images ----------------------------------------------------------------------

    def conversation(
        self, *, history: object = None, system_message: str | None = None, history_size: int = _CONVERSATION_HISTORY, **settings: Any
    ) -> Conversation:
        """Begin another conversation on the same connections; cheap, for servers with many users.

        Args:
            history: Messages it begins with: a list, or a :class:`~animus.ChatHistory`.
            system_message: Instead of the configured one.
            history_size: Room for stored messages.
            **settings: Further settings instead of the configured ones.

        Raises:
            ConfigurationError: a setting is not allowed, or the client has no chat configuration.
            ValueError: a message of ``history`` is not valid.
        """
        changes = {**settings, "history_size": history_size}
        if system_message is not None:
            changes["system_message"] = system_message
        conversation = self._new_conversation(self.chat.config.changed(changes, "conversation"))
        if history is not None:
            conversation.set_chat_history(history)
        return conversation

    def generate_image(
        self, prompt: str, input_image_url: str | None = None, *, timeouts: object = None, retry: object = None
    ) -> GeneratedImage:
        """Have an image made, or with ``input_image_url`` that one changed; the history of ``chat`` gets a note of it.

        Emits ``image_generation_start``, then ``image_generation_complete`` or ``image_generation_error``.

        Raises:
            ValueError: a blank prompt or URL.
            ResponseDecodeError: there is no image URL in the answer.
            ApiError, ApiConnectionError, AuthenticationError: the call failed.
        """
        with _fork.forks_wait:
            from animus.conversation.imaging import make_image
            from animus.resources.images import checked_prompt

        checked_prompt(prompt, input_image_url)
        return make_image(
            self.chat._room,
            prompt,
            input_image_url,
            self.chat._room.ids(new_id("conv")),
            timeouts=None if timeouts is None else Timeouts.make(timeouts, self._session.timeouts),
            retry=None if retry is None else RetryPolicy.make(retry, self._session.retry),
        )

    def update_chat_config(self, changes: Mapping[str, Any]) -> ChatConfig:
        """Change settings of ``chat`` for the exchanges that begin from now on; give the settings in force.

        Raises:
            ConfigurationError: a setting is unknown or not allowed. Nothing changes.
        """
        return self.chat.update_config(changes)

    def update_compliance_config(self, changes: Mapping[str, Any] | None = None, *, enabled: bool | None = None) -> ChatConfig:
        """Switch the API's look for violations on or off: ``enabled=…`` or ``{"enabled": …}``.

        Raises:
            ConfigurationError: the value is not a bool, or there is no chat configuration. Nothing changes.
        """
        given = {"enabled": enabled} if changes is None else changes
        if not isinstance(given, Mapping) or set(given) != {"enabled"} or not isinstance(given["enabled"], bool):
            raise ConfigurationError('the compliance configuration is {"enabled": True} or {"enabled": False}')
        self.chat.config  # noqa: B018  # refuses where there is none
        return self.chat.update_config({"compliance": given["enabled"]})

    # ---- identity --------------------------------------------------------------------------------------

    def clear_auth_token(self) -> None:
        """Drop the token (logout); the next request fetches a new one.

        Emits ``token_cleared``.
        """
        self._manager.clear()

    def get_livekit_details(self, context: str = "voice") -> LiveKitDetails:
        """Give server and token for a realtime voice room, as they come with a token from the token provider.

        What was fetched is kept until shortly before it ends, whatever becomes of the token for the API.

        Raises:
            ValueError: ``context`` is not ``"voice"``. Nothing is sent.
            AuthenticationError: there is no token, or no details come with it (``no_livekit``).
        """
        limit = self._session.timeouts.deadline
        return self._manager.livekit(context, None if limit is None else self._clock.monotonic() + limit)

    def for_identity(self, identity: str, token_source: Any = None) -> AnimusClient:
        """Give another user's client on the same connections, with a token, history and receivers of its own.

        Args:
            identity: Whom its tokens are for; goes into the key of a shared store and to the source.
            token_source: Where that user's tokens come from; default: the same source, which is told the identity.

        Raises:
            ConfigurationError: ``identity`` is blank.
        """
        if not isinstance(identity, str) or not identity.strip():
            raise ConfigurationError("identity must be a non-blank string: it keeps one user's token from another")
        other = self._view()
        other._identity = identity
        other._source = self._source if token_source is None else self._source_from(token_source, None)
        other._events = Emitter(other, strict=self._events.strict)
        other._manager = self._new_manager(other._source, identity, other._events)
        other._session = self._session.sharing(other._manager, other._events)
        other._conversations = weakref.WeakSet()
        other._chat_config = self._present_config
        other._waits = OpenWaits(within=self._waits)
        return other

    def with_options(
        self,
        *,
        timeouts: object = None,
        retry: object = None,
        chat: Mapping[str, Any] | None = None,
    ) -> AnimusClient:
        """Give a view of this client with other settings: same token, connections, history and receivers.

        Args:
            timeouts, retry: Instead of the client's.
            chat: Changed chat settings.

        Raises:
            ConfigurationError: a setting is not allowed.
        """
        other = self._view()
        session = self._session.sharing(self._manager, self._events)
        session.timeouts = Timeouts.make(timeouts, self._session.timeouts)
        session.retry = RetryPolicy.make(retry, self._session.retry)
        session.cookies = self._session.cookies  # the same person
        other._session = session
        present = self.chat
        config = present._config if chat is None else present.config.changed(chat, "chat")
        other.chat = type(present)(present._room._replace(session=session), config)
        other._conversations = weakref.WeakSet([other.chat])
        other._waits = OpenWaits(within=self._waits)
        return other

    def _view(self) -> AnimusClient:
        """Give a client with the very same parts, but for ``chat`` and ``media``; ``copy.copy`` would make new ones, as for pickling."""
        other = object.__new__(type(self))
        other.__dict__.update({name: value for name, value in self.__dict__.items() if name not in ("chat", "media")})
        return other

    @property
    def _present_config(self) -> ChatConfig | None:
        """The chat settings in force."""
        made: Conversation | None = self.__dict__.get("chat")
        return self._chat_config if made is None else made._config

    # ---- life ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Cut what runs, end waits, close connections and threads. May be called again."""
        _fork.check_pid()
        for conversation in members(self._conversations):
            conversation.close()
        self._waits.end()
        self._session.close()
        if self._session._owns_transport:
            self._manager.close()
            if self._owns_store:
                close_store = getattr(self._token_store, "close", None)
                if callable(close_store):
                    close_store()
            if self._verifier is not None:
                self._verifier.close()

    def __enter__(self) -> AnimusClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "token_source": self._source,
            "chat": self._present_config,
            "vision": self._vision_config,
            "api_base_url": self.api_base_url,
            "rest_base_url": self.rest_base_url,
            # what the environment says is read where the client arrives
            "token_store": None if self._given_store is None else self._token_store or "memory",
            "identity": self._identity,
            "verification": None if self._verifier is None else self._verifier.verification,
            "timeouts": self._session.timeouts,
            "retry": self._session.retry,
            "session": self._session,
            "allow_insecure_http": self._allow_insecure_http,
            "strict_receivers": self._events.strict,
            "owns_store": self._given_store is not None and self._owns_store,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        settings = dict(state)
        owns_store = settings.pop("owns_store", False)
        self.__init__(**settings)  # type: ignore[misc]
        self._owns_store = self._owns_store or owns_store
        _carry_over(self._session, state["session"])

    def __copy__(self) -> AnimusClient:
        return self._twin(self.__getstate__())

    def __deepcopy__(self, memo: dict[int, Any]) -> AnimusClient:
        return self._twin(copy.deepcopy(self.__getstate__(), memo))

    def _twin(self, state: dict[str, Any]) -> AnimusClient:
        other = object.__new__(type(self))
        other.__setstate__({**state, "owns_store": False})  # the very same store
        return other

    def __repr__(self) -> str:
        return f"<AnimusClient for {bare_url(self.api_base_url)}>"


def _load_payloads() -> None:
    """Have the payloads of events there before the first is told."""
    with _fork.forks_wait:
        import animus.events  # noqa: F401


def _read_configs(chat: object, vision: object) -> tuple[ChatConfig | None, VisionConfig | None]:
    if chat is None and vision is None:
        return None, None
    with _fork.forks_wait:
        from animus.config import ChatConfig, VisionConfig

    return None if chat is None else ChatConfig.make(chat, "chat"), None if vision is None else VisionConfig.make(vision, "vision")


def _base_url(field: str, url: Any, allow_insecure_http: bool) -> str:
    return checked_url(field, url, allow_insecure_http=allow_insecure_http).rstrip("/")


def _rest_base_url(api_base_url: str) -> str:
    """Give the base URL of what only the REST reference documents: a last path segment ``v<n>`` becomes ``v2``."""
    return re.sub(r"(?<=[^/]/)v\d+$", "v2", api_base_url)


def _take_over(ours: AnimusSession, theirs: requests.Session) -> None:
    for name in _COPIED_FROM_SESSION:
        value = getattr(theirs, name)
        # copy.copy() of requests' header dict shares what is in it
        setattr(ours, name, value.copy() if hasattr(value, "copy") else copy.copy(value))
    ours.hooks = {event: list(hooks) for event, hooks in theirs.hooks.items()}
    for cookie in theirs.cookies:
        ours.cookies.set_cookie(copy.copy(cookie))
    for prefix, adapter in theirs.adapters.items():
        # requests' own ones do not know our limits, and ours are there
        if type(adapter) is not requests.adapters.HTTPAdapter and not isinstance(adapter, AnimusAdapter):
            ours.mount(prefix, adapter)


def _carry_over(ours: AnimusSession, theirs: AnimusSession) -> None:
    """Have what a session does not take over from one of somebody's, but from the one that it continues."""
    ours.stream = theirs.stream
    for prefix, adapter in theirs.adapters.items():
        if type(adapter) is requests.adapters.HTTPAdapter or isinstance(adapter, AnimusAdapter):
            ours.mount(prefix, copy.copy(adapter))  # with connections of its own
