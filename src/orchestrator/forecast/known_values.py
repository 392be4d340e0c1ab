"""The values of a plan that are known before a run: inputs, counts of items, limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import prod
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.errors import OrchestratorError
from orchestrator.expressions.limits import range_count
from orchestrator.plan.limits import limit_value
from orchestrator.plan.loop_items import FileItems, MatrixItems, RangeItems, ZippedItems
from orchestrator.plan.steps import ForEach, RepeatLoop, Work
from orchestrator.runtime.values.scope import pipeline_scope

if TYPE_CHECKING:
    from orchestrator.expressions import Scope, Value
    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import StepPlan


def scope_of(plan: Plan, inputs: Mapping[str, Any]) -> Scope:
    """Return what is known before the run."""
    now = datetime.now(UTC)
    known = {name: inputs[name] for name in plan.inputs if name in inputs}
    try:
        return pipeline_scope(plan, "", now, known).scope
    except OrchestratorError:
        return pipeline_scope(replace(plan, variables={}), "", now, known).scope


def value_of(value: Value, scope: Scope) -> Any:
    """Return a value as far as it is known before the run; None where it is not."""
    reads = (read.name for template in value.templates() for read in template.references)
    if any(name == "steps" or name not in scope.names for name in reads):
        return None  # `default` would give a value that the run may not have
    try:
        return value.evaluate(scope)
    except OrchestratorError:
        return None


def times_of(work: Work, scope: Scope) -> int | None:
    """Return how often the work's own steps run; None where only the run will tell."""
    if isinstance(work, RepeatLoop):
        return None
    if not isinstance(work, ForEach):
        return 1
    items = work.items
    if isinstance(items, FileItems):
        return None
    if isinstance(items, RangeItems):
        numbers = [value_of(each, scope) for each in (items.start, items.stop, items.step)]
        return range_count(*numbers) if all(type(number) is int for number in numbers) and numbers[2] else None
    if isinstance(items, MatrixItems | ZippedItems):
        lengths = [_length_of(each, scope) for each in items.lists.values()]
        more = _length_of(items.include, scope) if isinstance(items, MatrixItems) and items.include is not None else 0
        if more is None or None in lengths:
            return None
        known = [length for length in lengths if length is not None]
        return max(known, default=0) if isinstance(items, ZippedItems) else prod(known) + more
    return _length_of(items, scope)


def _length_of(value: Value, scope: Scope) -> int | None:
    found = value_of(value, scope)
    return len(found) if isinstance(found, list | dict) else None


def limit_known(step: StepPlan, name: str, otherwise: int, scope: Scope) -> int | None:
    """Return a limit of a step, which is `otherwise` if it is not computed; None where only the run will tell."""
    value = step.limits.get(name)
    if value is None:
        return otherwise
    try:
        return int(limit_value(name, value_of(value, scope)))
    except ValueError:
        return None


def limit_of(parameters: Value | None, scope: Scope) -> int | None:
    """Return the `max_tokens` of a step, where it is known before the run."""
    from orchestrator.expressions.values import MappingValue

    if isinstance(parameters, MappingValue) and "max_tokens" in parameters.entries:
        found = value_of(parameters.entries["max_tokens"], scope)
        return found if isinstance(found, int) and found > 0 else None
    constant = getattr(parameters, "value", None)
    limit = constant.get("max_tokens") if isinstance(constant, Mapping) else None
    return limit if isinstance(limit, int) and limit > 0 else None
