"""What to write instead of a value that has the wrong type: one of its fields, or a filter that converts it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator.expressions import Templated, Type, is_assignable
from orchestrator.expressions.types.operators import alternatives, without_attributes
from orchestrator.expressions.types.value_types import describe_type

if TYPE_CHECKING:
    from orchestrator.expressions import Value

_EXPRESSION: Final = re.compile(r"\s*\{\{[-+]?\s*(.*?)\s*[-+]?\}\}\s*", re.DOTALL)
_PATH: Final = re.compile(r"[\w.\-]+(\[[^\[\]]*\][\w.\-]*)*")
_LONGEST: Final = 60
_MOST_FIELDS: Final = 3
_SCALARS: Final = frozenset({"string", "integer", "number", "boolean"})


def conversion(value: Value, wanted: Type, actual: Type) -> str:
    """Return how to convert a value to the expected type."""
    written = _written(value)
    fields = _fitting_fields(wanted, actual)
    if fields and written:
        choices = " or ".join(f"`{{{{ {_at(written, field)} }}}}`" for field in fields[:_MOST_FIELDS])
        whole = f", or all of it as JSON: `{{{{ {written} | to_json }}}}`" if _takes_text(wanted) else ""
        return f"read one of its fields: {choices}{whole}"
    converted = _converted(wanted, actual)
    if converted is None:
        return f"give {describe_type(wanted)}"
    if not written:
        return f"convert it: `{converted}`"
    return f"convert it: `{{{{ {written} {converted} }}}}`"


def _written(value: Value) -> str:
    """Return the expression of a value as the file has it, if it is short enough for a message."""
    if not isinstance(value, Templated) or not value.template.is_expression:
        return ""
    found = _EXPRESSION.fullmatch(value.template.text)
    text = found[1] if found else value.template.text.strip()
    return text if 0 < len(text) <= _LONGEST and "\n" not in text else ""


def _at(written: str, field: str) -> str:
    target = written if _PATH.fullmatch(written) else f"({written})"
    return f"{target}.{field}" if field.isidentifier() else f"{target}['{field}']"


def _fitting_fields(wanted: Type, actual: Type) -> list[str]:
    """Return the fields of an object that have the expected type."""
    if actual.kind != "object":
        return []
    return [
        name
        for name, type_ in actual.properties.items()
        if type_.kind not in ("any", "union")
        and is_assignable(without_attributes(type_), wanted)
        and _is_alike(type_, wanted)
    ]


def _is_alike(type_: Type, wanted: Type) -> bool:
    """Return whether a field has an expected kind itself, and is not only convertible to it."""
    kinds = {option.kind for option in alternatives(wanted)}
    return type_.kind in kinds or (type_.kind == "integer" and "number" in kinds)


def _takes_text(wanted: Type) -> bool:
    return any(option.kind == "string" and not option.enum for option in alternatives(wanted))


def _converted(wanted: Type, actual: Type) -> str | None:
    """Return the filters that convert, as they are written after the value."""
    kinds = {option.kind for option in alternatives(wanted)} - {"null"}
    items = without_attributes(actual.items) if actual.items is not None else None
    if "string" in kinds:
        if actual.kind == "array" and items is not None and items.kind in _SCALARS:
            return "| join(', ')"
        return "| to_json" if actual.kind in ("array", "object") else None
    if actual.kind == "string":
        by_kind = {"integer": "| int", "number": "| float", "array": "| from_json", "object": "| from_json"}
        return next((by_kind[kind] for kind in ("integer", "number", "array", "object") if kind in kinds), None)
    if actual.kind == "array" and kinds & {"integer", "number"}:
        return "| length"
    return None
