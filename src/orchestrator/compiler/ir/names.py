"""The reserved names of every pipeline, and the types of the values that expressions can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator.expressions.types.operators import without_attributes
from orchestrator.expressions.types.value_types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    STRING,
    Type,
    array_of,
    object_of,
    union_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.tools.contract import Action

NAMESPACES = ("inputs", "variables", "steps", "run", "pipeline")
LOCAL_NAMES = {
    **dict.fromkeys(("item", "index", "is_first", "is_last"), "inside a `for_each`"),
    **dict.fromkeys(("iteration", "previous"), "inside a `while` or `until` loop"),
    "error": "in the handlers of `on_error` and `error_handlers`, and in `finally`",
    "step": "in steps",
}
"""Names that are known only in some places, and where."""

RESERVED = frozenset(
    {*NAMESPACES, *LOCAL_NAMES, "now", "range", "env", "loop", "finally", "error_handlers", "undo"}
) | {
    *("true", "false", "none", "null", "and", "or", "not", "in", "is", "if", "else"),
    *("fail", "continue", "undo"),
}
"""Names that inputs, variables and steps cannot have: they have a meaning in expressions, `on_failure` or paths."""

PIPELINE = object_of({"id": STRING, "name": STRING, "version": STRING})
RUN = object_of({"id": STRING, "started_at": STRING})
ENDED_RUN = object_of({**RUN.properties, "state": Type("string", enum=("succeeded", "failed", "cancelled"))})
"""`run` in the steps of `finally`."""

STEP = object_of({"id": STRING, "path": STRING, "attempt": INTEGER, "idempotency_key": STRING})
"""`step` in the expressions of a step."""

HANDLED_ERROR = object_of(
    {"type": STRING, "code": STRING, "message": STRING, "step": STRING, "attempts": INTEGER},
)
"""`error` in the expressions of a handler."""

TRIGGER = object_of({"id": STRING, "name": STRING, "instant": STRING})
"""`trigger` in the inputs of a trigger."""

DELIVERY = {"body": ANY, "headers": object_of({}, closed=False), "query": object_of({}, closed=False)}
"""What the inputs of a webhook can read in addition."""

NOTICE = object_of(
    {"event": STRING, "text": STRING, "url": STRING, "error": ANY, "questions": array_of(ANY), "budget": ANY}
)
"""`notice` in the text of a notice."""

_STATUS = Type("string", enum=("succeeded", "failed", "skipped"))
_ERROR = object_of({"code": STRING, "message": STRING, "type": STRING, "attempt": INTEGER})

OUTCOME_FIELDS = frozenset(
    {"result", "output", "outputs", "status", "success", "error", "attempts", "duration"},
)
"""The fields of every step, whatever its value."""


def input_type(spec: InputSpec) -> Type:
    """Return the type of an input's bound values."""
    base = {
        "string": STRING,
        "file": STRING,
        "integer": INTEGER,
        "number": NUMBER,
        "boolean": BOOLEAN,
    }.get(spec.type or "")
    if base is None:
        if spec.type == "array":
            base = array_of(input_type(spec.items) if spec.items else ANY)
        elif spec.type == "object":
            properties = {name: input_type(part) for name, part in (spec.properties or {}).items()}
            required = frozenset(name for name, part in (spec.properties or {}).items() if part.required)
            base = Type("object", properties=properties, required=required)
        else:
            base = ANY
    if spec.enum:
        base = replace(base, enum=tuple(spec.enum))
    if not spec.required and not spec.has_default:
        return ANY  # may be null
    return base


def entity_type(value: Type, *, result: Type | None = None, fields: Mapping[str, Type] | None = None) -> Type:
    """Return the type of a step: its value, with its fields and those of every step as attributes.

    `result` is the type of its whole result, if its value is a part of that.
    """
    whole = without_attributes(value) if result is None else result
    own = whole if result is None or result is value else replace(value, attributes=dict(fields or {}))
    attributes: dict[str, Type] = dict(fields or {})
    attributes.update(
        result=own,
        output=own,
        outputs=whole,
        status=_STATUS,
        success=BOOLEAN,
        error=_ERROR,
        attempts=INTEGER,
        duration=NUMBER,
    )
    return replace(value, attributes=attributes)


UNKNOWN_STEP: Final = entity_type(ANY)
"""The type of a step of which only its outcome is known."""


def step_type(action: Action | None, returns: Type | None = None) -> Type:
    """Return the type of a step that calls an action: its primary value, with the result's fields as attributes.

    `returns` is the type of the result, if it is known more precisely than the action declares.
    """
    result = returns or (action.returns if action else ANY)
    fields = result.properties if result.kind == "object" else None
    value = result
    if action and action.primary:
        value = result.properties.get(action.primary, ANY) if result.closed else ANY
    return entity_type(value, result=result, fields=fields)


def renamed_fields(type_: Type, names: Mapping[str, str]) -> Type:
    """Return the type of a step whose result has further names for its fields; "" is the name of its value."""
    if not names:
        return type_
    known = type_.attributes
    value = known.get("output", ANY)
    further = {name: known[field] if field else value for name, field in names.items() if not field or field in known}
    return replace(type_, attributes={**known, **further})


def nullable(type_: Type) -> Type:
    """Return the type of a value that can also be null."""
    return union_of((without_attributes(type_), NULL))
