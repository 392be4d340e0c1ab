"""Checks values against the declarations of inputs: defaults, and the inputs of a run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern
from orchestrator.text.json_text import NotJsonText, read_json
from orchestrator.text.words import describe_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.language.spec.inputs import InputSpec, InputType

_WORDS: dict[str, str] = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "file": "the path of a file",
}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def input_problems(spec: InputSpec, value: Any, name: str = "") -> list[str]:
    """Return the problems of `value`, one sentence each, with its `name`; empty if it matches."""
    return list(_problems(spec, value, name))


def _problems(spec: InputSpec, value: Any, path: str) -> Iterator[str]:
    subject = f"`{path}`" if path else "it"
    if value is None:
        if spec.required and spec.type is not None:
            yield f"{subject} must be {_WORDS[spec.type]}, not null"
        return
    if spec.type is not None and not _is(spec.type, value):
        yield f"{subject} must be {_WORDS[spec.type]}, not {describe_value(value)}"
        return
    if spec.enum is not None and not any(_same(value, allowed) for allowed in spec.enum):
        listed = ", ".join(json.dumps(allowed, ensure_ascii=False) for allowed in spec.enum)
        yield f"{subject} must be one of {listed}, not {describe_value(value)}"
    yield from _limits(spec, value, subject)
    if spec.items is not None and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(spec.items, item, f"{path}[{index}]")
    if spec.properties is not None and isinstance(value, dict):
        for name, part in spec.properties.items():
            inner = f"{path}.{name}" if path else name
            if name in value:
                yield from _problems(part, value[name], inner)
            elif part.required:
                yield f"`{inner}` is missing"


def _limits(spec: InputSpec, value: Any, subject: str) -> Iterator[str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if spec.minimum is not None and value < spec.minimum:
            yield f"{subject} must be at least {spec.minimum:g}, not {value}"
        if spec.maximum is not None and value > spec.maximum:
            yield f"{subject} must be at most {spec.maximum:g}, not {value}"
    if isinstance(value, str | list):
        unit = "characters" if isinstance(value, str) else "items"
        if spec.min_length is not None and len(value) < spec.min_length:
            yield f"{subject} must have at least {spec.min_length} {unit}, and has {len(value)}"
        if spec.max_length is not None and len(value) > spec.max_length:
            yield f"{subject} must have at most {spec.max_length} {unit}, and has {len(value)}"
    if spec.pattern is not None and isinstance(value, str):
        try:
            if not pattern_matches(spec.pattern, value):
                yield f"{subject} must match the pattern `{spec.pattern}`, and {describe_value(value)} does not"
        except SearchTooLong as error:
            yield f"{subject} cannot be checked: {error}"


def pattern_matches(pattern: str, text: str) -> bool:
    """Whether a pattern matches anywhere in a text; an invalid pattern always matches.

    Raises:
        SearchTooLong: The pattern is too large for the text.
    """
    try:
        return compile_pattern(pattern, "python").matches(text)
    except PatternError:
        return True


def pattern_problem(pattern: str) -> tuple[str, str] | None:
    """Return why a pattern is invalid, with help; None if it is valid."""
    try:
        compile_pattern(pattern, "python")
    except PatternError as error:
        return str(error), error.help or "in YAML, single quotes preserve backslashes"
    return None


def _is(type: InputType, value: Any) -> bool:
    match type:
        case "string" | "file":
            return isinstance(value, str)
        case "integer":
            return isinstance(_whole(value), int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        case "boolean":
            return isinstance(value, bool)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)


def _same(left: Any, right: Any) -> bool:
    """JSON equality: `1` and `true` differ, `1` and `1.0` do not."""
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def _whole(value: Any) -> Any:
    """JSON has one kind of number, so 3.0 is the integer 3; beyond 2**53 a fraction may have been lost."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def fill_defaults(spec: InputSpec, value: Any) -> Any:
    """Return the value with the defaults of missing properties, and with 3.0 as 3 for an integer, at every depth."""
    if spec.type == "integer":
        return _whole(value)
    if isinstance(value, dict) and spec.properties:
        complete = dict(value)
        for name, part in spec.properties.items():
            if name in complete:
                complete[name] = fill_defaults(part, complete[name])
            elif part.has_default:
                complete[name] = fill_defaults(part, part.default)
        return complete
    if isinstance(value, list) and spec.items is not None:
        return [fill_defaults(spec.items, item) for item in value]
    return value


def parse_input_text(spec: InputSpec, text: str) -> Any:
    """Convert a text to the declared type.

    For an input of any type, the value is JSON if the text is JSON without a loss, else the text: `2.5` is a number,
    `1.10`, `007` and `5e10` stay text.

    Raises:
        ValueError: The text is not a value of the type; the message has the reason.
    """
    if spec.type in ("string", "file"):
        return text
    bare = text.strip()
    if spec.type == "boolean":
        if bare.lower() in _TRUE | _FALSE:
            return bare.lower() in _TRUE
        raise ValueError(f"it must be true or false, not {describe_value(text)}")
    if bare == "null" and not spec.required:
        return None
    try:
        value = read_json(bare)
    except NotJsonText as error:
        if spec.type is None and (error.position is not None or bare[:1] not in ("[", "{")):
            return text
        reason = f": {error}" if error.position is None else ""
        raise ValueError(_expected(spec.type, text) + reason) from None
    if spec.type is None:
        return value if not _is_rewritten(value, bare) else text
    if not _is(spec.type, value):
        raise ValueError(_expected(spec.type, text))
    return _whole(value) if spec.type == "integer" else value


def _is_rewritten(value: Any, text: str) -> bool:
    """Whether a text was read as a number that has another spelling: `1.10` and `5e10` may be meant as text."""
    return isinstance(value, int | float) and not isinstance(value, bool) and json.dumps(value) != text


def _expected(type: InputType | None, text: str) -> str:
    if type is None:
        return "it must be JSON"
    form = {"array": ', written as JSON: `["a", "b"]`', "object": ', written as JSON: `{"key": "value"}`'}.get(type, "")
    return f"it must be {_WORDS[type]}{form}, not {describe_value(text)}"
