"""Configuration as immutable values, checked as a whole when they are made.

Ranges come from the platform's reference (section 5.1). A mapping with the same keys is accepted wherever one of these
classes is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from animus import _check
from animus._fresh import fresh
from animus.errors import ConfigurationError

Setting = TypeVar("Setting", bound="_Setting")
_Check = Callable[[str, object], Any]


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """What the configuration classes share: made from a mapping, changed into a new one."""

    @classmethod
    def make(cls: type[Setting], value: object, where: str) -> Setting:
        """Give ``value`` as an object of this class.

        Raises:
            ConfigurationError: it is neither one nor a mapping of known settings, or a setting is not allowed.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise _check.refuse(where, value, f"a {cls.__name__} or a mapping with its settings")
        _check.known_keys(where, value, (f.name for f in fields(cls)))
        try:
            return cls(**value)
        except TypeError as error:  # a required setting is missing
            missing = [f.name for f in fields(cls) if f.name not in value and f"'{f.name}'" in str(error)]
            raise ConfigurationError(f"{where} lacks {' and '.join(missing) or error}") from None

    def changed(self: Setting, changes: Mapping[str, Any], where: str) -> Setting:
        """Give a copy with ``changes``; nothing changes if one of them is not allowed.

        Raises:
            ConfigurationError: an unknown setting, or a value that is not allowed.
        """
        if not isinstance(changes, Mapping):
            raise _check.refuse(where, changes, "a mapping of settings")
        _check.known_keys(where, changes, (f.name for f in fields(self)))
        return replace(self, **changes)


def _between(low: float, high: float) -> _Check:
    return lambda name, value: _check.number(name, value, low, high)


def _at_least(low: int) -> _Check:
    return lambda name, value: _check.integer(name, value, low)


def _number(name: str, value: object) -> float:
    return _check.number(name, value)


def _integer(name: str, value: object) -> int:
    return _check.integer(name, value)


def _stop(name: str, value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise _check.refuse(name, value, "a string or a list of strings")
    return tuple(value)


def _tools(name: str, value: object) -> Any:
    if hasattr(value, "definitions") and hasattr(value, "functions"):  # a toolbox, which has checked its tools itself
        return value
    if not isinstance(value, (list, tuple)):
        raise _check.refuse(name, value, "a list of tools, or a Toolbox")
    for index, tool in enumerate(value):
        if not callable(tool) and not isinstance(tool, Mapping):
            raise _check.refuse(f"{name}[{index}]", tool, "a function, or a mapping with type and function")
        if isinstance(tool, Mapping):
            function = tool.get("function")
            if tool.get("type", "function") != "function" or not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                raise _check.refuse(f"{name}[{index}]", tool, 'of the form {"type": "function", "function": {"name": …, "parameters": …}}')
    return tuple(tool if callable(tool) else fresh(tool) for tool in value)


def _tool_choice(name: str, value: object) -> Any:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, Mapping) and value:
        return fresh(value)
    raise _check.refuse(name, value, '"none", "auto", "required" or a mapping that names a function')


