"""What an expression can see: inputs, variables, steps, and their types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from orchestrator.expressions.types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NUMBER,
    STRING,
    Type,
    array_of,
    object_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.expressions import Reference
    from orchestrator.language.spec import InputSpec
    from orchestrator.tools.contract import Action

NAMESPACES = ("inputs", "variables", "steps", "run", "pipeline")
RESERVED = frozenset({*NAMESPACES, "now", "range", "env", "loop", "item", "index", "previous", "error", "step"}) | {
    *("true", "false", "none", "null", "and", "or", "not", "in", "is", "if", "else"),
    *("fail", "continue"),
}
"""Names that no input, variable or step may have: they mean something in expressions or in `on_failure`."""

_PIPELINE = object_of({"id": STRING, "name": STRING, "version": STRING})
_RUN = object_of({"id": STRING, "started_at": STRING})
_STATUS = Type("string", enum=("succeeded", "failed", "skipped"))
_ERROR = object_of({"code": STRING, "message": STRING, "type": STRING, "attempt": INTEGER})

TargetKind = Literal["input", "variable", "step"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference reads: the kind of thing and its name."""

    kind: TargetKind
    name: str


@dataclass(slots=True)
class Environment:
    """The names that expressions of this file can read, with their types."""

    inputs: dict[str, Type] = field(default_factory=dict)
    variables: dict[str, Type] = field(default_factory=dict)
    steps: dict[str, Type] = field(default_factory=dict)

    def types(self) -> Mapping[str, Type]:
        """The types by name, for inference. Namespaces come last so that nothing can hide them."""
        return {
            **self.steps,
            **self.variables,
            **self.inputs,
            "inputs": object_of(self.inputs),
            "variables": object_of(self.variables),
            "steps": object_of(self.steps, closed=False),  # an unknown step is reported with a code of its own
            "run": _RUN,
            "pipeline": _PIPELINE,
        }

    def target(self, reference: Reference) -> Target | None:
        """Resolve a reference; None if it reads no input, variable or step of this pipeline."""
        name = reference.name
        if name in self.steps:
            return Target("step", name)
        if name in self.inputs:
            return Target("input", name)
        if name in self.variables:
            return Target("variable", name)
        if reference.path and isinstance(member := reference.path[0], str):
            if name == "steps" and member in self.steps:
                return Target("step", member)
            if name == "inputs" and member in self.inputs:
                return Target("input", member)
            if name == "variables" and member in self.variables:
                return Target("variable", member)
        return None


def fields_read(reference: Reference) -> tuple[str | int, ...]:
    """The path below the thing that is read: `("status",)` for both `a.status` and `steps.a.status`."""
    return reference.path[1:] if reference.name in NAMESPACES else reference.path


def input_type(spec: InputSpec) -> Type:
    """The type that an input's values have once they are bound."""
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


def step_type(action: Action | None, *, fallback: bool) -> Type:
    """The type of a step: its primary value, with the result's fields and the reserved names as attributes.

    With `fallback` the value may also be one that is not of the action's type.
    """
    result = action.returns if action else ANY
    attributes: dict[str, Type] = dict(result.properties) if result.kind == "object" else {}
    attributes.update(
        result=result,
        output=result,
        outputs=result,
        status=_STATUS,
        success=BOOLEAN,
        error=_ERROR,
        attempts=INTEGER,
        duration=NUMBER,
    )
    value = result
    if action and action.primary:
        value = result.properties.get(action.primary, ANY) if result.closed else ANY
    if fallback:
        value = ANY
    return replace(value, attributes=attributes)
