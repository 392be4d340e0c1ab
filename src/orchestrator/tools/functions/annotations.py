"""Converts Python annotations to the types of JSON values, and to the conversions that functions expect.

The common annotations are handled here. The rest (dates, sets, models, constraints) is left to Pydantic, which
is loaded only when needed, because loading it takes longer than loading all built-in tools.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin, is_typeddict

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.expressions.types.schema import from_json_schema
from orchestrator.expressions.types.value_types import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    OBJECT,
    STRING,
    Type,
    array_of,
    union_of,
)
from orchestrator.tools.functions.dataframes import dataframe_type

Direction = Literal["in", "out"]
"""Whether the annotation belongs to a parameter or to a result."""


class Checked(Struct, frozen=True):
    """Annotates a parameter with what checks its constant values when a pipeline is compiled, as `Parameter.check`."""

    check: Callable[[Any], object]


class AnnotationType(Struct, frozen=True):
    """What an annotation means: the JSON type, the conversion and the check of a value, and a description."""

    type: Type
    convert: Callable[[Any], Any] | None = None
    description: str = ""
    check: Callable[[Any], object] | None = None


_PLAIN: Mapping[Any, Type] = {
    Any: ANY,
    object: ANY,
    None: NULL,
    type(None): NULL,
    bool: BOOLEAN,
    int: INTEGER,
    float: NUMBER,
    str: STRING,
    list: ARRAY,
    dict: OBJECT,
    Mapping: OBJECT,
    Sequence: ARRAY,
    typing.Dict: OBJECT,  # noqa: UP006 - users may write it
    typing.List: ARRAY,  # noqa: UP006
}


def describe_annotation(annotation: Any, direction: Direction, within: tuple[Any, ...] = ()) -> AnnotationType:
    """Return the type that an annotation describes.

    Raises:
        TypeError: The annotation does not describe JSON data; the message gives the reason.
    """
    try:
        plain = _PLAIN.get(annotation)
    except TypeError:  # an unhashable annotation, such as Annotated with a list in it
        plain = None
    if plain is not None:
        return AnnotationType(plain)
    if annotation in within:
        return AnnotationType(OBJECT)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(annotation, arguments[0], arguments[1:], direction, within)
    if origin is Literal:
        return AnnotationType(_literal(arguments))
    if origin is Union or origin is types.UnionType:
        return _union(annotation, arguments, direction, within)
    if origin in (list, Sequence):
        items = describe_annotation(arguments[0], direction, within)
        return _from_pydantic(annotation, direction) if items.convert else AnnotationType(array_of(items.type))
    if origin in (dict, Mapping) and arguments[0] is str:
        values = describe_annotation(arguments[1], direction, within)
        return _from_pydantic(annotation, direction) if values.convert else AnnotationType(OBJECT)
    if isinstance(annotation, type):
        frame = dataframe_type(annotation)
        if frame is not None:
            return AnnotationType(frame[0], _converting(frame[1]) if direction == "in" else None)
        if issubclass(annotation, PurePath):
            return AnnotationType(STRING, Path if direction == "in" else None)
        if is_typeddict(annotation):
            return _typed_dict(annotation, direction, within)
        if dataclasses.is_dataclass(annotation) and direction == "out":
            return _dataclass(annotation, within)
    return _from_pydantic(annotation, direction)


def _annotated(
    whole: Any, annotation: Any, metadata: tuple[Any, ...], direction: Direction, within: tuple[Any, ...]
) -> AnnotationType:
    description, constrained, check = "", False, None
    for item in metadata:
        if isinstance(item, str):
            description = item
        elif isinstance(item, Checked):
            check = item.check
        elif type(item).__name__ == "FieldInfo":
            description = item.description or description
            constrained = constrained or bool(item.metadata)
        else:
            constrained = True
    dataframe_type = (
        _from_pydantic(whole, direction) if constrained else describe_annotation(annotation, direction, within)
    )
    return replace(dataframe_type, description=description or dataframe_type.description, check=check)


def _literal(values: tuple[Any, ...]) -> Type:
    kinds = {type(value) for value in values}
    kind = _PLAIN[kinds.pop()].kind if len(kinds) == 1 and kinds <= {str, int, bool} else "any"
    return Type(kind, enum=values)


def _union(
    annotation: Any, arguments: tuple[Any, ...], direction: Direction, within: tuple[Any, ...]
) -> AnnotationType:
    members = [describe_annotation(argument, direction, within) for argument in arguments]
    converting = [member.convert for member in members if member.convert is not None]
    if not converting:
        return AnnotationType(union_of(member.type for member in members))
    if len(members) == 2 and NULL in (members[0].type, members[1].type):
        return AnnotationType(union_of(member.type for member in members), _unless_null(converting[0]))
    return _from_pydantic(annotation, direction)


def _converting(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a conversion to a frame or an array, which raises ValueError with the message of the library."""

    def converted(value: Any) -> Any:
        try:
            return make(value)
        except Exception as error:
            raise ValueError(f"cannot be converted: {type(error).__name__}: {error}") from error

    return converted


