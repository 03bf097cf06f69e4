"""JSON Schema of a function's parameters, as msgspec gives it, made easy for a model: inlined, closed, described."""

from __future__ import annotations

import datetime
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Optional, Union, get_args, get_origin

import msgspec

from animus.errors import ConfigurationError
from animus.tools.signature import Parameter

_PREFIX = "#/$defs/"
# msgspec gives naive times no format; without one a model does not know how to write them
_FORMATS = {datetime.datetime: "date-time", datetime.time: "time"}
_ENUM_TYPES = {str: "string", int: "integer"}
_SUPPORTED = (
    "Supported are str, int, float, bool, None, list, dict, tuple, set, Literal, Enum, unions, datetime, date, UUID, Decimal, "
    "dataclasses, TypedDicts, msgspec Structs, and Annotated with a text or a msgspec.Meta"
)
_MAPS = ("properties", "patternProperties", "$defs")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLES = ("items", "additionalProperties", "propertyNames")


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter with the decoder of its type.

    Attributes:
        decoder: Reads its JSON, leniently: ``"3"`` is taken for 3, ``"true"`` for True, ``3.0`` for 3.
    """

    parameter: Parameter
    decoder: msgspec.json.Decoder[Any]


def fields_of(parameters: Sequence[Parameter], tool: str) -> list[Field]:
    """Give the parameters with their decoders.

    Raises:
        ConfigurationError: a type that JSON Schema has no words for; the text names tool and parameter.
    """
    return [Field(parameter, _decoder(parameter, tool)) for parameter in parameters]


def _decoder(parameter: Parameter, tool: str) -> msgspec.json.Decoder[Any]:
    kind = _kind(parameter)
    try:
        msgspec.json.schema(kind)
        return msgspec.json.Decoder(kind, strict=False)
    except Exception as error:  # msgspec has TypeErrors, classes with annotations of their own NameErrors and more
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        text = f"the tool {tool!r}: the parameter {parameter.name!r} has a type that cannot be described to a model: {reason[0]}"
        raise ConfigurationError(text, hint=_SUPPORTED) from error


def _kind(parameter: Parameter) -> Any:
    """Give the type as msgspec is to see it."""
    kind = _with_format(parameter.annotation)
    return Optional[kind] if parameter.default is None else kind  # noqa: UP045  # kind is a value here


def _with_format(annotation: Any) -> Any:
    if isinstance(annotation, type) and annotation in _FORMATS:
        return Annotated[annotation, msgspec.Meta(extra_json_schema={"format": _FORMATS[annotation]})]
    if get_origin(annotation) in (Union, types.UnionType):
        return Union[tuple(_with_format(member) for member in get_args(annotation))]  # noqa: UP007
    if get_origin(annotation) is Annotated:
        members = (_with_format(annotation.__origin__), *annotation.__metadata__)
        return Annotated[members]
    return annotation


def schema_of(fields: Sequence[Field], texts: Mapping[str, str]) -> dict[str, Any]:
    """Give the JSON Schema object of all parameters together.

    Classes are inlined; those that contain themselves stay under ``$defs``.

    Args:
        texts: Descriptions by name; one in the annotation itself goes before.
    """
    schemas, classes = msgspec.json.schema_components([_kind(field.parameter) for field in fields], ref_template=_PREFIX + "{name}")
    recursive = {name for name in classes if name in _reachable(name, classes)}
    properties = {
        field.parameter.name: _described(field, _inlined(schema, classes, recursive), texts)
        for field, schema in zip(fields, schemas, strict=True)
    }
    whole: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required := [field.parameter.name for field in fields if field.parameter.is_required]:
        whole["required"] = required
    if kept := sorted(recursive):
        whole["$defs"] = {name: _inlined(classes[name], classes, recursive) for name in kept}
    return whole


def _described(field: Field, schema: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    parameter = field.parameter
    text = _own_text(parameter.annotation) or texts.get(parameter.name)
    if text:
        schema["description"] = text
    if not parameter.is_required:
        schema.update(_default(field))
    return schema


def _own_text(annotation: Any) -> str | None:
    """Give the text in ``Annotated[…, "text"]`` or ``Meta(description=…)``, also inside a union."""
    if get_origin(annotation) is Annotated:
        for note in annotation.__metadata__:
            if isinstance(note, str):
                return note
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
        return _own_text(annotation.__origin__)
    if get_origin(annotation) in (Union, types.UnionType):
        return next(filter(None, map(_own_text, get_args(annotation))), None)
    return None


def _default(field: Field) -> dict[str, Any]:
    """Give the default, unless JSON cannot say it so that it would be read back (a sentinel, NaN)."""
    try:
        written = msgspec.json.encode(field.parameter.default)
        field.decoder.decode(written)
        return {"default": msgspec.json.decode(written)}
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        return {}


# ---- inlining ------------------------------------------------------------------------------------------


def _inlined(schema: Any, classes: Mapping[str, Any], recursive: set[str]) -> Any:
    """Give a copy with every reference to a class replaced by it, unless it is recursive."""
    if not isinstance(schema, dict):
        return schema
    name = _referred(schema)
    if name is not None and name not in recursive:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inlined(classes[name], classes, recursive), **beside}
    copy = _mapped(schema, lambda part: _inlined(part, classes, recursive))
    copy.pop("discriminator", None)  # OpenAPI's, with references; the tags themselves are in the members of the union
    kinds = {type(value) for value in schema.get("enum", ())}
    if len(kinds) == 1 and (kind := _ENUM_TYPES.get(kinds.pop())):
        copy = {"type": kind, **copy}  # implied, but models were shown schemas that say it
    return copy


def _referred(schema: Mapping[str, Any]) -> str | None:
    reference = schema.get("$ref")
    return reference[len(_PREFIX) :] if isinstance(reference, str) and reference.startswith(_PREFIX) else None


def _mapped(schema: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Give a copy with ``change`` done to each schema directly inside."""
    copy = dict(schema)
    for key, value in schema.items():
        if key in _MAPS and isinstance(value, dict):
            copy[key] = {name: change(part) for name, part in value.items()}
        elif key in _LISTS and isinstance(value, list):
            copy[key] = [change(part) for part in value]
        elif key in _SINGLES:
            copy[key] = change(value)
    return copy


def _reachable(start: str, classes: Mapping[str, Any]) -> set[str]:
    """Give the names of the classes that ``start`` refers to, directly or not."""
    found: set[str] = set()
    parts = [classes[start]]

    def look(part: Any) -> Any:
        if isinstance(part, dict):
            parts.append(part)
        return part

    while parts:
        part = parts.pop()
        name = _referred(part)
        if name is not None and name not in found:
            found.add(name)
            parts.append(classes[name])
        _mapped(part, look)
    return found
