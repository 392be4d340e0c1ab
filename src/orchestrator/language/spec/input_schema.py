"""The JSON Schema of a pipeline's inputs, for forms, for clients of a server, and for models that call pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.language.spec.inputs import InputSpec

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_LIMITS: Final = ("minimum", "maximum", "pattern")
_LENGTHS: Final = {"array": ("minItems", "maxItems"), "string": ("minLength", "maxLength")}


def inputs_schema(specs: Mapping[str, InputSpec]) -> dict[str, Any]:
    """Return the schema of the object of all inputs (draft 2020-12).

    A secret is `writeOnly` with the format `password`; the path of a file has the format `path`.
    """
    return {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: input_schema(spec) for name, spec in specs.items()},
        "required": [name for name, spec in specs.items() if spec.required and spec.default_from_env is None],
        "additionalProperties": False,
    }


def input_schema(spec: InputSpec) -> dict[str, Any]:
    """Return the schema of the values of one input."""
    schema: dict[str, Any] = {}
    kind = "string" if spec.type == "file" else spec.type
    if kind is not None:
        schema["type"] = kind if spec.required else [kind, "null"]
    if spec.type == "file":
        schema["format"] = "path"
    if spec.description:
        schema["description"] = spec.description
    if spec.has_default and not spec.secret:
        schema["default"] = spec.default
    if spec.enum is not None:
        schema["enum"] = [*spec.enum] if spec.required or None in spec.enum else [*spec.enum, None]
    schema |= {name: getattr(spec, name) for name in _LIMITS if getattr(spec, name) is not None}
    for value, keyword in zip((spec.min_length, spec.max_length), _LENGTHS.get(kind or "", ()), strict=False):
        if value is not None:
            schema[keyword] = value
    if spec.items is not None:
        schema["items"] = input_schema(spec.items)
    if spec.properties is not None:
        schema["properties"] = {name: input_schema(each) for name, each in spec.properties.items()}
        schema["required"] = [name for name, each in spec.properties.items() if each.required]
    if spec.secret:
        schema |= {"writeOnly": True, "format": "password"}
    return schema
