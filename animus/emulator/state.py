"""All that an emulator knows, apart from how it is reached: settings, tokens, script, armed faults, recording."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from animus._check import refuse
from animus._clock import SYSTEM_CLOCK, Clock
from animus.emulator.auth import TokenBook
from animus.emulator.faults import ArmedFault, Fault, FaultBook
from animus.emulator.media_jobs import MediaJobs
from animus.emulator.problem import ERROR_STYLES, ErrorStyle
from animus.emulator.recording import RecordedRequest, Recording
from animus.emulator.script import Script

TokenShape = Literal["flat", "nested", "both", "livekit_flat"]
TOKEN_SHAPES: tuple[str, ...] = get_args(TokenShape)

UserCheck = Mapping[str, "str | Mapping[str, str]"] | Callable[[RecordedRequest], "str | None"]

DEFAULT_API_KEY = "animus-emulator-key"


class EmulatorState:
    """Settings and memory of an emulator. Attributes may be set at any time, from any thread; they count from the next request.

    Args and attributes:
        api_key: The one organisation API key that is accepted.
        token_shape: How tokens are handed out: ``flat`` ``{"accessToken"}``, ``nested`` ``{"animus": …, "livekit": {"voice": …}}``,
            ``both`` (default) in one object, ``livekit_flat``, the oldest.
        token_lifetime: Seconds a token lives. None: tokens without ``exp``. Zero or less: over on arrival.
        token_status: The token provider answers this status instead of a token, or with 200 instead of its usual body.
        token_body: With ``token_status``: the body; text and bytes as they are, anything else as JSON. None: a usual error.
        token_headers: Further headers of the token provider's answers.
        require_user: Who may have a token from the provider. A mapping of header or cookie names to the value each must have
            (or to a mapping of accepted values to user names); or a function that gets the :class:`RecordedRequest` and gives the
            user's name, or None to refuse. Others are answered 401.
        error_style: How the API words errors: ``detail``, ``message``, ``error``, ``openai``.
        chunk_delay: Seconds between the chunks of a streamed answer.
        upstream: Base URL of an OpenAI-compatible server that chat completions are relayed to when no script answers them.
        upstream_key: The API key for it.
        clock: Tells the time that tokens, ``created`` and the ``Date`` header follow. Delays are always real.
        on_request: Called with every :class:`RecordedRequest` once it is finished, in the connection's thread.
        tokens, faults, requests: What was issued, what is armed, what came.
        media_jobs: The jobs that look through videos, and how fast they go.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        token_shape: TokenShape = "both",
        token_lifetime: float | None = 3600,
        error_style: ErrorStyle = "detail",
        chunk_delay: float = 0.0,
        require_user: UserCheck | None = None,
        script: Script | str | Path | Mapping[str, Any] | Iterable[Any] | None = None,
        upstream: str | None = None,
        upstream_key: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
        on_request: Callable[[RecordedRequest], None] | None = None,
    ) -> None:
        self.api_key = api_key
        self.token_shape = token_shape
        self.token_lifetime = token_lifetime
        self.token_status: int | None = None
        self.token_body: Any = None
        self.token_headers: Mapping[str, str] = {}
        self.error_style = error_style
        self.chunk_delay = chunk_delay
        self.require_user = require_user
        self.upstream = upstream
        self.upstream_key = upstream_key
        self.clock = clock
        self.on_request = on_request
        self._first_settings = dict(self.__dict__)
        self._first_script = None if script is None else Script.of(script)
        self.tokens: TokenBook = TokenBook()
        self.faults: FaultBook = FaultBook()
        self.requests: Recording = Recording()
        self.media_jobs: MediaJobs = MediaJobs()
        self._answers = Script()
        self._interrupt = threading.Event()
        self._numbers = itertools.count(1)
        self._answer_numbers = itertools.count(1)
        if self._first_script is not None:
            self.script(self._first_script)

    @property
    def token_shape(self) -> TokenShape:
        """How tokens are handed out."""
        return self._token_shape

    @token_shape.setter
    def token_shape(self, value: TokenShape) -> None:
        if value not in TOKEN_SHAPES:
            raise refuse("token_shape", value, f"one of {', '.join(TOKEN_SHAPES)}")
        self._token_shape = value

    @property
    def error_style(self) -> ErrorStyle:
        """How the API words errors."""
        return self._error_style

    @error_style.setter
    def error_style(self, value: ErrorStyle) -> None:
        if value not in ERROR_STYLES:
            raise refuse("error_style", value, f"one of {', '.join(ERROR_STYLES)}")
        self._error_style = value

    @property
    def now(self) -> float:
        """The emulator's time, seconds since 1970."""
        return self.clock.time()

    @property
    def answers(self) -> Script:
        """The script as it stands: what is left of it, and whether it is strict."""
        return self._answers

    def script(self, answers: Script | str | Path | Mapping[str, Any] | Iterable[Any], *, strict: bool | None = None) -> Script:
        """Append scripted answers (see :mod:`animus.emulator.script`): a list of them, a script object, or the path of a script file.

        ``strict=True``: a request that the script has no answer for is answered 500, instead of by the built-in answers.

        Raises:
            ConfigurationError: the script is not as it should be; the message says where.
        """
        self._answers.extend(Script.of(answers), strict=strict)
        return self._answers

    def arm(self, fault: Fault | None = None, *, times: int | None = 1, skip: int = 0, **fields: Any) -> ArmedFault:
        """Have something go wrong: ``emulator.arm(path="/chat/completions", status=503, headers={"Retry-After": "1"})``.

        ``fields`` are those of :class:`Fault`. The fault strikes the next ``times`` requests it is for (None: all of them), after
        letting ``skip`` of them pass. Faults for the same requests strike in the order in which they were armed.

        Raises:
            ConfigurationError: a field is wrong, or nothing would happen.
            TypeError: there is no such field.
        """
        return self.faults.arm(fault or Fault(**fields), times=times, skip=skip)

    def disarm(self) -> None:
        """Forget all armed faults."""
        self.faults.clear()

    def issue_token(self, user: str = "user", *, lifetime: float | None = 3600) -> str:
        """Give a token that the API accepts, as the provider would for ``user``; ``lifetime`` in seconds."""
        return self.tokens.mint(user, now=self.now, lifetime=lifetime)

    def revoke_tokens(self, user: str | None = None) -> int:
        """Have the API refuse all tokens issued so far (or those of one user); give how many that are."""
        return self.tokens.revoke(user)

    def pause(self, seconds: float) -> bool:
        """Wait some real seconds, less if the emulator is closed or reset; give whether it was."""
        return SYSTEM_CLOCK.wait(self._interrupt, seconds)

    def next_number(self) -> int:
        """Give the next request's number."""
        return next(self._numbers)

    def next_answer_id(self) -> str:
        """Give the ``id`` of the next completion."""
        return f"chat-{next(self._answer_numbers):04d}"

    def reset(self) -> None:
        """Be as at the beginning: first settings and script, nothing recorded, armed, issued; running answers are broken off."""
        self._interrupt.set()
        for name, value in self._first_settings.items():
            setattr(self, name, value)
        self.faults.clear()
        self.tokens.reset()
        self.requests.clear()
        self.media_jobs.reset()
        self._answers.clear()
        self._numbers = itertools.count(1)
        self._answer_numbers = itertools.count(1)
        if self._first_script is not None:
            self.script(self._first_script)
        self._interrupt = threading.Event()

    def _reset_after_fork(self) -> None:
        self._interrupt = threading.Event()