def _unless_null(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def converted(value: Any) -> Any:
        return None if value is None else convert(value)

    return converted


def _typed_dict(annotation: type, direction: Direction, within: tuple[Any, ...]) -> AnnotationType:
    hints = typing.get_type_hints(annotation, include_extras=True)
    fields = {name: describe_annotation(_bare(hint), direction, (*within, annotation)) for name, hint in hints.items()}
    if any(field.convert for field in fields.values()):
        return _from_pydantic(annotation, direction)
    properties = {name: field.type for name, field in fields.items()}
    if direction == "out":
        properties = {name: _field(field) for name, field in fields.items()}
    required = frozenset(annotation.__required_keys__)  # type: ignore[attr-defined] # every TypedDict has it
    return AnnotationType(Type("object", properties=properties, required=required, closed=True))


def _field(dataframe_type: AnnotationType) -> Type:
    """Return the type of a field of a result, with its description."""
    if not dataframe_type.description:
        return dataframe_type.type
    return replace(dataframe_type.type, description=dataframe_type.description)


def _bare(hint: Any) -> Any:
    """Return the annotation inside `Required[...]` or `NotRequired[...]`."""
    return get_args(hint)[0] if get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def _dataclass(annotation: type, within: tuple[Any, ...]) -> AnnotationType:
    hints = typing.get_type_hints(annotation, include_extras=True)
    properties = {
        field.name: _field(describe_annotation(hints[field.name], "out", (*within, annotation)))
        for field in dataclasses.fields(annotation)
    }
    return AnnotationType(Type("object", properties=properties, required=frozenset(properties), closed=True))


def _from_pydantic(annotation: Any, direction: Direction) -> AnnotationType:
    """Return the type and the conversion that Pydantic derives."""
    from pydantic import PydanticUserError, TypeAdapter, ValidationError
    from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        schema = adapter.json_schema(mode="validation" if direction == "in" else "serialization")
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError) as error:
        raise TypeError(f"`{annotation_name(annotation)}` does not describe JSON data") from error

    def convert(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise ValueError("; ".join(_in_words(problem) for problem in error.errors())) from error

    description = schema.get("description", "") if "$ref" not in schema else ""
    if direction == "in":
        return AnnotationType(from_json_schema(schema), convert, description)
    return AnnotationType(_with_descriptions(from_json_schema(schema), schema), None, description)


def _with_descriptions(type_: Type, schema: Mapping[str, Any]) -> Type:
    """Return the type of a result with the descriptions of its fields from its JSON Schema."""
    fields = schema.get("properties")
    if not isinstance(fields, Mapping) or type_.kind != "object":
        return type_
    properties = {
        name: replace(part, description=str(fields.get(name, {}).get("description", "")))
        for name, part in type_.properties.items()
    }
    return replace(type_, properties=properties)


def _in_words(problem: Any) -> str:
    """Return one validation error as a clause without a subject: "must be greater than 0"."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    message = str(problem["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    message = message[:1].lower() + message[1:]
    return f"`{where}` {message}" if where else message


def annotation_name(annotation: Any) -> str:
    """Return the annotation as it is written in source code."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
