"""Configuration: checked as a whole, by name, and never changed."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, strategies as st

from animus import ChatConfig, ConfigurationError, TurnConfig, VisionConfig
from animus._check import UNSET, Unset, snake_case
from animus.config import PARAMETERS, turns_from

NEEDED: dict[str, Any] = {"model": "m", "system_message": "s"}

# from the platform's configuration reference: name -> values that are allowed, values that are not
RANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "temperature": ([0, 0.0, 1, 2, 1.999], [-0.001, 2.001, "1", True, float("nan"), float("inf"), [], {}]),
    "top_p": ([0, 1, 0.5], [-0.1, 1.1, "0.5", False]),
    "n": ([1, 5], [0, -1, 1.0, "1", True]),
    "max_tokens": ([1, 100_000], [0, -5, 10.5, "10"]),
    "stop": (["x", ["a", "b"], ("a",), []], [5, ["a", 5], {"a": 1}, [None]]),
    "presence_penalty": ([-2, 2, 0], [-2.1, 2.1, "0"]),
    "frequency_penalty": ([-2, 2, 0], [-2.1, 2.1, "0"]),
    "best_of": ([1, 3], [0, 1.5, "1"]),
    "top_k": ([0, 40, -1], [1.5, "40", True]),
    "repetition_penalty": ([0, 2, 1.1], [-0.1, 2.1, "1"]),
    "min_p": ([0, 1], [-0.1, 1.1]),
    "length_penalty": ([-5, 0, 1.5], ["1", float("nan")]),
    "stream": ([True, False], ["yes", 1, 0]),
    "compliance": ([True, False], ["yes", 1]),
    "reasoning": ([True, False], ["yes", 1]),
    "check_image_generation": ([True, False], ["yes", 1]),
    "history_size": ([0, 1, 10_000], [-1, 1.5, "10", True]),
    "tool_choice": (["none", "auto", "required", {"type": "function"}], ["", " ", 5, {}, []]),
    "extra_body": ([{}, {"a": 1}], [[], "a", {1: 2}]),
    "model": (["m", "animuslabs/Vivian"], ["", "  ", None, 5]),
    "system_message": (["s"], ["", "\n", None, 5]),
    "auto_turn": ([True, False, None, {}, {"enabled": False}, TurnConfig()], ["yes", 1, [], {"enabled": "yes"}]),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (good, _) in RANGES.items() for value in good])
def test_what_is_allowed(name: str, value: Any) -> None:
    assert ChatConfig(**{**NEEDED, name: value}) == ChatConfig.make({**NEEDED, name: value}, "chat")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, (_, bad) in RANGES.items() for value in bad])
def test_what_is_not_allowed_is_named(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=name):
        ChatConfig(**{**NEEDED, name: value})
    with pytest.raises(ConfigurationError, match=name):
        ChatConfig.make({**NEEDED, name: value}, "chat")
    with pytest.raises(ConfigurationError, match=name):
        ChatConfig(**NEEDED).changed({name: value}, "chat")


def test_every_setting_is_checked() -> None:
    assert set(RANGES) | {"tools"} == {field.name for field in dataclasses.fields(ChatConfig)}
    assert set(PARAMETERS) < set(RANGES) | {"tools"}


def test_none_is_not_set() -> None:
    nothing: dict[str, Any] = dict.fromkeys(set(RANGES) - set(NEEDED))
    config = ChatConfig(**NEEDED, **nothing)
    assert (config.temperature, config.history_size, config.turns.enabled) == (None, 0, False)
    assert ChatConfig(**NEEDED).compliance is True


TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def test_tools_are_functions_or_definitions() -> None:
    config = ChatConfig(**NEEDED, tools=[TOOL, print])
    assert config.tools == (TOOL, print)
    for bad in (TOOL, "f", [5], [{"type": "function"}], [{"type": "other", "function": {"name": "f"}}], [{"function": {"name": 5}}]):
        with pytest.raises(ConfigurationError, match=r"chat\.tools"):
            ChatConfig(**NEEDED, tools=bad)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ChatConfig.make({"model": "m"}, "chat"), "chat lacks system_message"),
        (lambda: ChatConfig.make({}, "chat"), "chat lacks model and system_message"),
        (lambda: VisionConfig.make({}, "vision"), "vision lacks model"),
        (lambda: ChatConfig.make("gpt", "chat"), "chat must be a ChatConfig or a mapping with its settings, not a str"),
        (lambda: ChatConfig.make(VisionConfig(model="m"), "chat"), "chat must be a ChatConfig"),
        (lambda: ChatConfig(**NEEDED).changed("x", "chat"), "chat must be a mapping of settings"),  # type: ignore[arg-type]
        (lambda: VisionConfig(model=" "), r"vision\.model must be a non-blank string, not a blank string"),
        (lambda: VisionConfig(model="m", temperature=3), r"vision\.temperature must be a number from 0 to 2, not 3"),
    ],
)
def test_what_else_is_told(make: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        make()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("systemMessage", "system_message"),
        ("historySize", "history_size"),
        ("autoTurn", "auto_turn"),
        ("temprature", "temperature"),
        ("checkImageGeneration", "check_image_generation"),
        ("maxTokens", "max_tokens"),
    ],
)
def test_an_unknown_key_is_told_its_name_and_the_known_ones(given: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"chat has no setting '{given}'.*Did you mean '{name}'.*Known are: model, .*extra_body"):
        ChatConfig.make({**NEEDED, given: 1}, "chat")


@pytest.mark.parametrize("given", ["defaultChatModel", "apiKey", 5])
def test_an_unknown_key_without_a_near_one(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="Known are: model"):
        ChatConfig.make({**NEEDED, given: 1}, "chat")


@pytest.mark.parametrize("given", ["splitProbability", "shortSentenceThreshold"])
def test_what_did_nothing_in_javascript_is_no_setting(given: str) -> None:
    with pytest.raises(ConfigurationError, match=f"auto_turn has no setting '{given}'"):
        ChatConfig(**NEEDED, auto_turn={given: 0.6})


def test_texts_that_may_be_secrets_are_not_shown() -> None:
    for name in ("temperature", "history_size", "stream", "auto_turn", "extra_body"):
        with pytest.raises(ConfigurationError) as caught:
            ChatConfig(**{**NEEDED, name: "sk-canary-0123456789"})
        assert "canary" not in f"{caught.value!r} {caught.value}"


def test_an_update_is_a_new_value() -> None:
    config = ChatConfig(**NEEDED, temperature=0.5)
    changed = config.changed(MappingProxyType({"temperature": None, "model": "other"}), "chat")
    assert (config.temperature, config.model) == (0.5, "m")
    assert (changed.temperature, changed.model, changed.system_message) == (None, "other", "s")
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.temperature = 1  # type: ignore[misc]
    with pytest.raises(ConfigurationError, match="has no setting 'temprature'"):
        config.changed({"temprature": 1}, "chat")


def test_the_callers_mappings_are_neither_kept_nor_changed() -> None:
    given: dict[str, Any] = {
        **NEEDED,
        "tools": [copy.deepcopy(TOOL)],
        "stop": ["x"],
        "extra_body": {"a": [1]},
        "auto_turn": {"max_turns": 2},
    }
    before = copy.deepcopy(given)
    config = ChatConfig.make(MappingProxyType(given), "chat")
    assert given == before
    given["tools"][0]["function"]["name"] = "g"
    given["extra_body"]["a"].append(2)
    given["stop"].append("y")
    given["auto_turn"]["max_turns"] = 3
    assert config == ChatConfig.make(before, "chat")


def test_frozen_mappings_are_taken_at_any_depth() -> None:
    tool = MappingProxyType({"type": "function", "function": MappingProxyType({"name": "f", "parameters": MappingProxyType({})})})
    config = ChatConfig(**NEEDED, tools=[tool], extra_body=MappingProxyType({"a": MappingProxyType({"b": ()})}))
    assert config.tools == (TOOL,)
    assert config.extra_body == {"a": {"b": []}}


@pytest.mark.parametrize(
    "config", [ChatConfig(**NEEDED, tools=[TOOL], auto_turn=True), TurnConfig(max_turns=5), VisionConfig(model="m", temperature=1)]
)
def test_configuration_travels(config: Any) -> None:
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == config


# ---- turns ---------------------------------------------------------------------------------------------


def test_the_documented_defaults() -> None:
    config = TurnConfig()
    assert (config.enabled, config.base_typing_speed, config.speed_variation) == (True, 45, 0.2)
    assert (config.min_delay, config.max_delay, config.max_turns) == (0.5, 3.0, 3)
    assert (config.follow_up_delay, config.max_sequential_follow_ups, config.follow_up_max_tokens) == (2.0, 2, 150)


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({"min_delay": 5}, 5, 5),
        ({"max_delay": 0.2}, 0.2, 0.2),
        ({"min_delay": 1}, 1, 3),
        ({"max_delay": 9}, 0.5, 9),
        ({"max_delay": 0}, 0, 0),
    ],
)
def test_one_bound_moves_the_default_of_the_other(given: Any, low: float, high: float) -> None:
    config = TurnConfig(**given)
    assert (config.min_delay, config.max_delay) == (low, high)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"enabled": None}, r"auto_turn\.enabled"),
        ({"base_typing_speed": 0}, r"auto_turn\.base_typing_speed must be a number above 0, not 0"),
        ({"speed_variation": 1.1}, r"auto_turn\.speed_variation must be a number from 0 to 1"),
        ({"min_delay": -1}, r"auto_turn\.min_delay"),
        ({"min_delay": 2, "max_delay": 1}, r"min_delay \(2\) must not be more than auto_turn\.max_delay \(1\)"),
        ({"max_turns": 0}, r"auto_turn\.max_turns must be a number of at least 1"),
        ({"max_turns": 2.5}, r"auto_turn\.max_turns must be a whole number"),
        ({"max_sequential_follow_ups": -1}, r"auto_turn\.max_sequential_follow_ups"),
        ({"follow_up_max_tokens": 0}, r"auto_turn\.follow_up_max_tokens"),
        ({"follow_up_delay": None}, r"auto_turn\.follow_up_delay"),
        ({"follow_up_delay": 2000}, "Durations are seconds here; JavaScript's are milliseconds"),
        ({"min_delay": 500, "max_delay": 3000}, "seconds"),
    ],
)
def test_turn_settings_are_checked(given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        TurnConfig(**given)


def test_what_auto_turn_may_be() -> None:
    own = TurnConfig(max_turns=7)
    assert turns_from(True) == TurnConfig()
    assert turns_from(True, own) == own
    assert turns_from(False, own) == turns_from(None, own) == TurnConfig(max_turns=7, enabled=False)
    assert turns_from({"max_turns": 7}) == turns_from(own) == own
    assert turns_from({"enabled": False}).enabled is False
    assert ChatConfig(**NEEDED, auto_turn={"max_turns": 7}).turns == own


_NUMBERS = st.one_of(st.none(), st.floats(0, 60))


@given(_NUMBERS, _NUMBERS)
def test_bounds_are_in_order_or_refused(low: float | None, high: float | None) -> None:
    bounds: dict[str, Any] = {"min_delay": low, "max_delay": high}
    if low is not None and high is not None and low > high:
        with pytest.raises(ConfigurationError):
            TurnConfig(**bounds)
        return
    config = TurnConfig(**bounds)
    assert 0 <= config.min_delay <= config.max_delay
    assert low in (None, config.min_delay)
    assert high in (None, config.max_delay)


# ---- the sentinel --------------------------------------------------------------------------------------


def test_unset_is_one_and_stays_one() -> None:
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.deepcopy(UNSET) is UNSET
    assert (repr(UNSET), bool(UNSET), isinstance(UNSET, Unset)) == ("UNSET", False, True)


def test_javascript_names() -> None:
    assert [snake_case(name) for name in ("maxTurns", "apiBaseUrl", "plain", "")] == ["max_turns", "api_base_url", "plain", ""]
