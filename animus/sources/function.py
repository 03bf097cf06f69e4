"""A function of yours as a source."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from animus import _check
from animus.errors import ConfigurationError, TokenSourceError
from animus.sources.fingerprint import fingerprint, name_of
from animus.sources.protocol import TokenRequest
from animus.tokens.reasons import failure
from animus.tokens.token import Token

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CallableTokenSource:
    """Calls a function for each token.

    It takes nothing, or one argument: the :class:`~animus.sources.protocol.TokenRequest` (a parameter without default,
    or one named ``request``). It returns a :class:`~animus.tokens.token.Token`, the token's text (which may be opaque, such as
    an API key: it is kept until it is refused), or a provider's JSON answer as mapping. What it raises becomes a
    :class:`~animus.errors.TokenSourceError` with reason ``failed``; a ``TokenSourceError`` of its own goes through.

    Threads: it is called from one thread at a time, by default now and then from a short-lived one, in a copy of the
    caller's context variables. Fork: works in the child. Pickling: travels if the function does (one of a module, no lambda).

    Args:
        function: What to call.
        background: False: only ever call it in a thread that asked for a token.
        timeout: Seconds one call may take. Given, it is called in a thread of its own, which is left behind when the time
            is up; None: nothing can end a call that hangs but a ``deadline`` of the client. Others wait 30 s for it.

    Raises:
        ConfigurationError: not callable, asynchronous, or it needs more than one argument.
    """

    contains_callables = True

    def __init__(self, function: Callable[..., Any], *, background: bool = True, timeout: float | None = None) -> None:
        if not callable(function):
            raise _check.refuse("token_source", function, "a function")
        self.background: bool = _check.boolean("background", background)
        self.own_thread: bool = timeout is not None and background
        self.timeout: float = 30.0 if timeout is None else _check.seconds("timeout", timeout, zero=False)
        self.name: str = f"function {name_of(function)}"
        self._given_timeout = timeout
        self._function = function
        self._wants = _wanted_argument(function, self.name)

    @property
    def fingerprint(self) -> str:
        """Module and name of the function: two lambdas of one place have the same."""
        return fingerprint("function", name_of(self._function))

    def fetch(self, request: TokenRequest) -> Token | str | Mapping[str, Any]:
        """Call the function."""
        if self._wants is None:
            value = self._function()
        elif self._wants:
            value = self._function(**{self._wants: request})
        else:
            value = self._function(request)
        if inspect.iscoroutine(value):
            value.close()  # else Python warns that nobody awaited it
            raise _asynchronous(self.name)
        return value  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<CallableTokenSource {name_of(self._function)}>"

    def __copy__(self) -> CallableTokenSource:
        return self

    def __deepcopy__(self, memo: object) -> CallableTokenSource:
        return self

    def __reduce__(self) -> Any:
        return functools.partial(type(self), self._function, background=self.background, timeout=self._given_timeout), ()


def _wanted_argument(function: Callable[..., Any], name: str) -> str | None:
    """Give how the function takes the request: None for not at all, "" by position, else the name of the parameter."""
    if inspect.iscoroutinefunction(function):
        hint = "Give a function that runs the coroutine to its end"
        raise ConfigurationError(f"{name} is asynchronous; animus is synchronous", hint=hint)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have none
        return None
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if len(needed) > 1:
        raise ConfigurationError(
            f"{name} needs {len(needed)} arguments; a token source gets one, the TokenRequest, or none",
            hint="functools.partial can give it the others",
        )
    if needed:
        return "" if needed[0].kind in _POSITIONAL else needed[0].name
    return "request" if any(p.name == "request" and p.kind is not p.POSITIONAL_ONLY for p in parameters) else None


def _asynchronous(name: str) -> TokenSourceError:
    return failure("wrong_shape", "the function returned a coroutine; animus is synchronous", source=name, hint="Return the token itself")
