"""Values of a plan as they are written in the file: as JSON data with templates as text, and as text for people."""

from __future__ import annotations

from typing import Any

from orchestrator.expressions import Constant, ListValue, MappingValue, Rendered, Templated, Value


def source_of(value: Value) -> Any:
    """Return the value as it is written in the file: JSON data in which templates are text."""
    match value:
        case Constant():
            return value.value
        case Templated() | Rendered():
            return value.template.text
        case ListValue():
            return [source_of(item) for item in value.items]
        case MappingValue():
            return {key: source_of(item) for key, item in value.entries.items()}


def expression_text(source: object) -> str:
    """Return a template that is one expression without its braces."""
    text = as_text(source).strip()
    inner = text.removeprefix("{{").removesuffix("}}").strip()
    return inner if text == f"{{{{ {inner} }}}}" and "{{" not in inner else text


def time_text(source: object) -> str:
    """Return a time or a duration; numbers are seconds."""
    return f"{source:g} s" if isinstance(source, int | float) else expression_text(source)


def as_text(value: object) -> str:
    """Return a JSON value as YAML writes it."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return str(value)
