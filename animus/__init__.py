"""A synchronous Python SDK for the Animus AI platform.

The public names are loaded when they are first asked for: ``import animus`` itself loads nothing.
"""

from animus._version import __version__ as __version__

TYPE_CHECKING = False  # by this name checkers take it for true; importing typing would cost more than all the rest
if TYPE_CHECKING:
    from animus import events as events
    from animus._clock import (
        Clock as Clock,
        SystemClock as SystemClock,
    )
    from animus.client import AnimusClient as AnimusClient
    from animus.config import (
        ChatConfig as ChatConfig,
        TurnConfig as TurnConfig,
        VisionConfig as VisionConfig,
    )
    from animus.conversation.chat import Conversation as Conversation
    from animus.conversation.history import ChatHistory as ChatHistory
    from animus.conversation.messages import ChatMessage as ChatMessage
    from animus.conversation.reply import Reply as Reply
    from animus.errors import (
        AnimusError as AnimusError,
        ApiConnectionError as ApiConnectionError,
        ApiError as ApiError,
        ApiTimeoutError as ApiTimeoutError,
        AuthenticationError as AuthenticationError,
        BadRequestError as BadRequestError,
        BatchError as BatchError,
        ConfigurationError as ConfigurationError,
        ConflictError as ConflictError,
        JobError as JobError,
        JobFailedError as JobFailedError,
        JobTimeoutError as JobTimeoutError,
        NotFoundError as NotFoundError,
        PaymentRequiredError as PaymentRequiredError,
        PermissionDeniedError as PermissionDeniedError,
        RateLimitError as RateLimitError,
        ResponseDecodeError as ResponseDecodeError,
        ServerError as ServerError,
        StreamApiError as StreamApiError,
        StreamDecodeError as StreamDecodeError,
        StreamError as StreamError,
        StreamInterruptedError as StreamInterruptedError,
        StreamTimeoutError as StreamTimeoutError,
        TokenSourceError as TokenSourceError,
        ToolError as ToolError,
        UnauthorizedError as UnauthorizedError,
        WebhookError as WebhookError,
    )
    from animus.http.timeouts import Timeouts as Timeouts
    from animus.models.chat import (
        ChatCompletion as ChatCompletion,
        ChatCompletionChunk as ChatCompletionChunk,
    )
    from animus.models.media import MediaAnalysis as MediaAnalysis
    from animus.resources.images import GeneratedImage as GeneratedImage
    from animus.sources.apikey import ApiKeyTokenSource as ApiKeyTokenSource
    from animus.sources.chain import ChainTokenSource as ChainTokenSource
    from animus.sources.command import CommandTokenSource as CommandTokenSource
    from animus.sources.env import EnvironmentTokenSource as EnvironmentTokenSource
    from animus.sources.function import CallableTokenSource as CallableTokenSource
    from animus.sources.protocol import (
        TokenRequest as TokenRequest,
        TokenSource as TokenSource,
    )
    from animus.sources.static import StaticTokenSource as StaticTokenSource
    from animus.sources.url import UrlTokenSource as UrlTokenSource
    from animus.stores.file import FileTokenStore as FileTokenStore
    from animus.stores.keyring import KeyringTokenStore as KeyringTokenStore
    from animus.stores.memory import MemoryTokenStore as MemoryTokenStore
    from animus.stores.protocol import (
        StoredToken as StoredToken,
        TokenStore as TokenStore,
    )
    from animus.stores.redis import RedisTokenStore as RedisTokenStore
    from animus.streaming.stream import ChatStream as ChatStream
    from animus.tokens.token import (
        LiveKitDetails as LiveKitDetails,
        Token as Token,
    )
    from animus.tokens.verification import TokenVerification as TokenVerification
    from animus.transport.policy import RetryPolicy as RetryPolicy
    from animus.transport.session import AnimusSession as AnimusSession
else:
    _MODULES = {
        "animus._clock": ("Clock", "SystemClock"),
        "animus.client": ("AnimusClient",),
        "animus.config": ("ChatConfig", "TurnConfig", "VisionConfig"),
        "animus.conversation.chat": ("Conversation",),
        "animus.conversation.history": ("ChatHistory",),
        "animus.conversation.messages": ("ChatMessage",),
        "animus.conversation.reply": ("Reply",),
        "animus.errors": (
            "AnimusError",
            "ApiConnectionError",
            "ApiError",
            "ApiTimeoutError",
            "AuthenticationError",
            "BadRequestError",
            "BatchError",
            "ConfigurationError",
            "ConflictError",
            "JobError",
            "JobFailedError",
            "JobTimeoutError",
            "NotFoundError",
            "PaymentRequiredError",
            "PermissionDeniedError",
            "RateLimitError",
            "ResponseDecodeError",
            "ServerError",
            "StreamApiError",
            "StreamDecodeError",
            "StreamError",
            "StreamInterruptedError",
            "StreamTimeoutError",
            "TokenSourceError",
            "ToolError",
            "UnauthorizedError",
            "WebhookError",
        ),
        "animus.http.timeouts": ("Timeouts",),
        "animus.models.chat": ("ChatCompletion", "ChatCompletionChunk"),
        "animus.models.media": ("MediaAnalysis",),
        "animus.resources.images": ("GeneratedImage",),
        "animus.sources.apikey": ("ApiKeyTokenSource",),
        "animus.sources.chain": ("ChainTokenSource",),
        "animus.sources.command": ("CommandTokenSource",),
        "animus.sources.env": ("EnvironmentTokenSource",),
        "animus.sources.function": ("CallableTokenSource",),
        "animus.sources.protocol": ("TokenRequest", "TokenSource"),
        "animus.sources.static": ("StaticTokenSource",),
        "animus.sources.url": ("UrlTokenSource",),
        "animus.stores.file": ("FileTokenStore",),
        "animus.stores.keyring": ("KeyringTokenStore",),
        "animus.stores.memory": ("MemoryTokenStore",),
        "animus.stores.protocol": ("StoredToken", "TokenStore"),
        "animus.stores.redis": ("RedisTokenStore",),
        "animus.streaming.stream": ("ChatStream",),
        "animus.tokens.token": ("LiveKitDetails", "Token"),
        "animus.tokens.verification": ("TokenVerification",),
        "animus.transport.policy": ("RetryPolicy",),
        "animus.transport.session": ("AnimusSession",),
    }
    _PLACES = {name: module for module, names in _MODULES.items() for name in names}
    __all__ = sorted([*_PLACES, "events", "__version__"])

    def __getattr__(name):
        """Load a public name (PEP 562); afterwards it is an ordinary attribute."""
        if name not in __all__:
            raise AttributeError(f"module 'animus' has no attribute {name!r}")
        from importlib import import_module

        from animus import _fork

        with _fork.forks_wait:
            if name == "events":
                return import_module("animus.events")
            value = globals()[name] = getattr(import_module(_PLACES[name]), name)
        return value

    def __dir__():
        return __all__
