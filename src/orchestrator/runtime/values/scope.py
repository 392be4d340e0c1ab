"""What expressions can read: the inputs, variables and steps of a pipeline, and what the blocks within it add."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import EvaluationError
from orchestrator.expressions import Entity, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from orchestrator.plan.model import Plan

NULL = Entity(None, {}, null_fields=True)
"""What is not there yet, or was not given: null, with null fields, and missing for `default` and `is defined`."""


class Names(dict[str, Any]):
    """Names within names: what is not here is looked up outside."""

    __slots__ = ("outer",)

    def __init__(self, outer: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        super().__init__(own)
        self.outer = outer

    def __missing__(self, name: str) -> Any:
        return self.outer[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a name, wherever it is."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self.outer

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        yield from (name for name in self.outer if not super(Names, self).__contains__(name))


class BlockScope:
    """The names of one block. They only grow: what a step reads has ended before it starts, so one scope serves all."""

    __slots__ = ("depths", "names", "scope", "steps")

    def __init__(self, names: dict[str, Any], steps: dict[str, Any], now: datetime, depths: Mapping[str, int]) -> None:
        """`depths`: how often each called pipeline stands around this block."""
        self.names = names
        self.steps = steps
        self.depths = depths
        self.scope = Scope(names, now)

    def child(self, names: Mapping[str, Any]) -> BlockScope:
        """A scope within this one, with further names."""
        steps = Names(self.steps, {})
        return BlockScope(Names(self.names, {**names, "steps": steps}), steps, self.scope.now, self.depths)

    def enter(self, step: str, entity: Entity) -> None:
        """Let a step be read under its id."""
        self.names[step] = self.steps[step] = entity

    def value(self, step: str) -> Any:
        """What the bare id of a step of this block stands for; null if it has not ended."""
        entity = self.steps.get(step)
        return entity.value if entity is not None else None


def pipeline_scope(
    plan: Plan, run_id: str, now: datetime, inputs: Mapping[str, Any], depths: Mapping[str, int] | None = None
) -> BlockScope:
    """Bind the inputs of a pipeline and evaluate its variables.

    Raises:
        EvaluationError: A variable cannot be evaluated with these inputs.
    """
    inputs = {name: NULL if value is None else value for name, value in inputs.items()}
    variables: dict[str, Any] = {}
    steps: dict[str, Any] = {}
    names: dict[str, Any] = {
        **inputs,
        "inputs": inputs,
        "variables": variables,
        "steps": steps,
        "run": {"id": run_id, "started_at": now.isoformat()},
        "pipeline": {"id": plan.id, "name": plan.name, "version": plan.version},
    }
    scope = BlockScope(names, steps, now, depths or {})
    for name, value in plan.variables.items():
        try:
            variables[name] = names[name] = value.evaluate(scope.scope)
        except EvaluationError as error:
            error.message = f"variable `{name}`: {error.message}"
            raise
    return scope


def copy_of(value: Any) -> Any:
    """Copy the lists and objects of JSON data, so that a tool that changes its arguments changes nothing else."""
    if isinstance(value, dict):
        return {key: copy_of(item) if isinstance(item, dict | list) else item for key, item in value.items()}
    if isinstance(value, list):
        return [copy_of(item) if isinstance(item, dict | list) else item for item in value]
    return value
