"""What each kind of step stands for in expressions, made of what its last event recorded: live and on resume alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.expressions import Entity
from orchestrator.plan.steps import Agent, Approve, ForEach, RepeatLoop, StepGroup, SubPipeline, Switch, ToolCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.journal.step_payloads import StepSucceededPayload
    from orchestrator.plan.steps import Work


class LoopValues(Protocol):
    """The values of a loop's items that have ended."""

    def __len__(self) -> int:
        """Return how many there are."""

    def values(self) -> list[Any]:
        """Return them, in the order of the items."""


def succeeded(
    work: Work,
    end: StepSucceededPayload,
    *,
    attempts: int,
    duration: float,
    names: Mapping[str, str],
    items: LoopValues | None = None,
) -> Entity:
    """A step that succeeded. `end` has its secrets; `items` are the values of a loop's items.

    `names` are further names of the fields of its result.
    """
    result = end.output
    value: Any = result
    fields: Mapping[str, Any] = {}
    match work:
        case ToolCall():
            if work.action.primary is not None and isinstance(result, dict):
                value, fields = result.get(work.action.primary), result
        case Approve():
            fields = result or {}
            value = fields.get("approved")
        case ForEach() if items is not None:
            whole = Entity(load=items.values)
            counts = end.items or {}
            outcome = _outcome("succeeded", whole, whole, None, attempts, duration)
            return Entity(None, {**(end.state or {}), **outcome, **counts}, load=items.values)
        case RepeatLoop() if items is not None:
            fields = {**(end.state or {}), "iterations": Entity(load=items.values), "count": len(items)}
        case StepGroup():
            fields = (result if work.parallel else end.values) or {}
        case Switch():
            fields = {"case": end.case}
        case SubPipeline():
            fields = result or {}
        case Agent():
            value, fields = value_of(work, result), result or {}
        case _:
            pass
    if names:
        renamed = {name: fields.get(field) if field else value for name, field in names.items()}
        primary = Entity(value, {**fields, **renamed})
        outcome = _outcome("succeeded", primary, result, None, attempts, duration)
        return Entity(value, {**fields, **outcome, **renamed})
    primary = value if value is result or not fields else Entity(value, fields)
    outcome = _outcome("succeeded", primary, result, None, attempts, duration)
    return Entity(value, {**fields, **outcome} if fields else outcome)


def failed(value: Any, error: Mapping[str, Any], *, attempts: int, duration: float) -> Entity:
    """A failed step despite which the run continued; `value` is its fallback, or null."""
    known = {key: error.get(key) for key in ("code", "message", "type", "attempt")}
    return Entity(value, _outcome("failed", value, value, known, attempts, duration), null_fields=True)


def skipped() -> Entity:
    """A step that was skipped, or not reached: null, and every field of it is null."""
    return Entity(None, _outcome("skipped", None, None, None, 0, 0.0), null_fields=True)


def value_of(work: Work, output: Any) -> Any:
    """What the bare id of a step with this output stands for."""
    if isinstance(work, ToolCall) and work.action.primary is not None and isinstance(output, dict):
        return output.get(work.action.primary)
    if isinstance(work, Agent) and isinstance(output, dict):
        return output["data"] if "data" in output else output.get("text")
    return output["approved"] if isinstance(work, Approve) and isinstance(output, dict) else output


def _outcome(
    status: str, value: Any, result: Any, error: Mapping[str, Any] | None, attempts: int, duration: float
) -> dict[str, Any]:
    """The fields that every step has: `value` is what its bare id stands for, `result` all that it has given."""
    return {
        "result": value,
        "output": value,
        "outputs": result,
        "status": status,
        "error": error,
        "success": status == "succeeded",
        "attempts": attempts,
        "duration": duration,
    }