def _extra_body(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _check.refuse(name, value, "a mapping with string keys")
    copied: Mapping[str, Any] = fresh(value)
    return copied


# parameters that go into the body as they are: name -> check
SAMPLING: Mapping[str, _Check] = MappingProxyType({
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "n": _at_least(1),
    "max_tokens": _at_least(1),
    "stop": _stop,
    "presence_penalty": _between(-2, 2),
    "frequency_penalty": _between(-2, 2),
    "best_of": _at_least(1),
    "top_k": _integer,
    "repetition_penalty": _between(0, 2),
    "min_p": _between(0, 1),
    "length_penalty": _number,
})
# all parameters of one call besides messages: name -> check
PARAMETERS: Mapping[str, _Check] = MappingProxyType({
    "model": _check.text,
    **SAMPLING,
    "stream": _check.boolean,
    "compliance": _check.boolean,
    "reasoning": _check.boolean,
    "check_image_generation": _check.boolean,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "extra_body": _extra_body,
})

_LONGEST_DELAY = 60.0


@dataclass(frozen=True, kw_only=True)
class TurnConfig(_Setting):
    """How answers are said in turns, like a person types. Durations in seconds.

    Attributes:
        enabled: Whether turns are on.
        base_typing_speed: Words per minute.
        speed_variation: How much chance varies each delay: 0.2 is ±20 %.
        min_delay, max_delay: Bounds of a typing delay; given alone, one moves the default of the other.
        max_turns: Most turns of an answer; more pieces are merged.
        follow_up_delay: Wait before a follow-up.
        max_sequential_follow_ups: Most follow-ups of one exchange; 0 for none.
        follow_up_max_tokens: Cap on ``max_tokens`` of a follow-up; None for none.
    """

    enabled: bool = True
    base_typing_speed: float = 45.0
    speed_variation: float = 0.2
    min_delay: float = None  # type: ignore[assignment]  # 0.5, or max_delay if that is less
    max_delay: float = None  # type: ignore[assignment]  # 3.0, or min_delay if that is more
    max_turns: int = 3
    follow_up_delay: float = 2.0
    max_sequential_follow_ups: int = 2
    follow_up_max_tokens: int | None = 150

    def __post_init__(self) -> None:
        where = "auto_turn."
        _check.boolean(where + "enabled", self.enabled)
        _check.number(where + "base_typing_speed", self.base_typing_speed, above=0)
        _check.number(where + "speed_variation", self.speed_variation, 0, 1)
        for name in ("min_delay", "max_delay", "follow_up_delay"):
            value = getattr(self, name)
            if value is None and name != "follow_up_delay":
                continue
            _check.seconds(where + name, value)
            if value > _LONGEST_DELAY:
                hint = "Durations are seconds here; JavaScript's are milliseconds"
                raise _check.refuse(where + name, value, f"at most {_LONGEST_DELAY:g} seconds", hint)
        low, high = self.min_delay, self.max_delay
        low = (0.5 if high is None else min(0.5, high)) if low is None else low
        high = max(3.0, low) if high is None else high
        if low > high:
            raise ConfigurationError(f"auto_turn.min_delay ({low:g}) must not be more than auto_turn.max_delay ({high:g})")
        object.__setattr__(self, "min_delay", low)
        object.__setattr__(self, "max_delay", high)
        _check.integer(where + "max_turns", self.max_turns, 1)
        _check.integer(where + "max_sequential_follow_ups", self.max_sequential_follow_ups, 0)
        if self.follow_up_max_tokens is not None:
            _check.integer(where + "follow_up_max_tokens", self.follow_up_max_tokens, 1)


def turns_from(value: object, default: TurnConfig | None = None) -> TurnConfig:
    """Give the turn settings that ``auto_turn=value`` means: True, False, None, a mapping or a :class:`TurnConfig`.

    Raises:
        ConfigurationError: anything else.
    """
    if value is None or value is False:
        return replace(default or TurnConfig(), enabled=False)
    if value is True:
        return replace(default or TurnConfig(), enabled=True)
    if not isinstance(value, (TurnConfig, Mapping)):
        raise _check.refuse("auto_turn", value, "True, False, a TurnConfig or a mapping with its settings")
    return TurnConfig.make(value, "auto_turn")


@dataclass(frozen=True, kw_only=True)
class ChatConfig(_Setting):
    """Defaults of all chat calls of a client.

    Attributes:
        model: The model's id; not checked against a list, the platform has none.
        system_message: Sent first with every call.
        temperature, top_p, n, max_tokens, stop, presence_penalty, frequency_penalty, best_of, top_k,
            repetition_penalty, min_p, length_penalty: Sampling; None: not sent.
        stream: Whether ``send`` streams; None: it does, unless turns are on. ``completions`` streams only when its call
            says so.
        compliance: Whether the API looks for violations (always sent).
        reasoning: Whether to ask for the model's thinking.
        check_image_generation: Whether the API is to decide if an image was promised.
        history_size: Room for stored messages (not turns) of the conversation; 0 keeps none.
        tools, tool_choice: As in a call: functions, definitions, or a :class:`~animus.tools.Toolbox`.
        auto_turn: Turns: a bool, a :class:`TurnConfig` or a mapping.
        extra_body: Further fields of the request body, for what this SDK does not know yet.

    Raises:
        ConfigurationError: a value of the wrong type or out of range.
    """

    model: str
    system_message: str
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    max_tokens: int | None = None
    stop: Any = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    best_of: int | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    min_p: float | None = None
    length_penalty: float | None = None
    stream: bool | None = None
    compliance: bool | None = True
    reasoning: bool | None = None
    check_image_generation: bool | None = None
    history_size: int = 0
    tools: Any = None
    tool_choice: Any = None
    auto_turn: Any = field(default=None)
    extra_body: Any = None

    def __post_init__(self) -> None:
        _check.text("chat.model", self.model)
        _check.text("chat.system_message", self.system_message)
        for name, check in PARAMETERS.items():
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, check(f"chat.{name}", value))
        if self.history_size is None:
            object.__setattr__(self, "history_size", 0)
        _check.integer("chat.history_size", self.history_size, 0)
        object.__setattr__(self, "auto_turn", turns_from(self.auto_turn))
        given = {name: getattr(self, name) for name in SAMPLING}
        sampling = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value is not None}
        object.__setattr__(self, "_sampling", sampling)

    @property
    def sampling(self) -> dict[str, Any]:
        """The sampling parameters that are set, as they are sent; a copy."""
        return dict(self._sampling)  # type: ignore[attr-defined]

    @property
    def turns(self) -> TurnConfig:
        """The turn settings; ``.enabled`` tells whether they are on."""
        turns: TurnConfig = self.auto_turn
        return turns


@dataclass(frozen=True, kw_only=True)
class VisionConfig(_Setting):
    """Defaults of all media calls of a client.

    Attributes:
        model: The vision model's id.
        temperature: Sampling temperature, 0 to 2; None: not sent.
    """

    model: str
    temperature: float | None = None

    def __post_init__(self) -> None:
        _check.text("vision.model", self.model)
        if self.temperature is not None:
            _check.number("vision.temperature", self.temperature, 0, 2)
