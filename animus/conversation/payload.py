"""The body of a chat request, from configuration and call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from animus import _fork
from animus._check import UNSET, unexpected_keyword
from animus.config import PARAMETERS, SAMPLING, ChatConfig, TurnConfig, turns_from
from animus.conversation.messages import ChatMessage
from animus.errors import ConfigurationError

if TYPE_CHECKING:
    from animus.tools.toolbox import Toolbox


class Parameters(NamedTuple):
    """What one call was given, checked. What is not in ``given`` comes from the configuration.

    Attributes:
        given: Name to value; None means "do not send the field".
        turns: The turn settings of this call.
        turns_given: Whether the call itself named ``auto_turn``.
        toolbox: The tools in force; None if there are none to be sent.
    """

    config: ChatConfig
    given: Mapping[str, Any]
    turns: TurnConfig
    turns_given: bool
    toolbox: Toolbox | None = None

    def get(self, name: str) -> Any:
        """Give the value in force, None if there is none."""
        return self.given[name] if name in self.given else getattr(self.config, name)


def read_parameters(config: ChatConfig, options: Mapping[str, Any], *, where: str, toolbox: Toolbox | None = None) -> Parameters:
    """Check the keyword arguments of a call.

    Args:
        toolbox: The tools of the configuration.

    Raises:
        TypeError: an unknown one; the text names the near one.
        ConfigurationError: a value of the wrong type or out of range.
    """
    given: dict[str, Any] = {}
    turns, turns_given = config.turns, False
    for name, value in options.items():
        if value is UNSET:
            continue
        if name == "auto_turn":
            turns, turns_given = turns_from(value, config.turns), True
        elif name == "tools":
            given[name] = value
            toolbox = toolbox_of(value)
        elif name in PARAMETERS:
            given[name] = None if value is None else PARAMETERS[name](name, value)
        else:
            raise unexpected_keyword(where, name, (*PARAMETERS, "auto_turn"))
    return Parameters(config, given, turns, turns_given, toolbox)


def toolbox_of(tools: Any) -> Toolbox | None:
    """Give the toolbox that ``tools=…`` means: None, a list of functions and definitions, or a toolbox.

    Raises:
        ConfigurationError: anything else, or a function that can be no tool.
    """
    if tools is None:
        return None
    with _fork.forks_wait:
        from animus.tools.toolbox import Toolbox

    return tools if isinstance(tools, Toolbox) else Toolbox(tools)


def request_body(parameters: Parameters, messages: Sequence[ChatMessage], *, stream: bool, auto_turn: bool) -> dict[str, Any]:
    """Give the body of one request.

    Args:
        messages: All of them, the system message included.
        stream: Whether the answer is to be streamed.
        auto_turn: Whether the API is to split the answer.
    """
    body: dict[str, Any] = {
        "model": parameters.get("model") or parameters.config.model,
        "messages": [message.to_wire() for message in messages],
    }
    body.update(parameters.config.sampling)
    for name, value in parameters.given.items():
        if name in SAMPLING:
            if value is None:
                body.pop(name, None)
            else:
                body[name] = list(value) if isinstance(value, tuple) else value
    body["stream"] = stream
    if parameters.get("compliance") is not None:
        body["compliance"] = parameters.get("compliance")
    if parameters.get("reasoning"):
        body["reasoning"] = body["show_reasoning"] = True  # the API reads one of the two, it is not known which
    if parameters.get("check_image_generation") is not None:
        body["check_image_generation"] = parameters.get("check_image_generation")
    body["autoTurn"] = auto_turn
    tools = None if parameters.toolbox is None else parameters.toolbox.definitions
    if tools is not None:
        body["tools"] = tools
    choice = parameters.get("tool_choice")
    if choice is None and tools and "tool_choice" not in parameters.given:
        choice = "auto"
    if choice is not None:
        body["tool_choice"] = choice
    body.update(parameters.get("extra_body") or {})
    return body


def with_system(config: ChatConfig, messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """Give the system messages of a call (its own, else the configured one) and its other messages."""
    system = [message for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    return system or [ChatMessage(role="system", content=config.system_message)], others


def refuse_stream_with_turns() -> ConfigurationError:
    """Give the error for one call that asks for both."""
    return ConfigurationError(
        "stream=True and auto_turn cannot both be asked for in one call", hint="Turns come whole; leave one of the two out"
    )
