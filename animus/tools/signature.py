"""Signatures: the parameters of a function as a model can fill them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from animus.errors import ConfigurationError

REQUIRED: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that the model fills.

    Attributes:
        annotation: Its type, resolved, with what ``Annotated`` adds.
        default: Its default, or :data:`REQUIRED`.
        positional: Whether it cannot be passed by name.
    """

    name: str
    annotation: Any
    default: Any
    positional: bool

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is REQUIRED


def check_kind(function: object, tool: str) -> None:
    """Refuse what is no plain function: classes, coroutines, generators.

    Raises:
        ConfigurationError: naming the tool.
    """
    if not callable(function) or inspect.isclass(function):
        shown = f"the class {function.__name__}" if inspect.isclass(function) else f"a {type(function).__name__}"
        raise ConfigurationError(f"the tool {tool!r} must be a function, not {shown}")
    for one in (function, getattr(type(function), "__call__", None)):  # noqa: B004  # of an object the class has the function
        if inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one):
            raise ConfigurationError(
                f"the tool {tool!r} is an async function, and this package is synchronous",
                hint="Wrap it in a function that runs it: def …: return asyncio.run(…)",
            )
        if inspect.isgeneratorfunction(one):
            raise ConfigurationError(f"the tool {tool!r} is a generator function", hint="Have it return a list")


def parameters_of(function: Callable[..., Any], tool: str) -> list[Parameter]:
    """Give the parameters of a function, in order. What a ``functools.partial`` binds is not among them.

    Raises:
        ConfigurationError: a parameter that a model cannot fill: no annotation, one that cannot be resolved,
            ``*args``, ``**kwargs``. The text names tool and parameter.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the tool {tool!r} has no signature that can be read", hint="Wrap it in a function of yours") from error
    except NameError as error:  # Python 3.14 and newer: annotations are evaluated here
        raise ConfigurationError(f"the tool {tool!r} has annotations that cannot be resolved: {error}") from error
    bound = function.keywords if isinstance(function, functools.partial) else {}
    names = getattr(origin_of(function), "__globals__", {})
    return [_parameter(one, tool, names) for one in signature.parameters.values() if one.name not in bound]


def origin_of(function: Any) -> Any:
    """Give the function that was written: under partials, methods, wrappers and callable objects."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif not inspect.isroutine(function) and inspect.isfunction(call := getattr(type(function), "__call__", None)):  # noqa: B004
            return call
        else:
            return function


def _parameter(parameter: inspect.Parameter, tool: str, names: dict[str, Any]) -> Parameter:
    where = f"the tool {tool!r}: the parameter {str(parameter).partition(':')[0].partition('=')[0].strip()!r}"
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        raise ConfigurationError(f"{where} cannot be described to a model", hint="Name each parameter, or take a list or a dict")
    if parameter.annotation is inspect.Parameter.empty:
        hint = "Annotate it with its type"
        if parameter.name in ("self", "cls"):
            hint = "Decorate no method; give the bound method as tool: tools=[thing.method]"
        raise ConfigurationError(f"{where} has no annotation", hint=hint)
    positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    return Parameter(parameter.name, _resolved(parameter, where, names), parameter.default, positional)


def _resolved(parameter: inspect.Parameter, where: str, names: dict[str, Any]) -> Any:
    # one parameter at a time: the error can name it, and an annotation that no tool needs (the return type) may stay unresolved
    def holder() -> None: ...

    holder.__annotations__ = {parameter.name: parameter.annotation}
    try:
        return get_type_hints(holder, globalns=names, include_extras=True)[parameter.name]
    except Exception as error:
        text = f"{where} has the annotation {parameter.annotation!r}, which cannot be resolved: {error}"
        raise ConfigurationError(text, hint="Types that tools use must be importable names of their module") from error
