"""What may be repeated.

| | never connected | 429, 503 | 500, 408 | 502, 504, sent but unanswered |
|---|---|---|---|---|
| GET, PUT, DELETE, HEAD | yes | yes | yes | yes |
| POST chat and media completions, generate image | yes | yes | yes | only if told so |
| any other POST, PATCH | yes | yes | only if told so | only if told so |

A 401 is another matter: once, with a renewed token (:mod:`animus.transport.attempts`). "Told so" is
``repeat_unanswered=True`` or an ``idempotency_header``: a billed call is not doubled behind the user's back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from animus import _check
from animus.http.failure import Failure

# RFC 9110 section 9.2.2
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
# section 5.6.2, "token"
_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# paths whose 500 and 408 mean that nothing was made
_COMPLETIONS = ("/chat/completions", "/media/completions", "/generate/image")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How calls are repeated. Immutable; durations in seconds.

    Attributes:
        repeats: Most repetitions of a call, beside the one after a 401; 0 for none.
        base, cap: Full jitter: before the n-th repetition anything up to ``base * 2**(n-1)``, at most ``cap``.
        retry_after_cap: A ``Retry-After`` up to this is obeyed; a longer one is raised at once.
        repeat_unanswered: Also repeat a POST that may have reached the API. It may be billed twice.
        idempotency_header: Name of a header that gets one random key per POST or PATCH, equal on all attempts of a call.
            The platform documents none, so it is off.
        budget: How many repetitions a client may make while hardly anything succeeds; each success gives a fifth back.
    """

    repeats: int = 2
    base: float = 0.5
    cap: float = 8.0
    retry_after_cap: float = 60.0
    repeat_unanswered: bool = False
    idempotency_header: str | None = None
    budget: int = 100

    def __post_init__(self) -> None:
        _check.integer("retry.repeats", self.repeats, 0)
        _check.seconds("retry.base", self.base)
        _check.seconds("retry.cap", self.cap)
        _check.seconds("retry.retry_after_cap", self.retry_after_cap)
        _check.boolean("retry.repeat_unanswered", self.repeat_unanswered)
        _check.integer("retry.budget", self.budget, 0)
        name = self.idempotency_header
        if name is not None and not re.fullmatch(_HEADER_NAME, _check.text("retry.idempotency_header", name)):
            raise _check.refuse("retry.idempotency_header", name, "a header name")

    @classmethod
    def make(cls, value: object, default: RetryPolicy | None = None) -> RetryPolicy:
        """Give the policy that ``retry=value`` means: None (the default), a policy, a mapping, or a number of repeats.

        Raises:
            ConfigurationError: anything else.
        """
        default = default or cls()
        made = _check.made_of(default, value, "retry")
        if made is not None:
            return made
        if isinstance(value, int):
            return replace(default, repeats=int(value) if value is not True else default.repeats)
        raise _check.refuse("retry", value, "a RetryPolicy, a mapping of its settings, or a number of repeats")

    @property
    def told_so(self) -> bool:
        """Whether a POST that may have reached the API is repeated."""
        return self.repeat_unanswered or self.idempotency_header is not None


def repeats_status(policy: RetryPolicy, method: str, path: str, status: int) -> bool:
    """Tell whether an answer with that status is worth a repetition."""
    if status in (429, 503):
        return True
    if status in (500, 408):
        return method in IDEMPOTENT or (method == "POST" and path.endswith(_COMPLETIONS)) or policy.told_so
    if status in (502, 504):
        return method in IDEMPOTENT or policy.told_so
    return False


def repeats_failure(policy: RetryPolicy, method: str, failure: Failure) -> bool:
    """Tell whether a request without an answer is worth a repetition."""
    if failure.limit == "deadline":
        return False
    if failure.kind == "never_connected":
        return True
    return failure.kind == "unanswered" and (method in IDEMPOTENT or policy.told_so)
