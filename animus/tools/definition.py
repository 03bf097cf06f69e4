"""Functions as tools: ``@tool``, and what it makes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from animus.errors import ConfigurationError
from animus.tools.arguments import read_arguments
from animus.tools.docstring import read_docstring
from animus.tools.schema import Field, fields_of, schema_of
from animus.tools.signature import check_kind, origin_of, parameters_of

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what the API takes (reference, section 5.1)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Tool(Generic[P, R_co]):
    """A function that a model can call. Immutable; call it as the function itself.

    The parameters' types come from their annotations, the description from the first paragraph of the docstring, the
    parameters' texts from its list of them (Google's, NumPy's or Sphinx's style) or from ``Annotated[int, "text"]``.
    What a ``functools.partial`` binds is hidden from the model.

    Threads: any. Pickling: by reference, like the function.

    Args:
        function: A function, a bound method, a ``functools.partial`` or a callable object; not async.
        name: Its name for the model; without it the function's.
        description: Instead of the docstring's first paragraph.

    Attributes:
        name, description, function: As given, or as found.

    Raises:
        ConfigurationError: a parameter without annotation or of a type that cannot be described, ``*args``,
            ``**kwargs``, an async function, a name the API does not take. The text names tool and parameter.
    """

    name: str
    description: str | None
    function: Callable[P, R_co]
    _fields: tuple[Field, ...]
    _schema: dict[str, Any]

    if TYPE_CHECKING:
        __name__: str
        __qualname__: str
        __wrapped__: Callable[P, R_co]

    def __init__(self, function: Callable[P, R_co], *, name: str | None = None, description: str | None = None) -> None:
        if isinstance(function, Tool):
            name, description, function = name or function.name, description or function.description, function.function
        origin = origin_of(function)
        called = str(name or getattr(function, "__name__", None) or getattr(_bare(function), "__name__", type(function).__name__))
        if not _NAME.fullmatch(called):
            hint = "Letters, digits, - and _, at most 64; give another with name="
            raise ConfigurationError(f"the tool name {called!r} is not allowed", hint=hint)
        check_kind(function, called)
        documented = read_docstring(getattr(origin, "__doc__", None))
        fields = fields_of(parameters_of(function, called), called)
        self.__dict__.update(
            name=called,
            description=description or documented.description,
            function=function,
            _fields=tuple(fields),
            _schema=schema_of(fields, documented.parameters),
            __wrapped__=function,
            __name__=called,
            __qualname__=getattr(origin, "__qualname__", called),
            __doc__=getattr(origin, "__doc__", None),
            __module__=getattr(origin, "__module__", None),
        )

    @staticmethod
    def of(function: Callable[P2, R]) -> Tool[P2, R]:
        """Give ``function`` as a tool; a tool as it is."""
        return function if isinstance(function, Tool) else Tool(function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        return self.function(*args, **kwargs)

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema object of the parameters; a copy."""
        return deepcopy(self._schema)

    @property
    def definition(self) -> dict[str, Any]:
        """The tool as the API takes it; a copy."""
        function: dict[str, Any] = {"name": self.name}
        if self.description:
            function["description"] = self.description
        return {"type": "function", "function": {**function, "parameters": self.parameters}}

    def read_arguments(self, text: str) -> dict[str, Any]:
        """Give the arguments that a model wrote as JSON, checked and converted.

        Raises:
            ToolError: they are not valid; the text says all that is wrong and where.

        >>> def power(base: float, exponent: int = 2) -> float: return base**exponent
        >>> Tool(power).read_arguments('{"base": "3"}')
        {'base': 3.0}
        """
        return read_arguments(text, self._fields, self.name)

    def call(self, values: Mapping[str, Any]) -> R_co:
        """Call the function with arguments by name, also where a parameter can only be passed by position."""
        first: list[Any] = []
        named = dict(values)
        for field in self._fields:
            parameter = field.parameter
            if parameter.positional:
                first.append(named.pop(parameter.name, parameter.default))
        function: Callable[..., R_co] = self.function
        return function(*first, **named)

    def __repr__(self) -> str:
        return f"<Tool {self.name}({', '.join(field.parameter.name for field in self._fields)})>"

    def __reduce__(self) -> Any:
        found: Any = sys.modules.get(str(self.__module__))
        for part in str(self.__dict__["__qualname__"]).split("."):
            found = getattr(found, part, None)
        if found is self:
            return self.__dict__["__qualname__"]
        return _rebuild, (self.function, self.name, self.description)


def _bare(function: Any) -> Any:
    """Give what a partial was made of."""
    return getattr(function, "func", function)


def _rebuild(function: Callable[..., Any], name: str, description: str | None) -> Tool[..., Any]:
    return Tool(function, name=name, description=description)


@overload
def tool(function: Callable[P, R], *, name: str | None = None, description: str | None = None) -> Tool[P, R]: ...
@overload
def tool(*, name: str | None = None, description: str | None = None) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(function: Callable[..., Any] | None = None, *, name: str | None = None, description: str | None = None) -> Any:
    """Make a function a :class:`Tool`, with or without arguments.

    A plain typed function can be given as a tool, too; the decorator finds what is wrong when the function is defined,
    and can give it another name or description.

    Raises:
        ConfigurationError: what :class:`Tool` raises.

    >>> @tool
    ... def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> add(2, 3), add.name, add.parameters["properties"]["b"]
    (5, 'add', {'type': 'integer', 'default': 1})
    """
    if function is None:
        return lambda function: Tool(function, name=name, description=description)
    return Tool(function, name=name, description=description)
